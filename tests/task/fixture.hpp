#pragma once

/// What the tests of tasks share: time that only passes when nothing else can happen, a place to park, objects that are
/// counted, and the check for leaks. Nothing here waits for real time to pass.

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <weft/error.hpp>
#include <weft/loop.hpp>
#include <weft/run.hpp>
#include <weft/task.hpp>

#include "leak_check.hpp"
#include "virtual_clock.hpp"

namespace task_test {

using namespace std::chrono_literals;
using notes = std::vector<std::string>;
using weft_test::virtual_clock;

/// An object that knows how many of its kind live, and how often it was copied and moved.
struct counted {
    explicit counted(int v = 0) : value(v) { ++live; }
    counted(const counted& other) : value(other.value) { ++live, ++copies; }
    counted(counted&& other) noexcept : value(std::exchange(other.value, -1)) { ++live, ++moves; }
    counted& operator=(const counted&) = default;
    ~counted() { --live; }

    int value;
    static inline std::atomic<int> live{0}, copies{0}, moves{0};
};

/// Runs a function when it goes out of scope; the function may block, and may throw nothing.
template <class F> struct at_exit {
    F f;
    ~at_exit() { f(); }
};
template <class F> at_exit(F) -> at_exit<F>;

/// A test leaves no counted object alive. That no fiber is left, the end of the loop checks itself.
class count_check {
public:
    count_check() { counted::live = counted::copies = counted::moves = 0; }
    ~count_check() { CHECK(counted::live == 0); }
    count_check(const count_check&) = delete;
    count_check& operator=(const count_check&) = delete;
};

struct fixture {
    weft_test::leak_check descriptors;
    count_check objects;
    virtual_clock clock;
};

/// Waits until it is cancelled.
inline void park() {
    weft::sleep(std::chrono::hours::max());
}

/// Lets everything that is ready run `turns` times.
inline void turns(int count) {
    while (count-- > 0)
        weft::yield_now();
}

/// What the running loop's exception handler is told, from now on. To be made before the loop, so as to outlive it.
struct reports {
    void install() {
        weft::get_running_loop().set_exception_handler([this](weft::loop&, const weft::exception_context& c) {
            seen.push_back({c.message, text(c.exception), c.task.id()});
        });
    }
    static std::string text(const std::exception_ptr& e) {
        if (!e)
            return "none";
        try {
            std::rethrow_exception(e);
        } catch (const std::exception& thrown) {
            return thrown.what();
        } catch (const weft::cancelled& c) {
            return "cancelled: " + c.message();
        } catch (...) {
            return "unknown";
        }
    }
    struct report {
        std::string message, exception;
        std::uint64_t task;
    };
    std::vector<report> seen;
};

/// The message of the E that f throws; "nothing" if it throws nothing, "another" if something else.
template <class E = weft::cancelled, class F> std::string thrown_by(F&& f) {
    try {
        std::forward<F>(f)();
    } catch (const E& e) {
        if constexpr (std::is_base_of_v<std::exception, E>)
            return e.what();
        else
            return e.message();
    } catch (...) {
        return "another";
    }
    return "nothing";
}

template <class E, class F> bool throws(F&& f) {
    try {
        std::forward<F>(f)();
    } catch (const E&) {
        return true;
    } catch (...) {
    }
    return false;
}

}  // namespace task_test
