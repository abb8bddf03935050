// getaddrinfo: from a host and a service to addresses, best first. The steps are told in <weft/dns.hpp>.

#include <algorithm>
#include <optional>

#include "dns/address_order.hpp"
#include "dns/error.hpp"
#include "dns/inquiry.hpp"
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

/// Which records are asked for: mapped addresses are made of IPv4 ones.
struct wanted_families {
    bool four;
    bool six;

    explicit wanted_families(const address_hints& hints)
        : four(hints.family != AF_INET6 || hints.flags & AI_V4MAPPED), six(hints.family != AF_INET) {
        if (!(hints.flags & AI_ADDRCONFIG) || !(four && six))
            return;
        const configured_families configured = find_configured_families();
        if (configured.four != configured.six) {
            four = configured.four;
            six = configured.six;
        }
    }
};

/// Those of the family that the hints ask for, in the form they ask for.
std::vector<ip_address> fitting(const std::vector<ip_address>& all, const address_hints& hints) {
    std::vector<ip_address> result;
    for (const ip_address& address : all)
        if (hints.family == AF_UNSPEC || address.family == hints.family)
            result.push_back(address);
    const bool map = hints.family == AF_INET6 && hints.flags & AI_V4MAPPED;
    if (!map || (!result.empty() && !(hints.flags & AI_ALL)))
        return result;
    for (const ip_address& address : all)
        if (address.family == AF_INET)
            result.push_back(mapped(address));
    return result;
}

/// The names to ask for, in this order: completed by the search list, or first as it is if it has ndots dots.
std::vector<std::string> candidates(const domain_name& name, const channel::search_rules& rules) {
    std::vector<std::string> names;
    if (name.absolute)
        return {name.text};
    const bool as_it_is_first = std::ranges::count(name.text, '.') >= rules.ndots;
    if (as_it_is_first)
        names.push_back(name.text);
    for (std::string_view domain : rules.domains) {
        if (domain.ends_with('.'))
            domain.remove_suffix(1);
        if (!is_host_name(domain) || name.text.size() + 1 + domain.size() > 253)
            continue;
        names.push_back(name.text + '.' + std::string(domain));
    }
    if (!as_it_is_first)
        names.push_back(name.text);
    return names;
}

void append_addresses(std::vector<ip_address>& to, const answer& from) {
    for (const record& r : from.records)
        if (const auto address = parse_address(std::get<address_record>(r).address))
            to.push_back(*address);
}

/// Whether other names may be better off after this error.
bool concerns_one_name(dns_errc error) noexcept {
    switch (error) {
    case dns_errc::timeout:
    case dns_errc::connection_refused:
    case dns_errc::cancelled:
    case dns_errc::no_memory:
    case dns_errc::other:
        return false;
    default:
        return true;
    }
}

/// The error that says most, of several names and record types: a failure, then "no data", then "not found".
dns_errc graver(dns_errc a, dns_errc b) noexcept {
    auto gravity = [](dns_errc e) {
        return e == dns_errc{} ? 0 : e == dns_errc::not_found ? 1 : e == dns_errc::no_data ? 2 : 3;
    };
    return gravity(b) > gravity(a) ? b : a;
}

}  // namespace

std::vector<ip_address> resolver_state::ask_addresses(const char* call, const domain_name& name,
                                                      const address_hints& hints,
                                                      std::string& canonical_name) {
    const wanted_families wanted(hints);
    dns_errc error{};
    for (const std::string& candidate : candidates(name, channel_here(call).search())) {
        std::optional<inquiry> four, six;  // both are asked before either is waited for
        if (wanted.four)
            four.emplace(call, *this, candidate, record_type::a);
        if (wanted.six)
            six.emplace(call, *this, candidate, record_type::aaaa);
        std::vector<ip_address> found;
        for (inquiry* asked : {six ? &*six : nullptr, four ? &*four : nullptr}) {
            if (!asked)
                continue;
            const answer_ptr result = asked->wait(call);
            error = graver(error, result->error);
            if (!result->ok())
                continue;
            append_addresses(found, *result);
            if (is_host_name(result->canonical_name))
                canonical_name = result->canonical_name;
        }
        found = fitting(found, hints);
        if (!found.empty())
            return found;
        if (!concerns_one_name(error))
            break;
    }
    throw_dns_error(error == dns_errc{} ? dns_errc::no_data : error, call, name.text);
}

std::vector<ip_address> resolver_state::find_addresses(const char* call, std::string_view host,
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
    auto found = ask_addresses(call, name, hints, canonical_name);
    sort_addresses(found, channel_here(call).sources());
    return found;
}

std::vector<address_info> resolver_state::resolve(const char* call, std::string_view host,
                                                  std::string_view service, const address_hints& hints) {
    check_caller(call);
    check(call, hints);
    const auto ports = find_service(call, service, hints);
    std::string canonical_name;
    const auto addresses = find_addresses(call, host, hints, canonical_name);
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
