#pragma once

/// Name resolution: getaddrinfo, getnameinfo and resolver (asyncio's loop.getaddrinfo, and aiodns), on
/// c-ares. A question suspends the fiber that asks it; no thread is ever blocked for an answer.
///
/// In this order: literals ("192.0.2.1", "fe80::1%eth0"), localhost and *.localhost (RFC 6761), the hosts
/// file, the answers still alive in the cache, the name servers. Only the last suspends. What was asked of a
/// server and not answered yet is not asked again: who asks the same joins the question.
///
/// Rejected: the C library's getaddrinfo in a thread (a thread for each slow name, no TTL, no cancellation).

#include <netdb.h>
#include <sys/socket.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <weft/detail/config.hpp>
#include <weft/endpoint.hpp>

namespace weft {

namespace dns_layer {
class resolver_state;
}

/// Why a name could not be resolved.
enum class dns_errc {
    not_found = 1,       ///< the name does not exist (NXDOMAIN)
    no_data,             ///< the name exists, but has nothing of what was asked for
    timeout,             ///< no server answered in time
    server_failure,      ///< every server that answered said SERVFAIL
    refused,             ///< every server that answered said REFUSED
    format_error,        ///< a server did not understand the question (FORMERR)
    not_implemented,     ///< a server does not answer such questions (NOTIMP)
    bad_response,        ///< the answer is malformed
    connection_refused,  ///< no server could be reached
    cancelled,           ///< the resolver was destroyed before the answer came
    unknown_service,     ///< the service is not in /etc/services
    no_memory,           ///< c-ares found no memory
    other,               ///< c-ares failed for a reason that has no name here
};

/// The category of dns_errc. timeout is equivalent to std::errc::timed_out, connection_refused and no_memory
/// to the conditions of those names.
WEFT_API const std::error_category& dns_category() noexcept;

inline std::error_code make_error_code(dns_errc code) noexcept {
    return {static_cast<int>(code), dns_category()};
}

/// What getaddrinfo is to look for. The flags are <netdb.h>'s: AI_PASSIVE, AI_CANONNAME, AI_NUMERICHOST,
/// AI_NUMERICSERV, AI_ADDRCONFIG, AI_V4MAPPED, AI_ALL.
struct address_hints {
    int family = AF_UNSPEC;      // AF_INET, AF_INET6 or, both, AF_UNSPEC
    int socktype = SOCK_STREAM;  // one entry for each address; 0: one for TCP and one for UDP
    int protocol = 0;            // 0: the socket type's own
    int flags = 0;
};

/// One way to reach a host.
struct address_info {
    int family;
    int socktype;
    int protocol;
    weft::endpoint address;
    std::string canonical_name;  // with AI_CANONNAME: the name after all aliases
};

/// The records of the query_ functions. Names are absolute, without the last dot; a ttl says how long the
/// record may be kept from now on: it shrinks while the answer is in the cache.
struct address_record {
    std::string address;  // "192.0.2.1", "2001:db8::1"
    std::chrono::seconds ttl;
};
struct mx_record {
    std::string host;
    std::uint16_t priority;  // the lowest first
    std::chrono::seconds ttl;
};
struct txt_record {
    std::string text;  // the record's strings, joined; any bytes
    std::chrono::seconds ttl;
};
struct srv_record {
    std::string host;
    std::uint16_t port;
    std::uint16_t priority;  // the lowest first
    std::uint16_t weight;
    std::chrono::seconds ttl;
};
struct ns_record {
    std::string host;
    std::chrono::seconds ttl;
};
struct cname_record {
    std::string name;
    std::chrono::seconds ttl;
};
struct ptr_record {
    std::string name;
    std::chrono::seconds ttl;
};
struct soa_record {
    std::string primary;     // the zone's first name server
    std::string hostmaster;  // a mail address, its @ written as a dot
    std::uint32_t serial;
    std::chrono::seconds refresh;
    std::chrono::seconds retry;
    std::chrono::seconds expire;
    std::chrono::seconds minimum;  // how long "there is no such name" may be kept
    std::chrono::seconds ttl;
};

/// The addresses of a host, best first (RFC 6724), each with the service's port.
///
/// `host` is a name or a literal; empty, with AI_PASSIVE, it stands for all addresses of this machine. A name
/// is first looked for as the search list of /etc/resolv.conf says; one that ends in a dot is taken as it is.
/// `service` is a port number, a name of /etc/services, or empty for port 0. One resolver serves the process;
/// it reads /etc/resolv.conf again when that has changed.
///
/// Suspends:      while a server is being asked.
/// Cancellation:  always checked; the question of another waiter is not touched.
/// Errors:        std::invalid_argument naming a host, service or hint that cannot be one; std::system_error
///                in dns_category() naming host or service; no_running_loop; no_running_task if a callback
///                would have to wait.
/// Thread-safety: any thread that runs a loop.
WEFT_API std::vector<address_info> getaddrinfo(std::string_view host, std::string_view service = {},
                                               address_hints hints = {});

/// The names of an address and of its port; numbers where there is no name. Flags are <netdb.h>'s:
/// NI_NUMERICHOST, NI_NUMERICSERV, NI_NAMEREQD (dns_errc::not_found in place of a number), NI_DGRAM,
/// NI_NOFQDN.
///
/// Suspends:      while a server is being asked.
/// Cancellation:  always checked.
/// Errors:        as getaddrinfo.
/// Thread-safety: any thread that runs a loop.
WEFT_API std::pair<std::string, std::string> getnameinfo(const endpoint& address, int flags = 0);

/// Where `servers` is empty, what is left as it is here is overruled by resolv_conf's options timeout, attempts and rotate; its
/// use-vc holds, too.
struct resolver_options {
    std::vector<std::string>
        servers{};  // "127.0.0.1:5353", "[::1]:53", "192.0.2.1"; none: those of resolv_conf
    std::chrono::milliseconds timeout =
        std::chrono::seconds(2);    // for the first try; doubled after each round of servers
    int tries = 3;                  // with each server
    bool rotate = false;            // ask the servers in turn; else each only if those before it failed
    std::size_t cache_size = 4096;  // answers, of at most 16 KiB each; 0: none is kept
    std::string hosts_file = "/etc/hosts";         // read again when it has changed; empty: none
    std::string resolv_conf = "/etc/resolv.conf";  // servers, search list, ndots and other options
};

/// Counts since the resolver was made.
struct resolver_statistics {
    std::uint64_t questions = 0;   // put to servers, retries not counted
    std::uint64_t shared = 0;      // joined one that was in flight
    std::uint64_t cache_hits = 0;  // answered from the cache, "there is none" included
    std::uint64_t timeouts = 0;    // questions that no server answered
    std::uint64_t failures = 0;    // questions that ended otherwise without an answer
    std::size_t cached = 0;        // answers in the cache now
    std::size_t in_flight = 0;     // questions being asked now
};

/// A resolver with servers and a cache of its own.
///
/// It may be used from any number of loops, at once; each has its own sockets and questions, the cache is
/// common. It may outlive its loops. Destroying it ends the questions in flight: who waits gets
/// dns_errc::cancelled.
class WEFT_API resolver {
public:
    /// Opens nothing yet. Throws std::invalid_argument naming an option that cannot be one.
    explicit resolver(resolver_options options = {});
    ~resolver();
    resolver(const resolver&) = delete;
    resolver& operator=(const resolver&) = delete;

