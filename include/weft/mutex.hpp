#pragma once

/// mutex: std::timed_mutex's shape for fibers and plain threads (asyncio.Lock).
///
/// Invariants
///  - unlock hands the mutex to the first waiter before that runs, so it is never free while somebody waits:
///    nobody can overtake, try_lock included.
///  - It belongs to the fiber, or the plain thread, that locked it; all loop callbacks of one thread count as
///    one owner.
///
/// Rejected: to let whoever comes first take a mutex that was just unlocked (std's way: fewer switches under
/// contention, but a fiber that locks in a loop then starves all others of its thread).

#include <chrono>

#include <weft/detail/config.hpp>
#include <weft/detail/gate.hpp>
#include <weft/detail/waiter.hpp>

namespace weft {

/// Mutual exclusion. Destroying one that somebody waits for ends the program.
class WEFT_API mutex {
public:
    constexpr mutex() noexcept = default;
    ~mutex();
    mutex(const mutex&) = delete;
    mutex& operator=(const mutex&) = delete;

    /// Becomes the owner, first come, first served.
    ///
    /// Suspends:      only while another fiber or thread owns it.
    /// Cancellation:  while suspended; then it is not owned, and the next waiter has lost nothing.
    /// Errors:        std::system_error(resource_deadlock_would_occur) if the caller owns it already;
    ///                no_running_task in a loop callback that would have to wait.
    /// Thread-safety: any thread; a plain thread blocks.
    void lock();

    /// Becomes the owner if nobody owns it; false otherwise, also if the caller itself does. Never suspends.
    /// Any thread.
    bool try_lock() noexcept;

    /// As lock, but no longer than `time`; false if that was not enough.
    ///
    /// Suspends:      only while another owns it; once even if the time is up.
    /// Cancellation:  while suspended; then it is not owned, and the next waiter has lost nothing.
    /// Errors:        as lock.
    /// Thread-safety: any thread; a plain thread blocks.
    template <class Rep, class Period>
    [[nodiscard]] bool try_lock_for(const std::chrono::duration<Rep, Period>& time) {
        return try_lock() || lock_until(detail::deadline_after(time));
    }
    /// The same, until a point in time of any clock.
    template <class Clock, class Duration>
    [[nodiscard]] bool try_lock_until(const std::chrono::time_point<Clock, Duration>& when) {
        return try_lock() || lock_until(detail::deadline_at(when));
    }

    /// Gives it to the first waiter, or frees it.
    ///
    /// Errors: std::system_error(operation_not_permitted) if the caller does not own it. Any thread.
    void unlock();

private:
    friend class condition_variable;
    friend class recursive_mutex;

    bool lock_until(detail::time_point deadline);
    void lock_uncancellable();  // as lock; a request to cancel stays pending
    bool owned_by_caller() const noexcept;

    // In the gate, which they leave.
    bool wait(detail::time_point deadline, const void* self, bool cancellable, bool biased);
    void hand_over(const void* self, bool biased);

    mutable detail::gate gate_;
    const void* owner_ =
        nullptr;  // an identity (detail::self_identity), null: free. A waiter's is in its slot.
    detail::wait_list waiters_;  // none can be woken while owner_ is null
};

}  // namespace weft
