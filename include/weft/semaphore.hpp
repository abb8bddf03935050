#pragma once

/// semaphore and bounded_semaphore: a number of permits (asyncio.Semaphore with std::counting_semaphore's
/// names).
///
/// Invariant: value_ > 0 only while nobody waits: a released permit goes to the first waiter before that
/// runs, so nobody can overtake, try_acquire included.
///
/// Both have a mutex's members too, so that std::scoped_lock and std::unique_lock are `async with semaphore`.

#include <chrono>
#include <cstddef>
#include <limits>

#include <weft/detail/config.hpp>
#include <weft/detail/gate.hpp>
#include <weft/detail/waiter.hpp>

namespace weft {

/// Permits, taken one at a time. Destroying one that somebody waits for ends the program.
class WEFT_API semaphore {
public:
    /// \param permits  how many there are to begin with
    ///
    /// Errors: std::invalid_argument if negative.
    explicit semaphore(std::ptrdiff_t permits = 1) : semaphore(permits, max()) {}
    ~semaphore();
    semaphore(const semaphore&) = delete;
    semaphore& operator=(const semaphore&) = delete;

    static constexpr std::ptrdiff_t max() noexcept { return std::numeric_limits<std::ptrdiff_t>::max(); }

    /// Takes a permit, first come, first served.
    ///
    /// Suspends:      only while there is none.
    /// Cancellation:  while suspended; then no permit has been taken and the next waiter has lost nothing.
    /// Errors:        no_running_task in a loop callback that would have to wait.
    /// Thread-safety: any thread; a plain thread blocks.
    void acquire();

    /// Takes a permit if there is one; false otherwise. Never suspends. Any thread.
    bool try_acquire() noexcept;

    /// As acquire, but no longer than `time`; false if that was not enough.
    ///
    /// Suspends:      only while there is no permit; then once even if the time is up.
    /// Cancellation:  while suspended; then no permit has been taken and the next waiter has lost nothing.
    /// Errors:        as acquire.
    /// Thread-safety: any thread; a plain thread blocks.
    template <class Rep, class Period>
    [[nodiscard]] bool try_acquire_for(const std::chrono::duration<Rep, Period>& time) {
        return try_acquire() || acquire_until(detail::deadline_after(time));
    }
    /// The same, until a point in time of any clock.
    template <class Clock, class Duration>
    [[nodiscard]] bool try_acquire_until(const std::chrono::time_point<Clock, Duration>& when) {
        return try_acquire() || acquire_until(detail::deadline_at(when));
    }

    /// Gives permits back, or new ones out: to the first waiters, the rest into the semaphore. Whoever calls
    /// it need not have acquired one. Any thread.
    ///
    /// Errors: std::invalid_argument for a negative number; std::logic_error if there would be more than
    ///         max(), or, in a bounded_semaphore, more than it began with. Then nothing has changed.
    void release(std::ptrdiff_t permits = 1);

    /// How many permits could be taken now. Any thread.
    std::ptrdiff_t value() const noexcept;

    // The same under a mutex's names.
    void lock() { acquire(); }
    bool try_lock() noexcept { return try_acquire(); }
    template <class Rep, class Period>
    [[nodiscard]] bool try_lock_for(const std::chrono::duration<Rep, Period>& time) {
        return try_acquire_for(time);
    }
    template <class Clock, class Duration>
    [[nodiscard]] bool try_lock_until(const std::chrono::time_point<Clock, Duration>& when) {
        return try_acquire_until(when);
    }
    void unlock() { release(); }

protected:
    semaphore(std::ptrdiff_t permits, std::ptrdiff_t limit);

private:
    bool acquire_until(detail::time_point deadline);
    bool wait(detail::time_point deadline, bool biased);    // in the gate, which it leaves
    void hand_over(std::ptrdiff_t permits, bool biased);    // likewise

    mutable detail::gate gate_;
    std::ptrdiff_t value_;  // 0 <= value_ <= limit_
    const std::ptrdiff_t limit_;
    detail::wait_list waiters_;  // none can be woken while value_ > 0
};

/// A semaphore that never has more permits than it began with: releasing one too many is a std::logic_error
/// and changes nothing (asyncio.BoundedSemaphore).
class WEFT_API bounded_semaphore : public semaphore {
public:
    explicit bounded_semaphore(std::ptrdiff_t permits = 1) : semaphore(permits, permits) {}
};

}  // namespace weft
