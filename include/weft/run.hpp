#pragma once

/// run and runner: a loop on this thread, for as long as a function runs (asyncio.run, asyncio.Runner).

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include <weft/detail/context.hpp>
#include <weft/loop.hpp>
#include <weft/task.hpp>

namespace weft {

enum class engine {
    automatic,   // what is best here
    epoll,
    io_uring,
};

/// The environment goes first where it speaks: WEFT_ENGINE=epoll|io_uring, WEFT_DEBUG=1|0, WEFT_STACK_SIZE=bytes. A bad value is
/// a std::invalid_argument that names it.
struct run_options {
    engine io_engine = engine::automatic;
    std::size_t stack_size = 256 * 1024;   // virtual bytes for each running task; only touched pages cost memory
    bool debug = false;
    std::chrono::nanoseconds slow_callback_duration = std::chrono::milliseconds(100);
    bool handle_sigint = true;             // only on the main thread, and where SIGINT has its default action
};

/// Several runs on one loop; its context variables persist between them. Loop-local.
class WEFT_API runner {
public:
    /// Makes the loop. Errors: std::invalid_argument for an unusable option; std::system_error.
    explicit runner(run_options options = {});
    /// As close().
    ~runner();
    runner(const runner&) = delete;
    runner& operator=(const runner&) = delete;

    /// Runs f(arguments…) as the main task and returns what it returns, or throws what it throws. Other tasks go on in the
    /// next run.
    ///
    /// Errors: std::logic_error inside a running loop; interrupted if Ctrl-C ended the main task; invalid_state once closed.
    template <class F, class... A>
    auto run(F&& f, A&&... arguments) -> std::invoke_result_t<F, A...> {
        using result = std::invoke_result_t<F, A...>;
        enter();
        struct leave_at_end {
            runner& self;
            ~leave_at_end() { self.leave(); }
        } guard{*this};
        // f and its arguments outlive the task: they are referred to, not copied.
        task<result> main = create_task([&]() -> result {
            detail::context_scope in_context(main_context());
            return std::invoke(std::forward<F>(f), std::forward<A>(arguments)...);
        });
        drive(main);
        return std::move(main).take();
    }

    loop& get_loop();
    /// Cancels the tasks that are still alive, also those born meanwhile, waits for them, and closes the loop. Exceptions
    /// of theirs that nobody took go to the exception handler. Then the default executor is shut down.
    void close();

private:
    detail::context& main_context() noexcept;   // what persists between runs
    void enter();
    void leave() noexcept;
    void drive(const task_handle& main);

    std::unique_ptr<detail::loop_state> state_;
};

/// Starts a loop on this thread, runs f(arguments…) as the main task, ends what is left (runner::close) and returns f's result
/// or throws its exception (asyncio.run).
///
/// Errors: std::logic_error inside a running loop; std::invalid_argument; interrupted.
template <class F, class... A>
    requires(!std::is_same_v<std::decay_t<F>, run_options>)
auto run(F&& f, A&&... arguments) -> std::invoke_result_t<F, A...> {
    runner r;
    return r.run(std::forward<F>(f), std::forward<A>(arguments)...);
}
template <class F, class... A>
auto run(run_options options, F&& f, A&&... arguments) -> std::invoke_result_t<F, A...> {
    runner r(options);
    return r.run(std::forward<F>(f), std::forward<A>(arguments)...);
}

}  // namespace weft
