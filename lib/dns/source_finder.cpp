#include "dns/source_finder.hpp"

#include <netinet/in.h>
#include <unistd.h>

namespace weft::dns_layer {

source_finder::~source_finder() {
    if (socket_ >= 0)
        ::close(socket_);
}

bool source_finder::open() noexcept {
    if (socket_ >= 0)
        return true;
    for (const int family : {AF_INET6, AF_INET}) {
        socket_ = ::socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
        if (socket_ < 0)
            continue;
        family_ = family;
        const int no = 0;  // whatever /proc/sys/net/ipv6/bindv6only says
        if (family == AF_INET6)
            ::setsockopt(socket_, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
        return true;
    }
    return false;
}

std::optional<ip_address> source_finder::source_for(const ip_address& to) noexcept {
    if (!open() || (to.family == AF_INET6 && family_ == AF_INET))
        return {};
    sockaddr_storage storage{};
    auto* address = reinterpret_cast<sockaddr*>(&storage);
    if (connected_) {
        address->sa_family = AF_UNSPEC;
        ::connect(socket_, address, sizeof(sockaddr_in6));
    }
    connected_ = true;  // one that failed may have left something, too
    socklen_t length = to_sockaddr(family_ == AF_INET6 ? mapped(to) : to, 1, storage);  // any port will do
    if (::connect(socket_, address, length) != 0)
        return {};
    length = sizeof storage;
    if (::getsockname(socket_, address, &length) != 0)
        return {};
    const auto source = from_sockaddr(*address);
    return source && to.family == AF_INET ? unmapped(*source) : source;
}

}  // namespace weft::dns_layer
