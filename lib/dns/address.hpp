#pragma once

/// An IP address without a port, and its written forms.

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <weft/endpoint.hpp>

namespace weft::dns_layer {

struct ip_address {
    int family = AF_UNSPEC;                // AF_INET or AF_INET6
    std::array<std::uint8_t, 16> bytes{};  // in network order; AF_INET: the first four
    std::uint32_t scope = 0;               // the interface of a link-local IPv6 address

    bool operator==(const ip_address&) const = default;
};

ip_address loopback(int family) noexcept;
ip_address wildcard(int family) noexcept;

/// ::ffff:a.b.c.d for an IPv4 address; any other as it is.
ip_address mapped(const ip_address& address) noexcept;

/// The other way round.
ip_address unmapped(const ip_address& address) noexcept;

/// "192.0.2.1", "2001:db8::1", "fe80::1%eth0"; nothing else: neither "127.1" nor "[::1]". A zone is the name
/// of an interface of this machine, or its number.
std::optional<ip_address> parse_address(std::string_view text) noexcept;

/// Without the zone.
std::string to_text(const ip_address& address);

/// "1.2.0.192.in-addr.arpa", or the nibbles below ip6.arpa.
std::string reverse_name(const ip_address& address);

/// The address as a sockaddr; returns its length.
socklen_t to_sockaddr(const ip_address& address, std::uint16_t port, sockaddr_storage& to) noexcept;
std::optional<ip_address> from_sockaddr(const sockaddr& address) noexcept;

endpoint to_endpoint(const ip_address& address, std::uint16_t port);

}  // namespace weft::dns_layer
