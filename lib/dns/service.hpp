#pragma once

/// Services: port numbers, and the names that /etc/services (or what nsswitch.conf names) has for them.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <weft/dns.hpp>

namespace weft::dns_layer {

/// One kind of socket, and the port that the service has with it.
struct service_port {
    int socktype;
    int protocol;
    std::uint16_t port;
};

/// The kinds of socket that the hints ask for, at least one, each with the service's port. Throws
/// std::invalid_argument for a number above 65535 or for hints that make no sense, std::system_error
/// (unknown_service) for a name that is in no list.
std::vector<service_port> find_service(std::string_view call, std::string_view service,
                                       const address_hints& hints);

/// The service's name, or the number if it has none. \param datagram look for UDP's
std::string service_name(std::uint16_t port, bool datagram);

}  // namespace weft::dns_layer
