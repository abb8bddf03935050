#pragma once

/// The order in which a host's addresses are best tried: RFC 6724, section 6.

#include <optional>
#include <vector>

#include "dns/address.hpp"
#include "dns/source_finder.hpp"

namespace weft::dns_layer {

/// An address, and the one of this machine from which it would be reached; none if it cannot be.
struct destination {
    ip_address address;
    std::optional<ip_address> source;
};

/// Sorts by rules 1 (usable), 2 (matching scope), 5 (matching label), 6 (precedence), 8 (smaller scope), 9
/// (longest common prefix; IPv6 only, since it would undo the rotation of IPv4 answers) and 10 (as they
/// came). Rules 3, 4 and 7 ask what only the kernel knows; it applies them when it chooses the source.
void sort_destinations(std::vector<destination>& destinations);

/// Asks for the sources, and sorts.
void sort_addresses(std::vector<ip_address>& addresses, source_finder& finder);

/// Which families this machine has an address of, other than loopback and, for IPv6, link-local
/// (AI_ADDRCONFIG).
struct configured_families {
    bool four = false;
    bool six = false;
};
configured_families find_configured_families() noexcept;

}  // namespace weft::dns_layer
