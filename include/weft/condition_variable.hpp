#pragma once

/// condition_variable: std::condition_variable_any's shape, for any BasicLockable (asyncio.Condition).
///
/// A wait joins the queue before it unlocks, so no notification sent under the lock can be missed. It takes
/// the lock again before it returns or throws, and no cancellation cuts that short. A cancellation that comes
/// before the lock is held again ends the wait, as in asyncio; a notification that the waiter had received by
/// then goes on to the next one of those that were waiting, too.
///
/// It may be destroyed as soon as everybody who waits has been notified, as std's. A waiter that notify_all woke,
/// or notify_one as the last one, has nothing to pass on and does not come back to it. Any other stands in a
/// second list from its notification until it holds the lock again, and the destructor tells those that are
/// still there that they have nothing to pass on any more.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>
#include <utility>

#include <weft/detail/cancellation.hpp>
#include <weft/detail/config.hpp>
#include <weft/detail/gate.hpp>
#include <weft/detail/waiter.hpp>
#include <weft/mutex.hpp>

namespace weft {

/// Waiting for a condition that a lock guards. Destroying one that somebody waits for ends the program.
class WEFT_API condition_variable {
public:
    constexpr condition_variable() noexcept = default;
    ~condition_variable();
    condition_variable(const condition_variable&) = delete;
    condition_variable& operator=(const condition_variable&) = delete;

    /// Wakes the waiter that has waited longest, if any. The caller need not hold the lock. Any thread.
    void notify_one() noexcept;
    /// Wakes all waiters, in the order in which they came. Any thread.
    void notify_all() noexcept;

    /// Unlocks, waits for a notification, and locks again.
    ///
    /// Suspends:      always.
    /// Cancellation:  while suspended, and while locking again; then the lock is held when it throws, and a
    ///                notification that had been received goes to the next waiter.
    /// Errors:        what unlock throws; no_running_task in a loop callback. If lock throws, the program
    ///                ends, as std's.
    /// Thread-safety: any thread; a plain thread blocks.
    template <class Lock> void wait(Lock& lock) { wait_once(lock, detail::time_point::max()); }
    /// Waits until ready(), called with the lock held, is true.
    ///
    /// Suspends:      only while ready() is false.
    /// Cancellation:  as above.
    /// Errors:        as above, and what ready throws.
    /// Thread-safety: any thread; a plain thread blocks.
    template <class Lock, class Predicate> void wait(Lock& lock, Predicate ready) {
        while (!ready())
            wait(lock);
    }

    /// As wait, but no longer than until a point in time of any clock: cv_status::timeout if that came first.
    ///
    /// Suspends:      always, also if the time is up.
    /// Cancellation:  as wait.
    /// Errors:        as wait.
    /// Thread-safety: any thread; a plain thread blocks.
    template <class Lock, class Clock, class Duration>
    std::cv_status wait_until(Lock& lock, const std::chrono::time_point<Clock, Duration>& when) {
        return wait_once(lock, detail::deadline_at(when)) ? std::cv_status::no_timeout
                                                          : std::cv_status::timeout;
    }
    /// With a condition: what ready() says at the end.
    template <class Lock, class Clock, class Duration, class Predicate>
    bool wait_until(Lock& lock, const std::chrono::time_point<Clock, Duration>& when, Predicate ready) {
        return wait_ready(lock, std::stop_token(), detail::deadline_at(when), ready);
    }
    /// The same, no longer than for a time.
    template <class Lock, class Rep, class Period>
    std::cv_status wait_for(Lock& lock, const std::chrono::duration<Rep, Period>& time) {
        return wait_until(lock, detail::deadline_after(time));
    }
    template <class Lock, class Rep, class Period, class Predicate>
    bool wait_for(Lock& lock, const std::chrono::duration<Rep, Period>& time, Predicate ready) {
        return wait_until(lock, detail::deadline_after(time), std::move(ready));
    }

