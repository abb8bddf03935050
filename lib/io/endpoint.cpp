#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <stdexcept>

#include <weft/endpoint.hpp>

namespace weft {
namespace {

static_assert(sizeof(sockaddr_un) < endpoint::capacity && sizeof(sockaddr_in6) < endpoint::capacity);

constexpr std::size_t path_offset = offsetof(sockaddr_un, sun_path);
constexpr std::size_t longest_path = sizeof(sockaddr_un::sun_path) - 1;

[[noreturn]] void invalid(std::string_view what, std::string_view value, std::string_view reason) {
    std::string text(what);
    text.append(": \"").append(value).append("\": ").append(reason);
    throw std::invalid_argument(text);
}

template <class Address>
Address as(const endpoint& e) noexcept {
    Address address{};
    std::memcpy(&address, e.data(), std::min(sizeof address, e.size()));
    return address;
}

template <class Address>
endpoint made_of(const Address& address) {
    return endpoint(reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

// The number of the interface that a scope names; 0: there is none.
std::uint32_t scope_number(const std::string& scope) {
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(scope.data(), scope.data() + scope.size(), number);
    if (error == std::errc() && end == scope.data() + scope.size()) return number;
    return ::if_nametoindex(scope.c_str());
}

// False if the text is no address.
bool parse_address(std::string_view text, std::uint16_t port, endpoint& result, std::string_view& reason) {
    reason = "this is not an IPv4 or IPv6 address in digits; names are resolved by getaddrinfo";
    if (text.find('\0') != text.npos) return false;
    const std::size_t percent = text.find('%');
    const std::string digits(text.substr(0, percent));
    if (sockaddr_in address{}; percent == text.npos && ::inet_pton(AF_INET, digits.c_str(), &address.sin_addr) == 1) {
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        result = made_of(address);
        return true;
    }
    sockaddr_in6 address{};
    if (::inet_pton(AF_INET6, digits.c_str(), &address.sin6_addr) != 1) return false;
    if (percent != text.npos) {
        address.sin6_scope_id = scope_number(std::string(text.substr(percent + 1)));
        reason = "the scope behind '%' is neither the number nor the name of a network interface here";
        if (address.sin6_scope_id == 0) return false;
    }
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    result = made_of(address);
    return true;
}

}  // namespace

endpoint::endpoint(std::string_view address, std::uint16_t port) {
    std::string_view reason;
    if (!parse_address(address, port, *this, reason)) invalid("endpoint", address, reason);
}

endpoint::endpoint(const sockaddr* address, std::size_t size) {
    if (size == 0) return;
    std::size_t least = sizeof(sa_family_t);
    if (address && size >= least) {
        if (address->sa_family == AF_INET) least = sizeof(sockaddr_in);
        if (address->sa_family == AF_INET6) least = sizeof(sockaddr_in6);
    }
    if (!address || size < least || size > capacity)
        throw std::invalid_argument("endpoint: an address of " + std::to_string(size) + " bytes does not fit its family");
    std::memcpy(bytes_, address, size);
    size_ = size;
}

endpoint endpoint::parse(std::string_view text) {
    constexpr std::string_view call = "endpoint::parse";
    constexpr std::string_view unix_prefix = "unix:";
    if (text.starts_with(unix_prefix)) {
        try {
            return unix_path(text.substr(unix_prefix.size()));
        } catch (const std::invalid_argument& error) {
            throw std::invalid_argument(std::string(call) + ": " + error.what());
        }
    }

    const std::size_t colon = text.rfind(':');
    if (colon == text.npos) invalid(call, text, "expected ADDRESS:PORT, [IPV6]:PORT or unix:PATH");
    std::string_view address = text.substr(0, colon);
    const bool bracketed = address.starts_with('[') && address.ends_with(']');
    if (bracketed) address = address.substr(1, address.size() - 2);
    else if (text.starts_with('[')) invalid(call, text, "expected a port: [IPV6]:PORT");
    else if (address.find(':') != address.npos) invalid(call, text, "an IPv6 address stands in brackets: [IPV6]:PORT");

    const std::string_view digits = text.substr(colon + 1);
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc() || end != digits.data() + digits.size())
        invalid(call, text, "the port must be a number from 0 to 65535");

    endpoint result;
    std::string_view reason;
    if (!parse_address(address, port, result, reason)) invalid(call, text, reason);
    if (bracketed && result.family() != AF_INET6) invalid(call, text, "only IPv6 addresses stand in brackets");
    return result;
}

endpoint endpoint::unix_path(std::string_view path) {
    constexpr std::string_view call = "Unix socket path";
    const bool abstract = path.starts_with('@');
    if (path.empty() || path == "@") invalid(call, path, "it is empty");
    if (path.size() > longest_path)
        invalid(call, path, "it has " + std::to_string(path.size()) + " bytes, and 107 is the most there can be");
    if (!abstract && path.find('\0') != path.npos) invalid(call, path, "it contains a zero byte");
    endpoint result;
    result.size_ = path_offset + path.size() + (abstract ? 0 : 1);
    const sa_family_t family = AF_UNIX;
    std::memcpy(result.bytes_, &family, sizeof family);
    std::memcpy(result.bytes_ + path_offset, path.data(), path.size());
    if (abstract) result.bytes_[path_offset] = 0;
    return result;
}

int endpoint::family() const noexcept {
    sa_family_t family = AF_UNSPEC;
    if (size_ >= sizeof family) std::memcpy(&family, bytes_, sizeof family);
    return family;
}

std::string endpoint::host() const {
    char text[INET6_ADDRSTRLEN] = "";
    if (family() == AF_INET) {
        const auto address = as<sockaddr_in>(*this);
        ::inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
        return text;
    }
    if (family() == AF_INET6) {
        const auto address = as<sockaddr_in6>(*this);
        ::inet_ntop(AF_INET6, &address.sin6_addr, text, sizeof text);
        if (address.sin6_scope_id == 0) return text;
        char name[IF_NAMESIZE];
        const bool named = ::if_indextoname(address.sin6_scope_id, name) != nullptr;
        return std::string(text) + '%' + (named ? name : std::to_string(address.sin6_scope_id));
    }
    if (family() == AF_UNIX && size_ > path_offset) {
        std::string name(significant());
        if (name.starts_with('\0')) name[0] = '@';
        else if (name.starts_with('@')) name.insert(0, "./");   // a file that would read like an abstract name
        return name;
    }
    return {};
}

std::uint16_t endpoint::port() const noexcept {
    if (family() == AF_INET) return ntohs(as<sockaddr_in>(*this).sin_port);
    if (family() == AF_INET6) return ntohs(as<sockaddr_in6>(*this).sin6_port);
    return 0;
}

endpoint endpoint::with_port(std::uint16_t port) const {
    if (family() == AF_INET) {
        auto address = as<sockaddr_in>(*this);
        address.sin_port = htons(port);
        return made_of(address);
    }
    if (family() == AF_INET6) {
        auto address = as<sockaddr_in6>(*this);
        address.sin6_port = htons(port);
        return made_of(address);
    }
    invalid("endpoint::with_port", to_string(), "it is not an IPv4 or IPv6 address");
}

std::string endpoint::to_string() const {
    switch (family()) {
        case AF_UNSPEC: return {};
        case AF_INET: return host() + ':' + std::to_string(port());
        case AF_INET6: return '[' + host() + "]:" + std::to_string(port());
        case AF_UNIX: return "unix:" + host();
        default: return "address of family " + std::to_string(family());
    }
}

// The bytes that say where it is, apart from family, port and scope: what remains after padding and terminating zeros.
std::string_view endpoint::significant() const noexcept {
    const auto* text = reinterpret_cast<const char*>(bytes_);
    switch (family()) {
        case AF_INET: return {text + offsetof(sockaddr_in, sin_addr), sizeof(in_addr)};
        case AF_INET6: return {text + offsetof(sockaddr_in6, sin6_addr), sizeof(in6_addr)};
        case AF_UNIX: {
            if (size_ <= path_offset) return {};
            const std::string_view name(text + path_offset, size_ - path_offset);
            return name.front() == '\0' ? name : name.substr(0, name.find('\0'));
        }
        default: return {text, size_};
    }
}

bool operator==(const endpoint& a, const endpoint& b) noexcept {
    if (a.family() != b.family() || a.port() != b.port() || a.significant() != b.significant()) return false;
    return a.family() != AF_INET6 || as<sockaddr_in6>(a).sin6_scope_id == as<sockaddr_in6>(b).sin6_scope_id;
}

std::size_t endpoint::hash() const noexcept {
    return std::hash<std::string_view>()(significant()) * 31 + port() * 8191u + static_cast<std::size_t>(family());
}

}  // namespace weft