    /// As weft::getaddrinfo, with this resolver's servers and files.
    std::vector<address_info> resolve(std::string_view host, std::string_view service = {},
                                      address_hints hints = {});

    /// As weft::getnameinfo.
    std::pair<std::string, std::string> reverse(const endpoint& address, int flags = 0);

    /// The records of one type that a name has, aliases followed. Neither search list nor hosts file is used;
    /// localhost has its addresses. query_ptr also takes an address: "192.0.2.1" for 1.2.0.192.in-addr.arpa.
    ///
    /// Suspends:      while a server is being asked.
    /// Cancellation:  always checked; the question of another waiter is not touched.
    /// Errors:        std::invalid_argument naming a name that cannot be one; std::system_error in
    ///                dns_category(), no_data if there is no such record; no_running_loop; no_running_task if
    ///                a callback would have to wait.
    /// Thread-safety: any thread that runs a loop.
    std::vector<address_record> query_a(std::string_view name);
    std::vector<address_record> query_aaaa(std::string_view name);
    std::vector<mx_record> query_mx(std::string_view name);
    std::vector<txt_record> query_txt(std::string_view name);
    std::vector<srv_record> query_srv(std::string_view name);
    std::vector<ns_record> query_ns(std::string_view name);
    cname_record query_cname(std::string_view name);
    std::vector<ptr_record> query_ptr(std::string_view name);
    soa_record query_soa(std::string_view name);

    resolver_statistics statistics() const;

private:
    const std::shared_ptr<dns_layer::resolver_state>
        state_;  // shared with the channels that loops have to it
};

}  // namespace weft

template <> struct std::is_error_code_enum<weft::dns_errc> : std::true_type {};
