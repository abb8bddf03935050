#pragma once

/// The loop: callbacks, timers, descriptors (asyncio's event loop).

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <string>

#include <weft/detail/config.hpp>
#include <weft/task.hpp>

namespace weft {

class thread_pool_executor;

namespace detail {
struct loop_state;
struct handle_state;
}  // namespace detail

/// What the exception handler is told.
struct exception_context {
    std::string message;            // one sentence: what happened
    std::exception_ptr exception;   // may be null
    task_handle task;               // may be empty
};

/// A callback that was scheduled (asyncio.Handle). Dropping it does not cancel the callback. Loop-local.
class WEFT_API handle {
public:
    handle() noexcept = default;
    /// It will not run. Nothing happens if it has.
    void cancel() noexcept;
    bool cancelled() const noexcept;

    explicit handle(std::shared_ptr<detail::handle_state> state) noexcept : state_(std::move(state)) {}

private:
    std::shared_ptr<detail::handle_state> state_;
};

/// Made by run, runner and loop_group. Loop-local, except where a member says otherwise.
class WEFT_API loop {
public:
    loop(const loop&) = delete;
    loop& operator=(const loop&) = delete;

    /// Has f(arguments…), decay-copied, called in the next turn, first in first out. An exception goes to the exception
    /// handler. A callback must not wait (no_running_task).
    template <class F, class... A>
    handle call_soon(F&& f, A&&... arguments) {
        return schedule(bind(std::forward<F>(f), std::forward<A>(arguments)...));
    }
    /// The same from any thread. Errors: invalid_state if the loop is closed.
    template <class F, class... A>
    handle call_soon_threadsafe(F&& f, A&&... arguments) {
        return schedule_threadsafe(bind(std::forward<F>(f), std::forward<A>(arguments)...));
    }
    /// Not before `delay` has passed; equal times run in the order in which they were scheduled.
    template <class Rep, class Period, class F, class... A>
    handle call_later(std::chrono::duration<Rep, Period> delay, F&& f, A&&... arguments) {
        return schedule_at(detail::deadline_after(delay), bind(std::forward<F>(f), std::forward<A>(arguments)...));
    }
    template <class F, class... A>
    handle call_at(std::chrono::steady_clock::time_point when, F&& f, A&&... arguments) {
        return schedule_at(when, bind(std::forward<F>(f), std::forward<A>(arguments)...));
    }
    /// Now, on the clock that call_at uses.
    std::chrono::steady_clock::time_point time() const noexcept { return detail::now(); }

    bool is_running() const noexcept;
    bool is_closed() const noexcept;

    /// Is told of exceptions that nobody took or could take. Without one they are printed on standard error. An exception
    /// that the handler throws is printed, too.
    void set_exception_handler(std::function<void(loop&, const exception_context&)> handler);
    /// Tells the exception handler, on this loop's thread.
    void call_exception_handler(const exception_context& context) noexcept;

    /// The pool that to_thread uses, in place of one made when it is first needed. Whichever it is at the end is shut down
    /// then, as asyncio.run does: a pool for several loops is one for run_in_executor. Errors: std::invalid_argument for null.
    void set_default_executor(std::shared_ptr<thread_pool_executor> pool);

    void set_debug(bool on) noexcept;
    bool get_debug() const noexcept;

    /// For weft itself.
    explicit loop(detail::loop_state& state) noexcept : state_(state) {}
    detail::loop_state& state() const noexcept { return state_; }

private:
    template <class F, class... A>
    static std::function<void()> bind(F&& f, A&&... arguments) {
        auto call = std::make_shared<std::tuple<std::decay_t<F>, std::decay_t<A>...>>(std::forward<F>(f),
                                                                                      std::forward<A>(arguments)...);
        return [call] {
            std::apply([](auto&& g, auto&&... a) { std::invoke(std::move(g), std::move(a)...); }, std::move(*call));
        };
    }
    void check_open(const char* call) const;   // invalid_state naming the call if the loop is closed
    handle schedule(std::function<void()> f);
    handle schedule_threadsafe(std::function<void()> f);
    handle schedule_at(detail::time_point when, std::function<void()> f);

    detail::loop_state& state_;
};

/// This thread's loop. Errors: no_running_loop.
WEFT_API loop& get_running_loop();

}  // namespace weft
