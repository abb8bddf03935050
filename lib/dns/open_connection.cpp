// open_connection and start_server: what takes a host by name needs the resolver, which stands above io; all but the
// resolving is io's.

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <weft/detail/task_core.hpp>
#include <weft/dns.hpp>
#include <weft/server.hpp>
#include <weft/stream.hpp>

#include "dns/host_addresses.hpp"
#include "dns/resolver_state.hpp"
#include "io/connect.hpp"
#include "io/server_state.hpp"

namespace weft {
namespace {

/// Where a server of that name listens: on all of the host's addresses.
std::vector<endpoint> resolve(std::string_view host, std::uint16_t port) {
    std::vector<endpoint> found;
    for (address_info& info : getaddrinfo(host, std::to_string(port), {.flags = AI_PASSIVE | AI_NUMERICSERV}))
        if (std::find(found.begin(), found.end(), info.address) == found.end()) found.push_back(info.address);
    return found;
}

}  // namespace

stream open_connection(std::string_view host, std::uint16_t port, connect_options options) {
    detail::require_loop("open_connection");
    detail::check(options, host, "open_connection");
    if (host.empty()) throw std::invalid_argument("open_connection: host: it is empty");
    if (options.local && options.local->family() != AF_INET && options.local->family() != AF_INET6)
        throw std::invalid_argument("open_connection: local: \"" + options.local->to_string() +
                                    "\" is not an IPv4 or IPv6 address");
    const int family = options.local ? options.local->family() : AF_UNSPEC;
    dns_layer::host_addresses addresses(dns_layer::default_state(), host, port, family);
    const std::string target = std::string(host) + " port " + std::to_string(port);
    return detail::make_stream(detail::connect_first(addresses, options.happy_eyeballs_delay, options.local, target),
                               options.limit, options.tls,
                               options.server_name.empty() ? std::string(host) : options.server_name, "open_connection");
}

namespace detail {

server start_server(connection_handler handler, std::string_view host, std::uint16_t port, const server_options& options) {
    require_loop("start_server");
    check(options, "start_server");
    return listen_on(std::move(handler), resolve(host, port), options);
}

}  // namespace detail
}  // namespace weft
