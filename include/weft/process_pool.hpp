#pragma once

/// process_pool_executor: processes that run functions of this program (concurrent.futures.ProcessPoolExecutor).
///
/// A function is named by where it stands in the program or a library of it; arguments, results and exceptions travel as
/// bytes (weft/serializer.hpp). The workers are processes of this same program in which everything static is initialized
/// but main has not begun: what main sets up is not there.

#include <cstddef>
#include <exception>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include <weft/detail/config.hpp>
#include <weft/detail/process_job.hpp>

namespace weft {

/// A pool of processes. Its destructor waits, as shutdown() does.
///
/// The workers are started with the pool, by a small single-threaded server process, which is this program started anew: no
/// process with threads is ever forked. They inherit standard input, output and error, the environment and the working
/// directory, but no other descriptor; they are out of the reach of the terminal's Ctrl-C; they die with the process
/// that made the pool, however that dies.
///
/// A worker that dies (it is killed, crashes, calls exit) breaks the pool, as concurrent.futures has it: all jobs that have
/// not ended fail with broken_process_pool, and so does every later call. Make a new pool then.
///
/// Thread-safety: any thread and any loop may use one pool at the same time.
class WEFT_API process_pool_executor {
public:
    /// \param workers  so many processes; 0: as many as there are processors
    /// Errors: std::invalid_argument for more than 256; std::system_error; std::runtime_error if weft was loaded by dlopen into
    /// a program that is not linked with it, or where the program runs with more rights than its user (set-user-ID).
    explicit process_pool_executor(std::size_t workers = 0);
    ~process_pool_executor();
    process_pool_executor(const process_pool_executor&) = delete;
    process_pool_executor& operator=(const process_pool_executor&) = delete;

    /// Has f(arguments…) called in a worker process. Does not wait. The future is std's: its get() blocks the calling thread, and
    /// a loop with it; a task uses run_in_executor.
    ///
    /// Errors: broken_process_pool; invalid_state once the pool is shut down; std::invalid_argument for a null f; what
    ///         serializing the arguments throws. The future: remote_error; broken_process_pool.
    template <class R, class... P, class... A>
        requires(sizeof...(P) == sizeof...(A))
    auto submit(R (*f)(P...), A&&... arguments) -> std::future<detail::process_value_t<R>> {
        auto job = std::make_unique<detail::submitted_process_job<detail::process_value_t<R>>>();
        job->set_request(f, std::forward<A>(arguments)...);
        auto result = job->get_future();
        detail::enqueue(*state_, *job);
        job.release();
        return result;
    }

    /// Takes no more jobs, waits until those it has have ended, and ends the processes. May be called again.
    /// \param cancel_pending  jobs that have not begun are dropped: who waits gets `cancelled`, a std::future broken_promise
    ///
    /// Suspends:      while a job runs or waits for its turn, and while the processes end.
    /// Cancellation:  not here; it stays pending.
    /// Errors:        none.
    /// Thread-safety: any thread; a plain thread, and a loop callback, blocks.
    void shutdown(bool cancel_pending = false);

    /// For weft itself.
    const std::shared_ptr<detail::process_pool_state>& state() const noexcept { return state_; }

private:
    std::shared_ptr<detail::process_pool_state> state_;
};

}  // namespace weft
