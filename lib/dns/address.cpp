#include "dns/address.hpp"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace weft::dns_layer {

ip_address loopback(int family) noexcept {
    ip_address address{.family = family};
    if (family == AF_INET)
        address.bytes = {127, 0, 0, 1};
    else
        address.bytes[15] = 1;
    return address;
}

ip_address wildcard(int family) noexcept {
    return {.family = family};
}

ip_address mapped(const ip_address& address) noexcept {
    if (address.family != AF_INET)
        return address;
    ip_address six{.family = AF_INET6};
    six.bytes[10] = six.bytes[11] = 0xff;
    std::copy_n(address.bytes.begin(), 4, six.bytes.begin() + 12);
    return six;
}

ip_address unmapped(const ip_address& address) noexcept {
    ip_address four{.family = AF_INET};
    if (address.family != AF_INET6)
        return address;
    std::copy_n(address.bytes.begin() + 12, 4, four.bytes.begin());
    return mapped(four).bytes == address.bytes ? four : address;
}

std::optional<ip_address> parse_address(std::string_view text) noexcept {
    char buffer[INET6_ADDRSTRLEN + 1];
    const std::size_t percent = text.find('%');
    const std::string_view digits = text.substr(0, percent);
    if (digits.empty() || digits.size() >= sizeof buffer || digits.find('\0') != std::string_view::npos)
        return {};
    digits.copy(buffer, digits.size());
    buffer[digits.size()] = '\0';

    ip_address address;
    if (percent == std::string_view::npos && ::inet_pton(AF_INET, buffer, address.bytes.data()) == 1) {
        address.family = AF_INET;
        return address;
    }
    if (::inet_pton(AF_INET6, buffer, address.bytes.data()) != 1)
        return {};
    address.family = AF_INET6;
    if (percent == std::string_view::npos)
        return address;

    const std::string_view zone = text.substr(percent + 1);
    if (zone.empty() || zone.find('\0') != std::string_view::npos)
        return {};
    const auto [end, error] = std::from_chars(zone.data(), zone.data() + zone.size(), address.scope);
    if (error == std::errc{} && end == zone.data() + zone.size())
        return address;
    char interface[IF_NAMESIZE] = {};
    if (zone.size() >= sizeof interface)
        return {};
    zone.copy(interface, zone.size());
    address.scope = ::if_nametoindex(interface);
    if (address.scope == 0)
        return {};
    return address;
}

std::string to_text(const ip_address& address) {
    char buffer[INET6_ADDRSTRLEN];
    return ::inet_ntop(address.family, address.bytes.data(), buffer, sizeof buffer) ? buffer : "";
}

std::string reverse_name(const ip_address& address) {
    std::string name;
    if (address.family == AF_INET) {
        for (int i = 3; i >= 0; --i)
            name += std::to_string(address.bytes[static_cast<std::size_t>(i)]) + '.';
        return name + "in-addr.arpa";
    }
    constexpr char digits[] = "0123456789abcdef";
    for (std::size_t i = 16; i-- > 0;) {
        name += {digits[address.bytes[i] & 15], '.', digits[address.bytes[i] >> 4], '.'};
    }
    return name + "ip6.arpa";
}

socklen_t to_sockaddr(const ip_address& address, std::uint16_t port, sockaddr_storage& to) noexcept {
    std::memset(&to, 0, sizeof to);
    if (address.family == AF_INET) {
        sockaddr_in four{};
        four.sin_family = AF_INET;
        four.sin_port = htons(port);
        std::memcpy(&four.sin_addr, address.bytes.data(), sizeof four.sin_addr);
        std::memcpy(&to, &four, sizeof four);
        return sizeof four;
    }
    sockaddr_in6 six{};
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    six.sin6_scope_id = address.scope;
    std::memcpy(&six.sin6_addr, address.bytes.data(), sizeof six.sin6_addr);
    std::memcpy(&to, &six, sizeof six);
    return sizeof six;
}

std::optional<ip_address> from_sockaddr(const sockaddr& address) noexcept {
    ip_address result{.family = address.sa_family};
    if (address.sa_family == AF_INET) {
        sockaddr_in four;
        std::memcpy(&four, &address, sizeof four);
        std::memcpy(result.bytes.data(), &four.sin_addr, sizeof four.sin_addr);
        return result;
    }
    if (address.sa_family == AF_INET6) {
        sockaddr_in6 six;
        std::memcpy(&six, &address, sizeof six);
        std::memcpy(result.bytes.data(), &six.sin6_addr, sizeof six.sin6_addr);
        result.scope = six.sin6_scope_id;
        return result;
    }
    return {};
}

endpoint to_endpoint(const ip_address& address, std::uint16_t port) {
    sockaddr_storage storage;
    const socklen_t size = to_sockaddr(address, port, storage);
    return endpoint(reinterpret_cast<const sockaddr*>(&storage), size);
}

}  // namespace weft::dns_layer
