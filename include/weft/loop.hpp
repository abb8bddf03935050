#pragma once

/// The loop: callbacks, timers, descriptors, signals; how it is run, and embedded in another one (asyncio's event loop).

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

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
    std::string created_at = {};    // "file:line", or what is known, of where the task or the callback was created; may be empty
};

/// A callback that was scheduled (asyncio.Handle). Dropping it does not cancel the callback.
///
/// Thread-safety: cancel and cancelled from any thread; one handle object as any value.
class WEFT_API handle {
public:
    handle() noexcept = default;
    /// It will not run, unless it has begun. Frees the function at once on the loop's thread; from another one, when its turn
    /// would have come.
    void cancel() noexcept;
    bool cancelled() const noexcept;

    explicit handle(std::shared_ptr<detail::handle_state> state) noexcept : state_(std::move(state)) {}

private:
    std::shared_ptr<detail::handle_state> state_;
};

/// Made by run, runner and loop_group. Loop-local, except where a member says otherwise: in debug mode a call from another
/// thread is a std::logic_error. Once the loop is closed, calls are invalid_state.
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

    /// Has f called whenever the file can be read from (written to), or has failed or hung up, until the reader (writer) is
    /// removed; in the place of the one that was there. Level-triggered: what f leaves is told again in the next turn. f runs
    /// as by call_soon; an exception goes to the exception handler, and f stays.
    ///
    /// The file is not owned, and may be used by sockets and wait_readable all the same. Remove its callbacks before it
    /// is closed: they go by the number, as asyncio's.
    ///
    /// Errors: std::invalid_argument; std::system_error, also for what is always ready and cannot be watched (regular files).
    template <class F>
    void add_reader(int fd, F&& f) {
        watch_reader(fd, repeated(std::forward<F>(f)));
    }
    template <class F>
    void add_writer(int fd, F&& f) {
        watch_writer(fd, repeated(std::forward<F>(f)));
    }
    /// False if there was none. f is not called again, also if it was due already.
    bool remove_reader(int fd);
    bool remove_writer(int fd);

    /// Has f called when the signal has come, as by call_soon, in the place of what the process does on it, and of the handler
    /// that was there. A signal that comes again before f has run counts once. Other loops and signal_sets get it, too.
    ///
    /// Errors: std::invalid_argument for what is no signal or cannot be handled; std::system_error.
    template <class F>
    void add_signal_handler(int signo, F&& f) {
        watch_signal(signo, repeated(std::forward<F>(f)));
    }
    /// False if there was none. With the last of the process, what it did on the signal before is restored.
    bool remove_signal_handler(int signo);

    /// Runs what is scheduled, in this thread, until stop() (asyncio.loop.run_forever). What is left stays for the next run.
    ///
    /// Errors: std::logic_error inside a running loop, or on another thread than the one that made the loop; invalid_state.
    void run_forever();
    /// Runs f() as a task, or goes on with a task<T>, until it has ended; gives its result, or throws (asyncio's
    /// run_until_complete). As run_forever otherwise; Ctrl-C is left alone.
    ///
    /// Errors: invalid_state if stop() came first: then the task goes on in the next run.
    template <class F>
    decltype(auto) run_until_complete(F&& f) {
        begin("loop::run_until_complete");
        struct end_at_exit {
            loop& self;
            ~end_at_exit() { self.end(); }
        } guard{*this};
        if constexpr (std::is_base_of_v<task_handle, std::decay_t<F>>) {
            // Only waits: the result is for the call that sees the end, and not for one that a stop() ends before.
            std::decay_t<F> awaited(std::forward<F>(f));
            const auto main = create_task([t = task_handle(awaited)] { t.join(); });
            drive(main);
            main.result();
            return std::move(awaited).take();
        } else {
            auto main = create_task(std::forward<F>(f));
            drive(main);
            return std::move(main).take();
        }
    }
    /// Ends run_forever and run_until_complete after the turn that runs now; if none runs, the next run makes one turn. Any
    /// thread, while the loop exists.
    void stop() noexcept;
    /// In a run at this moment; any thread.
    bool is_running() const noexcept;
    bool is_closed() const noexcept;

    /// To embed this loop in another one: becomes readable when run_once has something to do, be it descriptors, timers,
    /// wakes from other threads, or tasks and callbacks that are ready. Belongs to the loop; for poll and its like only.
    ///
    /// Errors: std::system_error.
    int fd() const;
    /// Makes one turn: runs what is ready; if there is nothing, waits for it, at most this long. Returns false if nothing
    /// came. Errors: as run_forever.
    template <class Rep, class Period>
    bool run_once(std::chrono::duration<Rep, Period> at_most) {
        return run_once_until(at_most <= at_most.zero() ? detail::time_point::min() : detail::deadline_after(at_most));
    }

    /// Is told of exceptions that nobody took or could take, and, in debug mode, of what else is wrong. Without one they are
    /// printed on standard error. An exception that the handler throws is printed, too. Any thread: from another one it takes
    /// effect in the loop's next turn.
    void set_exception_handler(std::function<void(loop&, const exception_context&)> handler);
    /// Tells the exception handler, on this loop's thread.
    void call_exception_handler(const exception_context& context) noexcept;

    /// The pool that to_thread uses, in place of one made when it is first needed. Whichever it is at the end is shut down
    /// then, as asyncio.run does: a pool for several loops is one for run_in_executor. Errors: std::invalid_argument for null.
    void set_default_executor(std::shared_ptr<thread_pool_executor> pool);

    /// Debug mode reports callbacks, and tasks between two waits, that hold the loop for longer than
    /// run_options::slow_callback_duration; calls of loop-local members from other threads; tasks that were still pending, and
    /// referred to by nobody, when the loop closed. The loop then comes back to its own stack after each of them.
    void set_debug(bool on);
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
    template <class F>
    static std::function<void()> repeated(F&& f) {
        auto call = std::make_shared<std::decay_t<F>>(std::forward<F>(f));   // std::function copies, f may only move
        return [call] { std::invoke(*call); };
    }
    void check(const char* call) const;   // invalid_state if the loop is closed; in debug mode logic_error on another thread
    void watch_reader(int fd, std::function<void()> f);
    void watch_writer(int fd, std::function<void()> f);
    void watch_signal(int signo, std::function<void()> f);
    void begin(const char* call);
    void end() noexcept;
    void drive(const task_handle& main);
    bool run_once_until(detail::time_point latest);
    handle schedule(std::function<void()> f);
    handle schedule_threadsafe(std::function<void()> f);
    handle schedule_at(detail::time_point when, std::function<void()> f);

    detail::loop_state& state_;
};

/// This thread's loop. Errors: no_running_loop.
WEFT_API loop& get_running_loop();

}  // namespace weft
