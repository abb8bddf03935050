#pragma once

/// thread_pool_executor: threads that run calls for whoever must not block (concurrent.futures.ThreadPoolExecutor).

#include <cstddef>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include <weft/detail/config.hpp>
#include <weft/detail/pool_job.hpp>

namespace weft {

namespace detail {

/// Throws invalid_state, and has done nothing, once the pool is shut down; std::system_error if no thread can be had.
WEFT_API void enqueue(thread_pool_state& pool, pool_job& j);

/// A job that puts its result into a std::future.
template <class F, class... A>
class submitted_call final : public pool_job {
    using value = std::invoke_result_t<std::decay_t<F>, std::decay_t<A>...>;

public:
    template <class G, class... B>
    explicit submitted_call(std::in_place_t, G&& function, B&&... arguments)
        : call_(std::in_place, std::forward<G>(function), std::forward<B>(arguments)...) {}

    std::future<value> get_future() { return promise_.get_future(); }

    void run() noexcept override {
        const std::unique_ptr<submitted_call> self(this);
        call_result<value> result;
        std::exception_ptr error;
        try {
            result.store([this]() -> decltype(auto) {
                return std::apply(
                    [](auto&& f, auto&&... a) -> decltype(auto) { return std::invoke(std::move(f), std::move(a)...); },
                    std::move(*call_));
            });
        } catch (...) {
            error = std::current_exception();
        }
        call_.reset();   // whoever gets the result finds function and arguments gone
        try {
            if (error) {
                promise_.set_exception(error);
            } else if constexpr (std::is_void_v<value>) {
                promise_.set_value();
            } else {
                promise_.set_value(result.take());
            }
        } catch (...) {   // the move of the result threw
            promise_.set_exception(std::current_exception());
        }
    }
    void drop() noexcept override { delete this; }   // std::future_error(broken_promise)

private:
    std::optional<std::tuple<std::decay_t<F>, std::decay_t<A>...>> call_;
    std::promise<value> promise_;
};

}  // namespace detail

/// A pool of threads. Its destructor waits, as shutdown() does.
///
/// Threads are started when a job finds none idle, up to the limit, and live until the pool is shut down. Jobs begin in the
/// order in which they came. A job may block its thread, and may use weft as a plain thread does; one that waits for
/// another job of the same pool can wait for ever when all threads do so.
///
/// Thread-safety: any thread and any loop may use one pool at the same time.
class WEFT_API thread_pool_executor {
public:
    /// \param threads  at most so many; 0: four more than there are processors, but no more than 32
    /// Errors: std::invalid_argument for more than 65536.
    explicit thread_pool_executor(std::size_t threads = 0);
    /// As shutdown(). In a job of this very pool it does not wait: the threads end by themselves.
    ~thread_pool_executor();
    thread_pool_executor(const thread_pool_executor&) = delete;
    thread_pool_executor& operator=(const thread_pool_executor&) = delete;

    /// Has f(arguments…), decay-copied, called by a thread of the pool. Does not wait. The future is std's: its get() blocks
    /// the calling thread, and a loop with it; a task uses run_in_executor.
    ///
    /// Errors: invalid_state once the pool is shut down; std::system_error if no thread can be had.
    template <class F, class... A>
        requires std::is_invocable_v<std::decay_t<F>, std::decay_t<A>...>
    auto submit(F&& f, A&&... arguments) -> std::future<std::invoke_result_t<std::decay_t<F>, std::decay_t<A>...>> {
        using call = detail::submitted_call<F, A...>;
        auto job = std::make_unique<call>(std::in_place, std::forward<F>(f), std::forward<A>(arguments)...);
        auto result = job->get_future();
        detail::enqueue(*state_, *job);
        job.release();
        return result;
    }

    /// Takes no more jobs, and waits until those it has have ended. May be called again.
    /// \param cancel_pending  jobs that have not begun are dropped: who waits gets `cancelled`, a std::future broken_promise
    ///
    /// Suspends:      while a job runs or waits for its turn.
    /// Cancellation:  not here; it stays pending.
    /// Errors:        std::logic_error in a job of this pool, which cannot wait for its own end.
    /// Thread-safety: any thread; a plain thread, and a loop callback, blocks.
    void shutdown(bool cancel_pending = false);

    /// For weft itself.
    const std::shared_ptr<detail::thread_pool_state>& state() const noexcept { return state_; }

private:
    std::shared_ptr<detail::thread_pool_state> state_;
};

}  // namespace weft
