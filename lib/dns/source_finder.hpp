#pragma once

/// source_finder: asks the kernel from which of this machine's addresses another one would be reached. Nothing is sent, and
/// nothing is remembered: routes come and go.
///
/// Invariants
///  - One datagram socket is kept, for both families; it is unconnected again before each question, since a connected one answers
///    with what it has bound itself to.
///
/// Rejected: a socket for each question, as making and closing it takes five times as long as asking.

#include <optional>

#include "dns/address.hpp"

namespace weft::dns_layer {

class source_finder {
public:
    /// Opens nothing yet.
    source_finder() noexcept = default;
    ~source_finder();
    source_finder(const source_finder&) = delete;
    source_finder& operator=(const source_finder&) = delete;

    /// The address that a datagram to `to` would leave from; none: there is no way, or no descriptor.
    std::optional<ip_address> source_for(const ip_address& to) noexcept;

private:
    bool open() noexcept;

    int socket_ = -1;
    int family_ = AF_UNSPEC;   // AF_INET6: for IPv4 too; AF_INET: this machine has no IPv6
    bool connected_ = false;
};

}  // namespace weft::dns_layer
