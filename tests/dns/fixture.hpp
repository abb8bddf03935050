#pragma once

/// What the tests of this layer share: a server, a clock that can be moved, files, and the check for leaks.

#include <catch2/catch.hpp>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <weft/dns.hpp>
#include <weft/run.hpp>
#include <weft/task.hpp>

#include "dns_server.hpp"
#include "kernel/clock.hpp"
#include "leak_check.hpp"

namespace dns_test {

using namespace std::chrono_literals;
using weft::dns_errc;
using weft_test::open_descriptors;

/// The loop's clock: the system's, plus what the test adds.
class movable_clock {
public:
    movable_clock() {
        offset_ = std::chrono::nanoseconds(0);
        weft::kernel::installed_clock = &now;
    }
    ~movable_clock() { weft::kernel::installed_clock = nullptr; }
    void advance(std::chrono::nanoseconds by) { offset_ = offset_.load() + by; }

private:
    static weft::detail::time_point now() noexcept {
        return std::chrono::steady_clock::now() + offset_.load();
    }
    static inline std::atomic<std::chrono::nanoseconds> offset_{};
};

/// The loop's clock, moved by the test alone: what waits for a time waits until the test says so.
class stopped_clock {
public:
    stopped_clock() {
        now_ = std::chrono::steady_clock::now();
        weft::kernel::installed_clock = &read;
    }
    ~stopped_clock() { weft::kernel::installed_clock = nullptr; }
    void advance(std::chrono::nanoseconds by) { now_ = now_.load() + by; }

private:
    static weft::detail::time_point read() noexcept { return now_; }
    static inline std::atomic<weft::detail::time_point> now_{};
};

class temporary_file {
public:
    explicit temporary_file(const std::string& text) {
        char name[] = "/tmp/weft-dns-XXXXXX";
        ::close(::mkstemp(name));
        path_ = name;
        write(text);
    }
    ~temporary_file() { ::unlink(path_.c_str()); }
    void write(const std::string& text) { std::ofstream(path_, std::ios::trunc) << text; }
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

struct dns_fixture {
    weft_test::leak_check leaks;
    dns_server server;
    temporary_file no_search{"search .\n"};
    temporary_file hosts{""};

    weft::resolver_options options() const {
        return {.servers = {server.address()},
                .timeout = 2s,
                .tries = 2,
                .hosts_file = hosts.path(),
                .resolv_conf = no_search.path()};
    }
    /// For tests that see a server fail to answer.
    weft::resolver_options impatient() const {
        auto chosen = options();
        chosen.timeout = 30ms;
        chosen.tries = 1;
        return chosen;
    }
};

/// The dns_errc that f throws.
template <class F> dns_errc error_of(F f) {
    try {
        f();
    } catch (const std::system_error& e) {
        if (e.code().category() == weft::dns_category())
            return static_cast<dns_errc>(e.code().value());
        throw;
    }
    throw std::runtime_error("nothing was thrown");
}

/// What f's exception says.
template <class E, class F> std::string message_of(F f) {
    try {
        f();
    } catch (const E& e) {
        return e.what();
    }
    throw std::runtime_error("nothing was thrown");
}

/// The endpoints of an answer, in order.
inline std::vector<std::string> endpoints(const std::vector<weft::address_info>& infos) {
    std::vector<std::string> result;
    for (const auto& info : infos)
        result.push_back(info.address.to_string());
    return result;
}

using strings = std::vector<std::string>;

}  // namespace dns_test
