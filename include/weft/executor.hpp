#pragma once

/// to_thread, run_in_executor, run_threadsafe: work for other threads and processes, and from other threads.
///
/// Cancellation, the same for all of them: a job that has not begun is dropped, and the waiter throws at once. While a job runs,
/// the waiter stays until it has ended, and then throws `cancelled`; so what the job refers to may be the caller's. With
/// `abandon` the waiter leaves at once, and the job runs on with a function and arguments of its own. If F takes a
/// std::stop_token before the arguments, it gets one that the cancellation triggers, with `abandon` or without.

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include <weft/detail/config.hpp>
#include <weft/detail/pool_job.hpp>
#include <weft/error.hpp>
#include <weft/future.hpp>
#include <weft/loop.hpp>
#include <weft/process_pool.hpp>
#include <weft/serializer.hpp>
#include <weft/task.hpp>
#include <weft/thread_pool.hpp>

namespace weft {

/// Says that a cancelled waiter does not wait for the job.
struct abandon_t {
    explicit abandon_t() = default;
};
inline constexpr abandon_t abandon{};

namespace detail {

/// The pool of this thread's loop, made if there is none yet. Throws no_running_loop or no_running_task naming `what`.
WEFT_API std::shared_ptr<thread_pool_state> default_pool(const char* what);

template <class F, class... A>
decltype(auto) run_in_pool(const std::shared_ptr<thread_pool_state>& pool, const char* what, F&& f, A&&... arguments) {
    awaited_call<F, A...> job(std::in_place, std::forward<F>(f), std::forward<A>(arguments)...);
    return job.run_in(pool, what);
}
template <class F, class... A>
decltype(auto) abandonable_in_pool(const std::shared_ptr<thread_pool_state>& pool, const char* what, F&& f, A&&... arguments) {
    auto job = std::make_shared<awaited_call<F, A...>>(std::in_place, std::forward<F>(f), std::forward<A>(arguments)...);
    return job->run_in(pool, what, job);
}

template <class T>
inline constexpr bool is_abandon = std::is_same_v<std::decay_t<T>, abandon_t>;

}  // namespace detail

/// Runs f(arguments…), decay-copied, in a thread of the loop's default executor, and returns what it returns or throws what it
/// throws (asyncio.to_thread).
///
/// Suspends:      always.
/// Cancellation:  before and while suspended: a job that has not begun is dropped; for one that runs, `cancelled` is thrown when
///                it has ended, and its result or exception is dropped.
/// Errors:        what f throws, the same exception; no_running_loop; no_running_task; invalid_state once the loop's default
///                executor is shut down; std::system_error if no thread can be had.
/// Thread-safety: loop-local.
template <class F, class... A>
    requires(!detail::is_abandon<F>)
decltype(auto) to_thread(F&& f, A&&... arguments) {   // deduced: Clang 14 forms a stated type before it asks what is required
    return detail::run_in_pool(detail::default_pool("to_thread"), "to_thread", std::forward<F>(f), std::forward<A>(arguments)...);
}
/// The same, but a cancelled waiter leaves at once. The job, if it has begun, runs on, and what it returns or throws is dropped;
/// the end of the loop waits for it.
///
/// Suspends:      always.
/// Cancellation:  before and while suspended, at once.
/// Errors:        as above.
/// Thread-safety: loop-local.
template <class F, class... A>
auto to_thread(abandon_t, F&& f, A&&... arguments) -> detail::job_value_t<F, A...> {
    return detail::abandonable_in_pool(detail::default_pool("to_thread"), "to_thread", std::forward<F>(f),
                                       std::forward<A>(arguments)...);
}

/// The same in a pool of one's own (loop.run_in_executor). The pool may be destroyed meanwhile: that waits for the job.
///
/// Suspends:      always.
/// Cancellation:  as to_thread; with `abandon`, at once.
/// Errors:        what f throws; invalid_state if the pool is shut down; no_running_task in a loop callback; std::system_error if
///                no thread can be had; cancelled if the pool was shut down with cancel_pending before the job began.
/// Thread-safety: any thread; a plain thread blocks.
template <class F, class... A>
auto run_in_executor(thread_pool_executor& pool, F&& f, A&&... arguments) -> detail::job_value_t<F, A...> {
    return detail::run_in_pool(std::shared_ptr(pool.state()), "run_in_executor", std::forward<F>(f),
                               std::forward<A>(arguments)...);
}
template <class F, class... A>
auto run_in_executor(abandon_t, thread_pool_executor& pool, F&& f, A&&... arguments) -> detail::job_value_t<F, A...> {
    return detail::abandonable_in_pool(std::shared_ptr(pool.state()), "run_in_executor", std::forward<F>(f),
                                       std::forward<A>(arguments)...);
}

/// Calls f(arguments…) in a process of the pool, and returns what it returns. Arguments and result travel as weft/serializer.hpp
/// tells; a reference returned comes back as a value.
///
/// Suspends:      always.
/// Cancellation:  before and while suspended: a job that no worker has yet is dropped; for one that a worker has, `cancelled` is
///                thrown when it has ended, and its result or exception is dropped.
/// Errors:        remote_error if f throws: its type's name and what(); broken_process_pool if a worker dies; invalid_state if
///                the pool is shut down; std::invalid_argument for a null f; no_running_task in a loop callback; what serializing
///                throws; cancelled if the pool was shut down with cancel_pending before the job began.
/// Thread-safety: any thread; a plain thread blocks.
template <class R, class... P, class... A>
    requires(sizeof...(P) == sizeof...(A))
auto run_in_executor(process_pool_executor& pool, R (*f)(P...), A&&... arguments) -> detail::process_value_t<R> {
    detail::awaited_process_job job;
    job.set_request(f, std::forward<A>(arguments)...);
    return job.template run_in<detail::process_value_t<R>>(std::shared_ptr(pool.state()), "run_in_executor");
}

namespace detail {

/// A call on its way into a loop. Whoever drops it before it was made, because the loop closes, cancels the future.
template <class F, class... A>
class threadsafe_call {
public:
    using value = std::invoke_result_t<std::decay_t<F>, std::decay_t<A>...>;

