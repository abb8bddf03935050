#pragma once

/// recursive_mutex: a mutex that its owner may lock again (std::recursive_timed_mutex's shape).
///
/// depth_ belongs to the owner of mutex_: only the owner reads or writes it, so it needs no lock of its own.

#include <chrono>

#include <weft/mutex.hpp>

namespace weft {

/// Mutual exclusion that counts how often its owner has locked it. Destroying one that somebody waits for
/// ends the program.
class WEFT_API recursive_mutex {
public:
    constexpr recursive_mutex() noexcept = default;
    recursive_mutex(const recursive_mutex&) = delete;
    recursive_mutex& operator=(const recursive_mutex&) = delete;

    /// Becomes the owner, first come, first served, or owns it once more.
    ///
    /// Suspends:      only while another fiber or thread owns it.
    /// Cancellation:  while suspended; then it is not owned, and the next waiter has lost nothing.
    /// Errors:        no_running_task in a loop callback that would have to wait.
    /// Thread-safety: any thread; a plain thread blocks.
    void lock();

    /// Becomes the owner if nobody else is; false otherwise. Never suspends. Any thread.
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

    /// Takes one lock() back; the last one gives it to the first waiter, or frees it.
    ///
    /// Errors: std::system_error(operation_not_permitted) if the caller does not own it. Any thread.
    void unlock();

private:
    bool lock_until(detail::time_point deadline);

    mutex mutex_;
    std::size_t depth_ = 0;  // how often the owner has locked it; 0 while there is none
};

}  // namespace weft
