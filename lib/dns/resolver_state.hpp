#pragma once

/// What a resolver is, behind its face: options, cache, hosts file, and the channels that loops have to it.
///
/// Threading: everything that changes is guarded by gate_, which is never held across c-ares, system calls or
/// user code. A channel belongs to its loop's thread; the state only knows where it is.
///
/// Lifetimes: the resolver and each channel share the state. A channel goes when its loop closes or when the
/// resolver is destroyed, whichever is first; if that happens on another thread, a message to the channel's
/// loop does it.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <weft/detail/gate.hpp>
#include <weft/dns.hpp>

#include "dns/address.hpp"
#include "dns/answer.hpp"
#include "dns/answer_cache.hpp"
#include "dns/hosts_file.hpp"
#include "dns/name.hpp"
#include "dns/service.hpp"

namespace weft::dns_layer {

class address_lookup;
class channel;
class inquiry;

struct server_address {
    ip_address address;
    std::uint16_t port;
};

/// "192.0.2.1", "192.0.2.1:53", "::1", "[::1]", "[::1]:53". Throws std::invalid_argument naming the text.
server_address parse_server(std::string_view text);

class resolver_state : public std::enable_shared_from_this<resolver_state> {
public:
    explicit resolver_state(resolver_options options);
    ~resolver_state();

    /// Ends every channel, and so every question in flight.
    void close() noexcept;

    std::vector<address_info> resolve(const char* call, std::string_view host, std::string_view service,
                                      const address_hints& hints);
    /// What literals, localhost and the hosts file say, best first; empty: a server has to be asked.
    std::vector<ip_address> find_without_server(const char* call, std::string_view host,
                                                const address_hints& hints, std::string& canonical_name);
    std::pair<std::string, std::string> reverse(const char* call, const endpoint& address, int flags);

    /// The answer to a question, from the cache or a server; errors thrown, naming `call`.
    answer_ptr query(const char* call, const domain_name& name, record_type type);

    resolver_statistics statistics() const;
    const resolver_options& options() const noexcept { return options_; }
    const std::vector<server_address>& servers() const noexcept { return servers_; }

    // For channels.
    void keep(std::string_view key, const answer_ptr& fresh);
    void count_end(dns_errc error) noexcept;
    void count_start(bool shared) noexcept;
    void forget(channel& closed) noexcept;
    detail::gate& gate() noexcept { return gate_; }

    /// Throws no_running_loop, or, if a cancellation is deliverable, cancelled.
    static void check_caller(const char* call);

private:
    friend class address_lookup;
    friend class inquiry;

    channel& channel_here(const char* call);
    answer_ptr find_cached(std::string_view key);
    hosts_ptr hosts();

    std::string find_name(const char* call, const ip_address& address);  // empty if it has none

    const resolver_options options_;
    const std::vector<server_address> servers_;

    mutable detail::gate gate_;
    bool closed_ = false;
    answer_cache cache_;
    hosts_ptr hosts_;
    channel* channels_ = nullptr;
    resolver_statistics counts_;
};

/// The resolver of getaddrinfo and getnameinfo; one for the process.
resolver_state& default_state();

}  // namespace weft::dns_layer
