#pragma once

/// endpoint: where a socket is: an IPv4 or IPv6 address with a port, or a Unix socket's name.
///
/// A value of fixed size, held in the form the operating system takes, so that a socket fills and reads it in place. It
/// is a numeric address: names are resolved by getaddrinfo. The text form is one that parse() reads back:
///
///     127.0.0.1:80      [::1]:80      [fe80::1%eth0]:80      unix:/run/app.sock      unix:@abstract-name
///
/// Two endpoints are equal when they mean the same place; padding and flow labels do not count.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include <weft/detail/config.hpp>

struct sockaddr;

namespace weft {

class WEFT_API endpoint {
public:
    /// No place at all: family() is 0 (AF_UNSPEC), to_string() is empty.
    endpoint() noexcept = default;

    /// \param address  an IPv4 or IPv6 address in digits, without brackets; IPv6 may carry a scope: "fe80::1%eth0"
    /// Errors: std::invalid_argument naming the address.
    endpoint(std::string_view address, std::uint16_t port);

    /// What a system call gave or takes. Errors: std::invalid_argument if `size` does not fit the family.
    endpoint(const sockaddr* address, std::size_t size);

    /// Reads the text form. Errors: std::invalid_argument naming the text and what is wrong with it.
    static endpoint parse(std::string_view text);

    /// A Unix socket's path; '@' in front makes it a name in the abstract namespace, which leaves no file behind.
    ///
    /// Errors: std::invalid_argument for a path that is empty, longer than 107 bytes, or contains a zero byte (an
    /// abstract name may).
    static endpoint unix_path(std::string_view path);

    /// AF_INET, AF_INET6, AF_UNIX, ...
    int family() const noexcept;
    /// The address in digits, an IPv6 scope behind '%'; of a Unix socket its path, of an abstract one '@' and its name, of an
    /// unnamed one nothing.
    std::string host() const;
    /// 0 where there are no ports.
    std::uint16_t port() const noexcept;
    /// The same address with another port. Errors: invalid_argument where there are no ports.
    endpoint with_port(std::uint16_t port) const;
    std::string to_string() const;

    /// For system calls: the address, and its size in bytes.
    const sockaddr* data() const noexcept { return reinterpret_cast<const sockaddr*>(bytes_); }
    std::size_t size() const noexcept { return size_; }
    /// For system calls that fill an address in: room for capacity bytes; then say with resize() how many there are.
    sockaddr* data() noexcept { return reinterpret_cast<sockaddr*>(bytes_); }
    static constexpr std::size_t capacity = 112;   // sockaddr_un, and the zero byte Linux appends to a full path
    void resize(std::size_t size) noexcept { size_ = size < capacity ? size : capacity; }

    WEFT_API friend bool operator==(const endpoint& a, const endpoint& b) noexcept;

private:
    friend struct std::hash<endpoint>;
    std::size_t hash() const noexcept;
    std::string_view significant() const noexcept;

    alignas(8) unsigned char bytes_[capacity] = {};   // SAFETY: only read as a sockaddr of the family that was put there
    std::size_t size_ = 0;                            // 0: empty; else at least the family is there
};

}  // namespace weft

template <>
struct std::hash<weft::endpoint> {
    std::size_t operator()(const weft::endpoint& e) const noexcept { return e.hash(); }
};
