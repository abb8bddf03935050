#pragma once

/// Files for the engine's tests: pairs that are connected, and a look at what the engine has registered.

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <string>
#include <utility>

#include <catch2/catch.hpp>

#include "engine/engine.hpp"

namespace weft_test {

using weft::detail::time_point;
using weft::engine_layer::adopt;
using weft::engine_layer::descriptor;
using weft::engine_layer::descriptor_ptr;
using weft::engine_layer::engine;
using weft::engine_layer::fd_of;
using weft::engine_layer::io_result;

constexpr time_point no_deadline = time_point::max();

/// Two ends of one connection, or the reading and the writing end of a pipe.
struct ends {
    descriptor_ptr first;
    descriptor_ptr second;
};

inline ends socket_pair(int type = SOCK_STREAM) {
    int fds[2];
    REQUIRE(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) == 0);
    return {adopt(fds[0]), adopt(fds[1])};
}

inline ends pipe_ends() {
    int fds[2];
    REQUIRE(::pipe2(fds, O_CLOEXEC) == 0);
    return {adopt(fds[0]), adopt(fds[1])};
}

/// A TCP socket that listens on a port of its own of the loopback interface.
struct listener {
    explicit listener(int backlog = 16) : file(adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))) {
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        REQUIRE(::bind(fd_of(*file), reinterpret_cast<sockaddr*>(&address), size) == 0);
        REQUIRE(::listen(fd_of(*file), backlog) == 0);
        REQUIRE(::getsockname(fd_of(*file), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    }
    const sockaddr* where() const { return reinterpret_cast<const sockaddr*>(&address); }

    descriptor_ptr file;
    sockaddr_in address{};
};

inline descriptor_ptr tcp_socket() { return adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

/// Writes until the file takes no more, so that the next write has to wait.
inline std::size_t fill(const descriptor& d) {
    static const char bytes[4096] = {};
    std::size_t total = 0;
    for (std::size_t step = sizeof bytes; step > 0; step /= 2)
        for (ssize_t n; (n = ::write(fd_of(d), bytes, step)) > 0;) total += static_cast<std::size_t>(n);
    return total;
}
/// Reads all that is there.
inline std::size_t drain(const descriptor& d) {
    char bytes[4096];
    std::size_t total = 0;
    for (ssize_t n; (n = ::read(fd_of(d), bytes, sizeof bytes)) > 0;) total += static_cast<std::size_t>(n);
    return total;
}
inline void put(const descriptor& d, const std::string& text) {
    REQUIRE(::write(fd_of(d), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

/// What one read gives: the bytes, or "errno 9", "cancelled", "timed out", "end".
inline std::string told(const io_result& r, const char* bytes = nullptr) {
    if (r.is_cancelled()) return "cancelled";
    if (r.is_timed_out()) return "timed out";
    if (!r.ok()) return "errno " + std::to_string(r.error());
    if (r.value() == 0) return "end";
    return bytes ? std::string(bytes, static_cast<std::size_t>(r.value())) : std::to_string(r.value());
}
inline std::string read_text(engine& e, descriptor& d, time_point deadline = no_deadline) {
    char bytes[64];
    const io_result r = e.read(d, bytes, sizeof bytes, deadline);
    return told(r, bytes);
}
inline std::string error_text(int error) { return "errno " + std::to_string(error); }

/// How many files an epoll instance watches, its doorbell among them.
inline int watched_files(engine& e) {
    std::ifstream info("/proc/self/fdinfo/" + std::to_string(e.fd()));
    int count = 0;
    for (std::string line; std::getline(info, line);) count += line.rfind("tfd:", 0) == 0;
    return count;
}

/// Whether it watches so many. io_uring's engine registers nothing with the system: there it is always so.
inline bool watches_files(engine& e, int count) {
    return e.name() != std::string("epoll") || watched_files(e) == count;
}

}  // namespace weft_test
