#pragma once

/// loop_thread: a thread that runs one loop until it is stopped, then closes it. The closed loop stays, for those who ask it,
/// until the thread is joined.

#include <future>
#include <latch>
#include <thread>

#include <weft/detail/gate.hpp>
#include <weft/detail/waiter.hpp>
#include <weft/run.hpp>

namespace weft::detail {

class loop_thread {
public:
    /// Returns when the loop is there. Throws what making it throws, or the thread.
    explicit loop_thread(const run_options& options);
    /// Stops the loop, waits until its tasks have ended, and joins; suspends the calling task, blocks a plain thread.
    ~loop_thread();
    loop_thread(const loop_thread&) = delete;
    loop_thread& operator=(const loop_thread&) = delete;

    weft::loop& loop() const noexcept { return *loop_; }
    /// Does not wait; any thread, more than once.
    void stop() noexcept;

private:
    void run(const run_options& options, std::promise<weft::loop*> made) noexcept;
    void tell_end() noexcept;
    void wait_for_end() noexcept;

    weft::loop* loop_ = nullptr;
    gate gate_;
    wait_list waiters_;    // guarded by gate_, like
    bool ended_ = false;   // the loop is closed
    std::latch released_{1};
    std::thread thread_;
};

}  // namespace weft::detail
