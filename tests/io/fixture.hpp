#pragma once

/// What the tests of this layer share: connected sockets, a clock that moves only when nothing else can happen, what an
/// exception said, and temporary names.

#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include <weft/error.hpp>
#include <weft/loop.hpp>
#include <weft/run.hpp>
#include <weft/socket.hpp>
#include <weft/stream.hpp>
#include <weft/task.hpp>

#include "kernel/clock.hpp"
#include "leak_check.hpp"

namespace io_test {

using namespace std::chrono_literals;
using weft_test::leak_check;

inline std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

inline std::string receive(weft::socket& s, std::size_t most = 64 * 1024, int flags = 0) {
    std::string text(most, '\0');
    text.resize(s.recv(std::as_writable_bytes(std::span(text)), flags));
    return text;
}

/// Starts f at once; it has run until it first waited when this returns.
template <class F>
auto start(F f) {
    weft::task_options options;
    options.eager = true;
    return weft::create_task(options, std::move(f));
}

inline void turns(int count) {
    for (int i = 0; i < count; ++i) weft::yield_now();
}

/// A socket of this machine that listens on a free port.
inline weft::socket listening(const char* where = "127.0.0.1:0", int backlog = 16) {
    const auto local = weft::endpoint::parse(where);
    weft::socket s(local.family(), SOCK_STREAM);
    s.bind(local);
    s.listen(backlog);
    return s;
}

/// Two ends of a TCP connection: the one that connected, and the one that accepted.
inline std::pair<weft::socket, weft::socket> tcp_pair() {
    weft::socket listener = listening();
    weft::socket client(AF_INET, SOCK_STREAM);
    client.connect(listener.local_endpoint());
    weft::socket server = listener.accept();
    return {std::move(client), std::move(server)};
}

inline std::pair<weft::socket, weft::socket> unix_pair(int type = SOCK_STREAM) {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) == 0);
    return {weft::socket(ends[0]), weft::socket(ends[1])};
}

/// Two ends of a connection that takes few bytes at a time.
inline std::pair<weft::socket, weft::socket> narrow_pair() {
    auto ends = unix_pair();
    for (weft::socket* s : {&ends.first, &ends.second}) s->set_option(SOL_SOCKET, SO_SNDBUF, 4096);
    return ends;
}

/// Closing it kills the connection with an RST.
inline void reset_on_close(weft::socket& s) {
    const linger at_once{1, 0};
    s.set_option(SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

/// What f throws of this type says.
template <class E, class F>
std::string message_of(F f) {
    try {
        f();
    } catch (const E& e) {
        return e.what();
    }
    throw std::runtime_error("nothing was thrown");
}

/// The errno of the system_error that f throws; 0: none.
template <class F>
int error_of(F f) {
    try {
        f();
    } catch (const std::system_error& e) {
        return e.code().value();
    }
    return 0;
}

/// Text without a pattern that a misplaced piece could repeat.
inline std::string long_text(std::size_t size) {
    std::string text;
    text.reserve(size + 16);
    for (std::size_t i = 0; text.size() < size; ++i) text += std::to_string(i * 2654435761u) + (i % 5 ? "," : "\n");
    text.resize(size);
    return text;
}

/// Virtual time: it stands still while anything can happen, and jumps to the next deadline when nothing can.
class virtual_clock {
public:
    virtual_clock() {
        now_ = weft::detail::time_point(1000h);
        weft::kernel::installed_clock = &read;
        weft::kernel::installed_advance = &advance;
    }
    ~virtual_clock() {
        weft::kernel::installed_clock = nullptr;
        weft::kernel::installed_advance = nullptr;
    }

    static weft::detail::time_point read() noexcept { return now_; }

private:
    static void advance(weft::detail::time_point to) noexcept { now_ = to; }
    static inline std::atomic<weft::detail::time_point> now_{};
};

class temporary_folder {
public:
    temporary_folder() {
        char name[] = "/tmp/weft-io-XXXXXX";
        REQUIRE(::mkdtemp(name));
        path_ = name;
    }
    ~temporary_folder() { std::filesystem::remove_all(path_); }
    std::string operator/(const std::string& name) const { return path_ + '/' + name; }

private:
    std::string path_;
};

/// The messages that reach this loop's exception handler, from now on.
struct reports {
    reports() {
        weft::get_running_loop().set_exception_handler([this](weft::loop&, const weft::exception_context& c) {
            std::string text = c.message;
            try {
                if (c.exception) std::rethrow_exception(c.exception);
            } catch (const std::exception& e) {
                text += std::string(": ") + e.what();
            } catch (...) {
                text += ": ?";
            }
            messages.push_back(text);
        });
    }
    ~reports() { weft::get_running_loop().set_exception_handler(nullptr); }
    std::vector<std::string> messages;
};

}  // namespace io_test
