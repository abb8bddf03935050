#include <charconv>
#include <climits>

#include <weft/dns.hpp>
#include <weft/error.hpp>

#include "dns/channel.hpp"
#include "dns/error.hpp"
#include "dns/resolver_state.hpp"
#include "kernel/scheduler.hpp"

namespace weft {
namespace dns_layer {
namespace {

constexpr std::string_view here = "resolver_options";

}  // namespace

server_address parse_server(std::string_view text) {
    std::string_view host = text, port;
    if (text.starts_with('[')) {
        const std::size_t bracket = text.find(']');
        host = text.substr(1, bracket == std::string_view::npos ? 0 : bracket - 1);
        if (bracket != std::string_view::npos)
            port = text.substr(bracket + 1);
        if (host.find(':') == std::string_view::npos)
            host = {};  // brackets are for IPv6
    } else if (const std::size_t colon = text.find(':');
               colon != std::string_view::npos && colon == text.rfind(':')) {
        host = text.substr(0, colon);
        port = text.substr(colon);
    }
    const auto address = parse_address(host);
    if (!address)
        throw_invalid(here, text, "is no name server: write \"192.0.2.1:53\" or \"[2001:db8::1]:53\"");
    if (address->scope != 0)
        throw_invalid(here, text, "has a zone: name servers are reached without one");
    if (port.empty())
        return {*address, 53};
    std::uint16_t number = 0;
    const char* last = port.data() + port.size();
    const auto [end, error] = std::from_chars(port.data() + 1, last, number);
    if (port.front() != ':' || error != std::errc{} || end != last || number == 0)
        throw_invalid(here, text, "has no valid port");
    return {*address, number};
}

namespace {

std::vector<server_address> parse_servers(const resolver_options& options) {
    std::vector<server_address> servers;
    for (const std::string& text : options.servers)
        servers.push_back(parse_server(text));
    return servers;
}

resolver_options checked(resolver_options options) {
    if (options.tries < 1 || options.tries > 16)
        throw_invalid(here, std::to_string(options.tries), "tries: 1 to 16 make sense");
    const auto longest =
        std::chrono::milliseconds(INT_MAX) / (1 << options.tries);  // it doubles after each try
    if (options.timeout < std::chrono::milliseconds(1) || options.timeout > longest)
        throw_invalid(here, std::to_string(options.timeout.count()),
                      "milliseconds are no timeout for that many tries");
    return options;
}

}  // namespace

resolver_state::resolver_state(resolver_options options)
    : options_(checked(std::move(options))), servers_(parse_servers(options_)), cache_(options_.cache_size) {}

resolver_state::~resolver_state() = default;

void resolver_state::close() noexcept {
    channel* mine = nullptr;
    {
        detail::gate_lock lock(gate_);
        closed_ = true;
        while (channel* c = channels_) {
            channels_ = c->next;
            if (&c->home() == kernel::scheduler::current())
                mine = c;
            else
                c->post_shut_down();
        }
    }
    if (mine)
        mine->shut_down();
}

void resolver_state::forget(channel& closed) noexcept {
    detail::gate_lock lock(gate_);
    for (channel** link = &channels_; *link; link = &(*link)->next) {
        if (*link != &closed)
            continue;
        *link = closed.next;
        return;
    }
}

void resolver_state::check_caller(const char* call) {
    if (!kernel::scheduler::current())
        throw no_running_loop(call);
    detail::check_cancelled();
}

channel& resolver_state::channel_here(const char* call) {
    const kernel::scheduler* home = kernel::scheduler::current();
    bool closed;
    {
        detail::gate_lock lock(gate_);
        closed = closed_;
        for (channel* c = channels_; c; c = c->next)
            if (&c->home() == home)
                return *c;
    }
    if (!closed) {
        // Nobody else makes one for this loop meanwhile: it would have to be on this thread.
        auto* made = new channel(shared_from_this());
        {
            detail::gate_lock lock(gate_);
            closed = closed_;
            if (!closed) {
                made->next = channels_;
                channels_ = made;
                return *made;
            }
        }
        made->shut_down();
    }
    throw_dns_error(dns_errc::cancelled, call, "resolver");
}

answer_ptr resolver_state::find_cached(std::string_view key) {
    answer_cache::entries removed;  // dies after the gate was left
    const auto now = detail::now();
    detail::gate_lock lock(gate_);
    answer_ptr found = cache_.find(key, now, removed);
    if (found)
        ++counts_.cache_hits;
    return found;
}

void resolver_state::keep(std::string_view key, const answer_ptr& fresh) {
    if (fresh->lifetime <= std::chrono::seconds(0) || options_.cache_size == 0)
        return;
    answer_cache::entries entry, removed;
    entry.push_back({std::string(key), fresh, fresh->received + fresh->lifetime});
    detail::gate_lock lock(gate_);
    cache_.insert(entry, removed);
}

hosts_ptr resolver_state::hosts() {
    hosts_ptr known;
    {
        detail::gate_lock lock(gate_);
        known = hosts_;
    }
    if (known && known->stamp() == file_stamp::of(options_.hosts_file))
        return known;
    auto fresh = std::make_shared<const hosts_table>(options_.hosts_file);
    detail::gate_lock lock(gate_);
    known.swap(hosts_);  // the old table dies after the gate was left
    hosts_ = fresh;
    return fresh;
}

void resolver_state::count_start(bool shared) noexcept {
    detail::gate_lock lock(gate_);
    if (shared) {
        ++counts_.shared;
    } else {
        ++counts_.questions;
        ++counts_.in_flight;
    }
}

void resolver_state::count_end(dns_errc error) noexcept {
    detail::gate_lock lock(gate_);
    --counts_.in_flight;
    const bool answered = error == dns_errc{} || error == dns_errc::not_found || error == dns_errc::no_data;
    if (error == dns_errc::timeout)
        ++counts_.timeouts;
    else if (!answered && error != dns_errc::cancelled)
        ++counts_.failures;
}

resolver_statistics resolver_state::statistics() const {
    detail::gate_lock lock(gate_);
    resolver_statistics counts = counts_;
    counts.cached = cache_.size();
    return counts;
}

resolver_state& default_state() {
    // Never destroyed: threads may still resolve while the process exits.
    static const auto& instance = *new auto(std::make_shared<resolver_state>(resolver_options{}));
    return *instance;
}

}  // namespace dns_layer

resolver::resolver(resolver_options options)
    : state_(std::make_shared<dns_layer::resolver_state>(std::move(options))) {}

resolver::~resolver() {
    state_->close();
}

// The state is held on to: the resolver may be destroyed while its callers wait.

std::vector<address_info> resolver::resolve(std::string_view host, std::string_view service,
                                            address_hints hints) {
    const auto state = state_;
    return state->resolve("resolver::resolve", host, service, hints);
}

std::pair<std::string, std::string> resolver::reverse(const endpoint& address, int flags) {
    const auto state = state_;
    return state->reverse("resolver::reverse", address, flags);
}

resolver_statistics resolver::statistics() const {
    return state_->statistics();
}

std::vector<address_info> getaddrinfo(std::string_view host, std::string_view service, address_hints hints) {
    return dns_layer::default_state().resolve("getaddrinfo", host, service, hints);
}

std::pair<std::string, std::string> getnameinfo(const endpoint& address, int flags) {
    return dns_layer::default_state().reverse("getnameinfo", address, flags);
}

}  // namespace weft
