// getaddrinfo: from a host and a service to addresses, best first. The steps are told in <weft/dns.hpp>.

#include "dns/address_lookup.hpp"
#include "dns/address_order.hpp"
#include "dns/error.hpp"
#include "dns/resolver_state.hpp"

namespace weft::dns_layer {
namespace {

constexpr int known_flags =
    AI_PASSIVE | AI_CANONNAME | AI_NUMERICHOST | AI_NUMERICSERV | AI_ADDRCONFIG | AI_V4MAPPED | AI_ALL;

void check(const char* call, const address_hints& hints) {
    if (hints.family != AF_UNSPEC && hints.family != AF_INET && hints.family != AF_INET6)
        throw_invalid(call, std::to_string(hints.family), "is no family for address_hints::family");
    if (hints.flags & ~known_flags)
        throw_invalid(call, std::to_string(hints.flags),
                      "has a flag that address_hints::flags does not know");
}

}  // namespace

std::vector<ip_address> resolver_state::find_without_server(const char* call, std::string_view host,
                                                            const address_hints& hints,
                                                            std::string& canonical_name) {
    auto require = [&](std::vector<ip_address> found) {
        found = fitting(found, hints);
        if (found.empty())
            throw_dns_error(dns_errc::no_data, call, host);
        return found;
    };
    if (host.empty() && hints.flags & AI_PASSIVE)
        return require({wildcard(AF_INET6), wildcard(AF_INET)});
    if (const auto literal = parse_address(host)) {
        canonical_name = host;
        return require({*literal});
    }
    if (hints.flags & AI_NUMERICHOST)
        throw_invalid(call, host, "is no address");

    const domain_name name = check_host_name(call, host);
    source_finder own;  // what needs no server needs no channel
    canonical_name = name.text;
    if (is_localhost(name.text)) {
        auto found = require({loopback(AF_INET6), loopback(AF_INET)});
        sort_addresses(found, own);
        return found;
    }
    if (const hosts_ptr table = hosts(); const hosts_table::host* known = table->find(name.text)) {
        if (auto found = fitting(known->addresses, hints); !found.empty()) {
            canonical_name = known->canonical_name;
            sort_addresses(found, own);
            return found;
        }
    }
    return {};
}

std::vector<address_info> resolver_state::resolve(const char* call, std::string_view host,
                                                  std::string_view service, const address_hints& hints) {
    check_caller(call);
    check(call, hints);
    const auto ports = find_service(call, service, hints);
    std::string canonical_name;
    auto addresses = find_without_server(call, host, hints, canonical_name);
    if (addresses.empty())
        addresses = address_lookup(call, *this, check_host_name(call, host), hints).all(canonical_name);
    if (!(hints.flags & AI_CANONNAME))
        canonical_name.clear();

    std::vector<address_info> result;
    for (const ip_address& address : addresses)
        for (const service_port& p : ports)
            result.push_back(
                {address.family, p.socktype, p.protocol, to_endpoint(address, p.port), canonical_name});
    return result;
}

}  // namespace weft::dns_layer
