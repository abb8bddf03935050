#pragma once

/// event: a flag to wait for (asyncio.Event).
///
/// set() wakes everybody who waits; they go on even if clear() follows before they run, as in asyncio. All
/// members enter the gate, is_set() too: whoever has seen the flag may destroy the event, so setting it must
/// be over by then.

#include <chrono>

#include <weft/detail/config.hpp>
#include <weft/detail/gate.hpp>
#include <weft/detail/waiter.hpp>

namespace weft {

/// A flag that many can wait for. Destroying one that somebody waits for ends the program.
class WEFT_API event {
public:
    constexpr event() noexcept = default;
    ~event();
    event(const event&) = delete;
    event& operator=(const event&) = delete;

    /// Sets the flag and wakes all waiters, in the order in which they came. Any thread.
    void set() noexcept;
    /// Takes the flag back; later waits suspend again. Any thread.
    void clear() noexcept;
    bool is_set() const noexcept;

    /// Returns when the flag is set.
    ///
    /// Suspends:      only while it is not set.
    /// Cancellation:  while suspended; the event is not touched.
    /// Errors:        no_running_task in a loop callback that would have to wait.
    /// Thread-safety: any thread; a plain thread blocks.
    void wait() const { wait_set(detail::time_point::max()); }

    /// As wait, but no longer than `time`: true if the event was set, false if the time was up.
    ///
    /// Suspends:      only while it is not set; once even if the time is up.
    /// Cancellation:  while suspended; the event is not touched.
    /// Errors:        as wait.
    /// Thread-safety: any thread; a plain thread blocks.
    template <class Rep, class Period> bool wait_for(const std::chrono::duration<Rep, Period>& time) const {
        return is_set() || wait_set(detail::deadline_after(time));
    }
    /// The same, until a point in time of any clock.
    template <class Clock, class Duration>
    bool wait_until(const std::chrono::time_point<Clock, Duration>& when) const {
        return is_set() || wait_set(detail::deadline_at(when));
    }

private:
    bool wait_set(detail::time_point deadline) const;

    mutable detail::gate gate_;
    bool set_ = false;
    mutable detail::wait_list waiters_;  // none can be woken while set_
};

}  // namespace weft
