#include "dns/service.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>

#include "dns/error.hpp"

namespace weft::dns_layer {
namespace {

struct transport {
    int socktype;
    int protocol;
    const char* name;  // in /etc/services
};
constexpr transport transports[] = {{SOCK_STREAM, IPPROTO_TCP, "tcp"}, {SOCK_DGRAM, IPPROTO_UDP, "udp"}};

/// The kinds of socket that fit the hints.
std::vector<transport> wanted_transports(std::string_view call, const address_hints& hints) {
    std::vector<transport> result;
    for (const transport& t : transports) {
        const bool type_fits = hints.socktype == 0 || hints.socktype == t.socktype;
        const bool protocol_fits = hints.protocol == 0 || hints.protocol == t.protocol;
        if (type_fits && protocol_fits)
            result.push_back(t);
    }
    if (!result.empty())
        return result;
    switch (hints.socktype) {
    case 0:
    case SOCK_STREAM:  // MPTCP, SCTP
    case SOCK_DGRAM:   // UDP-Lite, ICMP
    case SOCK_SEQPACKET:
    case SOCK_RAW:
        return {{hints.socktype, hints.protocol, nullptr}};
    default:
        throw_invalid(call, std::to_string(hints.socktype), "is no socket type for address_hints::socktype");
    }
}

/// Calls a getserv..._r function with a buffer that is large enough; the entry is read while that lives.
template <class Call, class Read>
auto with_service_entry(Call call, Read read) -> std::optional<decltype(read(std::declval<servent&>()))> {
    std::vector<char> buffer(1024);
    for (;;) {
        servent entry{};
        servent* found = nullptr;
        const int error = call(&entry, buffer.data(), buffer.size(), &found);
        if (error == ERANGE && buffer.size() < 1024 * 1024) {
            buffer.resize(buffer.size() * 2);
            continue;
        }
        if (error != 0 || !found)
            return {};
        return read(*found);
    }
}

}  // namespace

std::vector<service_port> find_service(std::string_view call, std::string_view service,
                                       const address_hints& hints) {
    std::vector<service_port> result;
    const auto wanted = wanted_transports(call, hints);
    const bool number =
        std::ranges::all_of(service, [](char c) { return c >= '0' && c <= '9'; });  // empty: port 0
    if (number) {
        unsigned port = 0;
        const auto [end, error] = std::from_chars(service.data(), service.data() + service.size(), port);
        if (!service.empty() && (error != std::errc{} || port > 65535))
            throw_invalid(call, service, "is no port number");
        for (const transport& t : wanted)
            result.push_back({t.socktype, t.protocol, static_cast<std::uint16_t>(port)});
        return result;
    }
    if (hints.flags & AI_NUMERICSERV)
        throw_invalid(call, service, "is no port number");
    if (service.find('\0') != std::string_view::npos)
        throw_invalid(call, service, "is no service");

    const std::string name(service);
    for (const transport& t : wanted) {
        const auto port = with_service_entry(
            [&](auto... rest) { return ::getservbyname_r(name.c_str(), t.name, rest...); },
            [](const servent& entry) { return ntohs(static_cast<std::uint16_t>(entry.s_port)); });
        if (port)
            result.push_back({t.socktype, t.protocol, *port});
    }
    if (result.empty())
        throw_dns_error(dns_errc::unknown_service, call, service);
    return result;
}

std::string service_name(std::uint16_t port, bool datagram) {
    const auto name = with_service_entry(
        [&](auto... rest) { return ::getservbyport_r(htons(port), datagram ? "udp" : "tcp", rest...); },
        [](const servent& entry) { return std::string(entry.s_name); });
    return name ? *name : std::to_string(port);
}

}  // namespace weft::dns_layer
