#pragma once

/// latch: counts down once; at zero everybody may pass (std::latch's shape).

#include <chrono>
#include <cstddef>
#include <limits>

#include <weft/detail/config.hpp>
#include <weft/detail/gate.hpp>
#include <weft/detail/waiter.hpp>

namespace weft {

/// A counter that only falls, to wait for. Destroying one that somebody waits for ends the program.
class WEFT_API latch {
public:
    /// Errors: std::invalid_argument if negative.
    explicit latch(std::ptrdiff_t expected);
    ~latch();
    latch(const latch&) = delete;
    latch& operator=(const latch&) = delete;

    static constexpr std::ptrdiff_t max() noexcept { return std::numeric_limits<std::ptrdiff_t>::max(); }

    /// Takes n off the counter; at zero all waiters go on, in the order in which they came. Any thread.
    ///
    /// Errors: std::invalid_argument if n is negative or more than is left; then nothing has changed.
    void count_down(std::ptrdiff_t n = 1);

    /// True if the counter is zero.
    bool try_wait() const noexcept;

    /// Returns when the counter is zero.
    ///
    /// Suspends:      only while it is not.
    /// Cancellation:  while suspended; the latch is not touched.
    /// Errors:        no_running_task in a loop callback that would have to wait.
    /// Thread-safety: any thread; a plain thread blocks.
    void wait() const { wait_open(detail::time_point::max()); }

    /// As wait, but no longer than `time`: true if the counter came to zero, false if the time was up.
    ///
    /// Suspends:      only while the counter is not zero; then once even if the time is up.
    /// Cancellation:  while suspended; the latch is not touched.
    /// Errors:        as wait.
    /// Thread-safety: any thread; a plain thread blocks.
    template <class Rep, class Period> bool wait_for(const std::chrono::duration<Rep, Period>& time) const {
        return try_wait() || wait_open(detail::deadline_after(time));
    }
    /// The same, until a point in time of any clock.
    template <class Clock, class Duration>
    bool wait_until(const std::chrono::time_point<Clock, Duration>& when) const {
        return try_wait() || wait_open(detail::deadline_at(when));
    }

    /// count_down(n), then wait(). What was counted down stays so if the wait is cancelled.
    ///
    /// Suspends:      only while the counter is not zero.
    /// Cancellation:  while suspended.
    /// Errors:        as count_down and wait.
    /// Thread-safety: any thread; a plain thread blocks.
    void arrive_and_wait(std::ptrdiff_t n = 1);

private:
    bool wait_open(detail::time_point deadline) const;
    void check(std::ptrdiff_t n) const;
    void take(std::ptrdiff_t n, const detail::gate_lock& lock, detail::wake_batch& batch) noexcept;

    mutable detail::gate gate_;
    std::ptrdiff_t left_;                // >= 0
    mutable detail::wait_list waiters_;  // none can be woken while left_ is 0
};

}  // namespace weft
