#pragma once

/// What the tests of this layer share, beside what the tests of tasks do: threads and loops of their own, and time.

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <weft/loop.hpp>
#include <weft/run.hpp>
#include <weft/sync.hpp>
#include <weft/task.hpp>
#include <weft/timeout.hpp>

#include "child_process.hpp"
#include "leak_check.hpp"
#include "rounds.hpp"
#include "task/fixture.hpp"

namespace sync_test {

using namespace task_test;
using namespace weft;
using weft_test::in_child;
using weft_test::rounds;

/// For tests with plain threads, which know nothing of the virtual clock, or with several loops.
struct real_time {
    weft_test::leak_check leaks;
};

/// A thread that is joined at the end of its scope. Nothing in it may use Catch2's macros.
class thread {
public:
    template <class F>
    explicit thread(F f) : thread_(std::move(f)) {}
    thread(thread&&) = default;
    ~thread() { join(); }
    void join() {
        if (thread_.joinable()) thread_.join();
    }

private:
    std::thread thread_;
};

/// A thread with a loop.
class loop_thread : public thread {
public:
    template <class F>
    explicit loop_thread(F f) : thread([f]() mutable { run(f); }) {}
};

/// Waits, in a loop or a plain thread, until another thread has done something.
inline void until(const std::function<bool()>& done) {
    while (!done()) yield_now();
}

/// Runs f as a callback of the running loop, and returns when it has run.
template <class F>
void in_callback(F f) {
    bool ran = false;
    get_running_loop().call_soon([&] {
        f();
        ran = true;
    });
    until([&] { return ran; });
}

/// The code of the std::system_error that f throws.
template <class F>
std::error_code code_thrown_by(F&& f) {
    try {
        std::forward<F>(f)();
    } catch (const std::system_error& e) {
        return e.code();
    }
    return {};
}

}  // namespace sync_test