    template <class G, class... B>
    explicit threadsafe_call(std::in_place_t, G&& function, B&&... arguments)
        : call_(std::in_place, std::forward<G>(function), std::forward<B>(arguments)...) {}
    threadsafe_call(const threadsafe_call&) = delete;
    threadsafe_call& operator=(const threadsafe_call&) = delete;
    ~threadsafe_call() {
        call_.reset();
        if (!settled_) promise.set_exception(std::make_exception_ptr(cancelled("the call was never begun")));
    }

    void operator()() {
        call_result<value> result;
        std::exception_ptr error;
        bool was_cancelled = false;
        try {
            result.store([this]() -> decltype(auto) {
                return std::apply(
                    [](auto&& f, auto&&... a) -> decltype(auto) { return std::invoke(std::move(f), std::move(a)...); },
                    std::move(*call_));
            });
        } catch (const cancelled&) {
            was_cancelled = true;
            error = std::current_exception();
        } catch (...) {
            error = std::current_exception();
        }
        call_.reset();
        settled_ = true;
        if (!error) {
            try {
                if constexpr (std::is_void_v<value>) promise.set_value();
                else promise.set_value(result.take());
                return;
            } catch (...) {   // the move of the result threw
                error = std::current_exception();
            }
        }
        promise.set_exception(error);
        if (was_cancelled) std::rethrow_exception(error);   // so that the task ends cancelled
    }

    weft::promise<value> promise;

private:
    std::optional<std::tuple<std::decay_t<F>, std::decay_t<A>...>> call_;
    bool settled_ = false;
};

}  // namespace detail

/// Runs f(arguments…), decay-copied, as a task of another thread's loop (asyncio.run_coroutine_threadsafe). Does not wait. The
/// future's cancel() cancels the task, too; a call that has not begun is not made any more. If the loop ends first, the
/// future is cancelled.
///
/// Errors: invalid_state if the loop is closed.
/// Thread-safety: any thread; the loop must not be destroyed meanwhile.
template <class F, class... A>
    requires std::is_invocable_v<std::decay_t<F>, std::decay_t<A>...>
auto run_threadsafe(loop& l, F&& f, A&&... arguments) -> future<std::invoke_result_t<std::decay_t<F>, std::decay_t<A>...>> {
    using call = detail::threadsafe_call<F, A...>;
    auto made = std::make_unique<call>(std::in_place, std::forward<F>(f), std::forward<A>(arguments)...);
    auto result = made->promise.get_future();
    l.call_soon_threadsafe([made = std::move(made)]() mutable {
        weft::promise<typename call::value>& promise = made->promise;   // lives in the task, which starts in a later turn
        const task_handle t = create_task([made = std::move(made)] { (*made)(); });
        promise.on_cancel([t] { t.cancel(); });   // now, if the future was cancelled already
    });
    return result;
}

}  // namespace weft
