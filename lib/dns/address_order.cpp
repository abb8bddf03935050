#include "dns/address_order.hpp"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <bit>

namespace weft::dns_layer {
namespace {

/// The policy table of RFC 6724, section 2.1; longest prefix first. IPv4 is looked up in its mapped form.
struct policy {
    std::array<std::uint8_t, 16> prefix;
    unsigned bits;
    int precedence;
    int label;
};
constexpr int mapped_label = 4;
constexpr policy policies[] = {
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 128, 50, 0},      // ::1
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96, 35, mapped_label},  // ::ffff:0:0/96
    {{}, 96, 1, 3},                                                      // ::/96
    {{0x20, 0x01}, 32, 5, 5},                                            // 2001::/32, Teredo
    {{0x20, 0x02}, 16, 30, 2},                                           // 2002::/16, 6to4
    {{0x3f, 0xfe}, 16, 1, 12},                                           // 3ffe::/16, the 6bone
    {{0xfe, 0xc0}, 10, 1, 11},                                           // fec0::/10, site-local
    {{0xfc}, 7, 3, 13},                                                  // fc00::/7, unique local
    {{}, 0, 40, 1},                                                      // ::/0
};

unsigned common_prefix(const std::array<std::uint8_t, 16>& a,
                       const std::array<std::uint8_t, 16>& b) noexcept {
    for (std::size_t i = 0; i < a.size(); ++i) {
        const auto difference = static_cast<std::uint8_t>(a[i] ^ b[i]);
        if (difference != 0)
            return static_cast<unsigned>(i * 8) + static_cast<unsigned>(std::countl_zero(difference));
    }
    return 128;
}

const policy& policy_of(const ip_address& address) noexcept {
    const ip_address six = mapped(address);
    return *std::ranges::find_if(
        policies, [&](const policy& p) { return common_prefix(p.prefix, six.bytes) >= p.bits; });
}

constexpr int link_local = 0x2, site_local = 0x5, global = 0xe;  // RFC 4291, 2.7

int scope_of(const ip_address& address) noexcept {
    const auto& b = address.bytes;
    if (address.family == AF_INET)  // RFC 6724, 3.2
        return b[0] == 127 || (b[0] == 169 && b[1] == 254) ? link_local : global;
    if (b[0] == 0xff)
        return b[1] & 0xf;
    if (address == loopback(AF_INET6) || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80))
        return link_local;
    if (b[0] == 0xfe && (b[1] & 0xc0) == 0xc0)
        return site_local;
    return global;
}

/// A destination with what the rules look at, computed once.
struct ranked {
    explicit ranked(const destination& d) : where(d), scope(scope_of(d.address)), rule(policy_of(d.address)) {
        if (!d.source)
            return;
        scope_matches = scope == scope_of(*d.source);
        label_matches = rule.label == policy_of(*d.source).label;
        // The part that names an interface says nothing about distance; mapped addresses compare like the
        // IPv4 they are.
        const bool native = d.address.family == AF_INET6 && rule.label != mapped_label;
        if (native)
            prefix = std::min(64u, common_prefix(d.address.bytes, d.source->bytes));
    }

    destination where;
    int scope;
    policy rule;
    bool scope_matches = false;
    bool label_matches = false;
    unsigned prefix = 0;  // 0 for IPv4
};

bool better(const ranked& a, const ranked& b) noexcept {
    if (a.where.source.has_value() != b.where.source.has_value())
        return a.where.source.has_value();
    if (a.scope_matches != b.scope_matches)
        return a.scope_matches;
    if (a.label_matches != b.label_matches)
        return a.label_matches;
    if (a.rule.precedence != b.rule.precedence)
        return a.rule.precedence > b.rule.precedence;
    if (a.scope != b.scope)
        return a.scope < b.scope;
    return a.prefix > b.prefix;
}

}  // namespace

void sort_destinations(std::vector<destination>& destinations) {
    std::vector<ranked> order(destinations.begin(), destinations.end());
    std::ranges::stable_sort(order, better);
    std::ranges::transform(order, destinations.begin(), [](const ranked& r) { return r.where; });
}

void sort_addresses(std::vector<ip_address>& addresses, source_finder& finder) {
    if (addresses.size() < 2)
        return;
    std::vector<destination> destinations;
    for (const ip_address& address : addresses)
        destinations.push_back({address, finder.source_for(address)});
    sort_destinations(destinations);
    std::ranges::transform(destinations, addresses.begin(), [](const destination& d) { return d.address; });
}

configured_families find_configured_families() noexcept {
    configured_families found;
    ifaddrs* first = nullptr;
    if (::getifaddrs(&first) != 0)
        return {true, true};  // not known: leave nothing out
    for (const ifaddrs* i = first; i; i = i->ifa_next) {
        if (!i->ifa_addr || i->ifa_flags & IFF_LOOPBACK)
            continue;
        const auto address = from_sockaddr(*i->ifa_addr);
        if (!address)
            continue;
        if (address->family == AF_INET)
            found.four = true;
        else if (scope_of(*address) != link_local)
            found.six = true;
    }
    ::freeifaddrs(first);
    return found;
}

}  // namespace weft::dns_layer
