#pragma once

/// socket_option: a socket's option with the type of its value, for socket::set_option and socket::get_option.
///
///     s.set_option(weft::socket_options::no_delay, true);
///     int room = s.get_option(weft::socket_options::receive_buffer);
///
/// What the constants below do not name is one line more: socket_option<int> mark{SOL_SOCKET, SO_MARK}.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <chrono>
#include <optional>

namespace weft {

/// \tparam T what a program says; it travels as socket_option_value<T>::type, which the system takes.
template <class T>
struct socket_option {
    int level;
    int name;
};

/// How a value travels: trivially copyable types as they are (int, timeval, ip_mreqn …).
template <class T>
struct socket_option_value {
    using type = T;
    static type to_system(const T& value) noexcept { return value; }
    static T from_system(const type& value) noexcept { return value; }
};
template <>
struct socket_option_value<bool> {
    using type = int;
    static type to_system(bool value) noexcept { return value; }
    static bool from_system(type value) noexcept { return value != 0; }
};
template <>
struct socket_option_value<std::chrono::seconds> {
    using type = int;
    static type to_system(std::chrono::seconds value) noexcept { return static_cast<type>(value.count()); }
    static std::chrono::seconds from_system(type value) noexcept { return std::chrono::seconds(value); }
};
template <>
struct socket_option_value<std::optional<std::chrono::seconds>> {
    using type = ::linger;
    static type to_system(std::optional<std::chrono::seconds> value) noexcept {
        return {value.has_value(), value ? static_cast<int>(value->count()) : 0};
    }
    static std::optional<std::chrono::seconds> from_system(const type& value) noexcept {
        return value.l_onoff ? std::optional(std::chrono::seconds(value.l_linger)) : std::nullopt;
    }
};

/// The common ones; what they mean say socket(7), tcp(7), ip(7), ipv6(7).
namespace socket_options {

inline constexpr socket_option<bool> reuse_address{SOL_SOCKET, SO_REUSEADDR};
inline constexpr socket_option<bool> reuse_port{SOL_SOCKET, SO_REUSEPORT};
inline constexpr socket_option<bool> broadcast{SOL_SOCKET, SO_BROADCAST};
inline constexpr socket_option<bool> keep_alive{SOL_SOCKET, SO_KEEPALIVE};
inline constexpr socket_option<bool> pass_credentials{SOL_SOCKET, SO_PASSCRED};
inline constexpr socket_option<int> send_buffer{SOL_SOCKET, SO_SNDBUF};          // the system doubles what it is given
inline constexpr socket_option<int> receive_buffer{SOL_SOCKET, SO_RCVBUF};
inline constexpr socket_option<int> type{SOL_SOCKET, SO_TYPE};                   // SOCK_STREAM …; only to be read
inline constexpr socket_option<int> error{SOL_SOCKET, SO_ERROR};                 // reading it clears it
/// How long the system goes on sending after close; 0 s: it resets the connection; nullopt: as it likes.
inline constexpr socket_option<std::optional<std::chrono::seconds>> linger{SOL_SOCKET, SO_LINGER};
inline constexpr socket_option<ucred> peer_credentials{SOL_SOCKET, SO_PEERCRED};   // of a Unix socket's peer; only to be read

inline constexpr socket_option<bool> no_delay{IPPROTO_TCP, TCP_NODELAY};
inline constexpr socket_option<bool> cork{IPPROTO_TCP, TCP_CORK};
inline constexpr socket_option<std::chrono::seconds> keep_alive_idle{IPPROTO_TCP, TCP_KEEPIDLE};
inline constexpr socket_option<std::chrono::seconds> keep_alive_interval{IPPROTO_TCP, TCP_KEEPINTVL};
inline constexpr socket_option<int> keep_alive_count{IPPROTO_TCP, TCP_KEEPCNT};

inline constexpr socket_option<bool> v6_only{IPPROTO_IPV6, IPV6_V6ONLY};
inline constexpr socket_option<bool> packet_info{IPPROTO_IP, IP_PKTINFO};
inline constexpr socket_option<bool> packet_info_v6{IPPROTO_IPV6, IPV6_RECVPKTINFO};

}  // namespace socket_options
}  // namespace weft
