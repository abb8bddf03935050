#pragma once

/// shared_mutex: one writer or many readers (std::shared_timed_mutex's shape).
///
/// One queue for both, first in, first out: readers that come while a writer waits queue behind it, so
/// writers do not starve; neighbouring readers at its head enter together.
///
/// Invariants
///  - owner_ is set or readers_ > 0, never both.
///  - Whenever the gate is left, the first waiter that can still be woken, if any, is one that may not enter:
///    a reader behind an owner, a writer behind anybody. Whoever takes a waiter out of the queue keeps this
///    up (admit).
///
/// Rejected: a queue for each side with a turn between them (a writer could be overtaken by later writers'
/// readers).

#include <chrono>
#include <cstddef>

#include <weft/detail/config.hpp>
#include <weft/detail/gate.hpp>
#include <weft/detail/waiter.hpp>

namespace weft {

/// Exclusive or shared ownership. Destroying one that somebody waits for ends the program.
class WEFT_API shared_mutex {
public:
    constexpr shared_mutex() noexcept = default;
    ~shared_mutex();
    shared_mutex(const shared_mutex&) = delete;
    shared_mutex& operator=(const shared_mutex&) = delete;

    /// Becomes the only owner, first come, first served.
    ///
    /// Suspends:      only while others own it, or wait.
    /// Cancellation:  while suspended; then it is not owned, and readers that queued behind the caller may go
    ///                on.
    /// Errors:        std::system_error(resource_deadlock_would_occur) if the caller is the writer already;
    ///                no_running_task in a loop callback that would have to wait.
    /// Thread-safety: any thread; a plain thread blocks.
    void lock() { lock_until(detail::time_point::max()); }

    /// Becomes the only owner if nobody owns it or waits; false otherwise. Never suspends. Any thread.
    bool try_lock() noexcept;

    /// As lock, but no longer than `time`; false if that was not enough.
    ///
    /// Suspends:      only while others own it, or wait; then once even if the time is up.
    /// Cancellation:  while suspended; then it is not owned, and readers that queued behind the caller may go
    ///                on.
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

    /// Lets those in who wait at the head of the queue.
    ///
    /// Errors: std::system_error(operation_not_permitted) if the caller is not the writer. Any thread.
    void unlock();

    /// Becomes one of the readers, first come, first served.
    ///
    /// Suspends:      only while there is a writer, or somebody waits.
    /// Cancellation:  while suspended; then it is not owned, and the next waiter has lost nothing.
    /// Errors:        std::system_error(resource_deadlock_would_occur) if the caller is the writer;
    ///                no_running_task in a loop callback that would have to wait.
    /// Thread-safety: any thread; a plain thread blocks.
    void lock_shared() { lock_shared_until(detail::time_point::max()); }

    /// Becomes one of the readers if there is no writer and nobody waits; false otherwise. Never suspends.
    /// Any thread.
    bool try_lock_shared() noexcept;

    /// As lock_shared, but no longer than `time`; false if that was not enough.
    ///
    /// Suspends:      only while there is a writer, or somebody waits; then once even if the time is up.
    /// Cancellation:  while suspended; then it is not owned, and the next waiter has lost nothing.
    /// Errors:        as lock_shared.
    /// Thread-safety: any thread; a plain thread blocks.
    template <class Rep, class Period>
    [[nodiscard]] bool try_lock_shared_for(const std::chrono::duration<Rep, Period>& time) {
        return try_lock_shared() || lock_shared_until(detail::deadline_after(time));
    }
    /// The same, until a point in time of any clock.
    template <class Clock, class Duration>
    [[nodiscard]] bool try_lock_shared_until(const std::chrono::time_point<Clock, Duration>& when) {
        return try_lock_shared() || lock_shared_until(detail::deadline_at(when));
    }

    /// Leaves; the last reader lets the next writer in. Who the readers are is not kept: only their number is
    /// checked.
    ///
    /// Errors: std::system_error(operation_not_permitted) if there is no reader. Any thread.
    void unlock_shared();

private:
    bool lock_until(detail::time_point deadline);
    bool lock_shared_until(detail::time_point deadline);
    bool enter(const void* writer, detail::time_point deadline, const char* what);
    bool take(const detail::gate_lock& lock, detail::wake_batch& batch, const void* writer) noexcept;
    void admit(const detail::gate_lock& lock, detail::wake_batch& batch) noexcept;

    mutable detail::gate gate_;
    const void* owner_ = nullptr;  // the writer's identity
    std::size_t readers_ = 0;
    detail::wait_list waiters_;  // a writer's slot is its identity, a reader's is null
};

}  // namespace weft