    /// The same, ended by a request to stop, too; returns what ready() says at the end.
    template <class Lock, class Predicate> bool wait(Lock& lock, std::stop_token stop, Predicate ready) {
        return wait_ready(lock, std::move(stop), detail::time_point::max(), ready);
    }
    template <class Lock, class Clock, class Duration, class Predicate>
    bool wait_until(Lock& lock, std::stop_token stop, const std::chrono::time_point<Clock, Duration>& when,
                    Predicate ready) {
        return wait_ready(lock, std::move(stop), detail::deadline_at(when), ready);
    }
    template <class Lock, class Rep, class Period, class Predicate>
    bool wait_for(Lock& lock, std::stop_token stop, const std::chrono::duration<Rep, Period>& time,
                  Predicate ready) {
        return wait_ready(lock, std::move(stop), detail::deadline_after(time), ready);
    }

private:
    /// One wait. debt_: owing while it stands in notified_, set and cleared under the gate, except
    ///   owing -> returning  by the waiter, before it enters the gate to take itself out;
    ///   owing -> none       by the destructor: then the waiter does not come back.
    class entry : public detail::waiter {
    public:
        using waiter::waiter;
        /// Whether it may have a notification to pass on.
        bool owes() const noexcept { return debt_.load(std::memory_order_acquire) != none; }

    private:
        friend condition_variable;
        enum : std::uint8_t { none, owing, returning };
        std::atomic<std::uint8_t> debt_{none};
        entry* before_;
        entry* behind_;  // in notified_
    };

    /// True if notified, false if timed out. `stop` is looked at once the waiter stands in the queue: what
    /// stops later notifies.
    template <class Lock>
    bool wait_once(Lock& lock, detail::time_point deadline, const std::stop_token& stop = {}) {
        entry self("condition_variable::wait", this);
        enqueue(self);
        if (stop.stop_requested()) {
            leave(self);
            return true;
        }
        try {
            lock.unlock();
        } catch (...) {
            leave(self);
            throw;
        }
        const detail::wait_outcome outcome = wait_notified(self, deadline);
        if (outcome == detail::wait_outcome::cancelled) {
            try {
                detail::throw_cancelled();
            } catch (...) {
                relock(lock);
                throw;
            }
        }
        relock(lock);
        try {
            detail::check_cancelled();
        } catch (...) {
            pass_on(self);
            throw;
        }
        if (self.owes()) [[unlikely]]
            settle(self);
        return outcome == detail::wait_outcome::woken;
    }

    template <class Lock, class Predicate>
    bool wait_ready(Lock& lock, std::stop_token stop, detail::time_point deadline, Predicate& ready) {
        const std::stop_callback wake(stop, [this]() noexcept { notify_all(); });
        while (!stop.stop_requested()) {
            if (ready())
                return true;
            if (!wait_once(lock, deadline, stop))
                break;
        }
        return ready();
    }

    template <class Lock> static void relock(Lock& lock) noexcept {
        const detail::cancellation_hold hold;
        lock.lock();
    }
    static void relock(mutex& lock) noexcept { lock.lock_uncancellable(); }
    static void relock(std::unique_lock<mutex>& lock) noexcept {
        mutex& locked = *lock.release();
        locked.lock_uncancellable();
        lock = std::unique_lock(locked, std::adopt_lock);
    }

    void enqueue(entry& self) noexcept;
    void leave(entry& self) noexcept;
    detail::wait_outcome wait_notified(entry& self, detail::time_point deadline) noexcept;
    entry* claim_one(const detail::gate_lock& lock) noexcept;
    void note(entry& notified) noexcept;
    void pass_on(entry& self) noexcept;
    void settle(entry& self) noexcept;
    static bool begin_to_return(entry& self) noexcept;
    void forget(entry& self) noexcept;

    detail::gate gate_;
    detail::wait_list waiters_;
    entry* notified_ = nullptr;  // by notify_one while others waited, and may pass that on
};

}  // namespace weft
