#pragma once

/// Deadlines: timeout, wait_for, move_on_after (asyncio.timeout, asyncio.wait_for, trio.move_on_after).
///
/// At the deadline the body is cancelled. Only a `cancelled` that leaves the body for that reason becomes a timeout_error; if
/// the body returns or throws something else, that is the outcome. A cancellation from outside stays a cancellation,
/// whatever the clock says. Nested scopes: each turns only its own expiry into its own timeout_error, the outermost that
/// has expired at its own boundary.

#include <chrono>
#include <functional>
#include <type_traits>
#include <utility>

#include <weft/detail/cancellation.hpp>
#include <weft/detail/job.hpp>
#include <weft/error.hpp>
#include <weft/task.hpp>

namespace weft {

/// The deadline of a running body (asyncio.Timeout). Only inside it, on its own fiber.
class WEFT_API timeout_scope : private kernel::timer {
public:
    /// Sets another deadline, time_point::max() for none. Errors: invalid_state if it has expired.
    void reschedule(std::chrono::steady_clock::time_point when);
    /// time_point::max(): none.
    std::chrono::steady_clock::time_point when() const noexcept { return kernel::timer::when; }
    /// True once the body has been asked to end.
    bool expired() const noexcept { return expired_; }

    /// For weft itself. Throws no_running_loop or no_running_task naming `what`.
    timeout_scope(std::chrono::steady_clock::time_point when, const char* what, detail::source_place where);
    ~timeout_scope();
    timeout_scope(const timeout_scope&) = delete;
    timeout_scope& operator=(const timeout_scope&) = delete;
    /// After a `cancelled` left the body: whether it was this scope's.
    bool was_own() noexcept { return request_.raised() && request_.withdraw(); }

private:
    void arm(std::chrono::steady_clock::time_point when) noexcept;

    detail::request_scope request_;
    bool expired_ = false;
};

namespace detail {

template <class F>
decltype(auto) call_in_scope(F&& f, timeout_scope& scope) {
    if constexpr (std::is_invocable_v<F, timeout_scope&>) return std::invoke(std::forward<F>(f), scope);
    else return std::invoke(std::forward<F>(f));
}
template <class F>
using timeout_result_t = decltype(call_in_scope(std::declval<F>(), std::declval<timeout_scope&>()));

template <class F>
timeout_result_t<F> run_until(time_point when, F&& f, const char* what, source_place where) {
    timeout_scope scope(when, what, where);
    try {
        return call_in_scope(std::forward<F>(f), scope);
    } catch (const cancelled&) {
        if (!scope.was_own()) throw;
    }
    throw timeout_error();
}

}  // namespace detail

/// Runs f in this fiber, with a deadline; f takes nothing or a timeout_scope&. Returns what f returns.
///
/// Suspends:      as f does.
/// Cancellation:  as f does. Zero or negative: f is cancelled at its first check; if it never blocks, it completes.
/// Errors:        timeout_error; what f throws; no_running_loop, no_running_task.
template <class Rep, class Period, class F>
auto timeout(std::chrono::duration<Rep, Period> time, F&& f, detail::source_place where = detail::source_place::current())
    -> detail::timeout_result_t<F> {
    return detail::run_until(detail::deadline_after(time), std::forward<F>(f), "timeout", where);
}
/// The same until a point in time of any clock.
template <class Clock, class Duration, class F>
auto timeout_at(std::chrono::time_point<Clock, Duration> when, F&& f,
                detail::source_place where = detail::source_place::current()) -> detail::timeout_result_t<F> {
    return detail::run_until(detail::deadline_at(when), std::forward<F>(f), "timeout_at", where);
}

/// timeout for a callable, in asyncio.wait_for's order of arguments.
template <class F, class Rep, class Period>
    requires(!std::is_base_of_v<task_handle, std::decay_t<F>>)
decltype(auto) wait_for(F&& f, std::chrono::duration<Rep, Period> time,
                        detail::source_place where = detail::source_place::current()) {
    return detail::run_until(detail::deadline_after(time), std::forward<F>(f), "wait_for", where);
}

/// Waits for a task until the deadline, then cancels it, waits for its end, and throws timeout_error, unless it had a result
/// or an error all the same.
///
/// Cancellation: forwarded to the task; when that has ended, throws `cancelled`.
template <class T, class Rep, class Period>
T wait_for(task<T> t, std::chrono::duration<Rep, Period> time,
           detail::source_place where = detail::source_place::current()) {
    if (t.done()) return std::move(t).get();
    {
        timeout_scope scope(detail::deadline_after(time), "wait_for", where);
        try {
            t.core()->join_forwarding("wait_for");
        } catch (const cancelled&) {
            t.core()->mark_retrieved();
            if (!scope.was_own()) throw;
            if (t.cancelled()) goto timed_out;   // out of the handler: the scope ends first
        }
    }
    return std::move(t).get();
timed_out:
    throw timeout_error();
}

/// Runs f with a deadline; true if f finished, false if it was cut off (trio.move_on_after).
template <class Rep, class Period, class F>
bool move_on_after(std::chrono::duration<Rep, Period> time, F&& f,
                   detail::source_place where = detail::source_place::current()) {
    timeout_scope scope(detail::deadline_after(time), "move_on_after", where);
    try {
        static_cast<void>(detail::call_in_scope(std::forward<F>(f), scope));
        return true;
    } catch (const cancelled&) {
        if (!scope.was_own()) throw;
        return false;
    }
}

}  // namespace weft
