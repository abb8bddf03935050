#pragma once

/// thread_pool_state: a queue of jobs and the threads that run them.
///
/// One mutex guards all of it: a job is long compared to a section, and whoever submits knows under the mutex whether somebody
/// must be woken, and whether a thread must be started. Waking a thread that sleeps costs more than everything else
/// here, so where jobs come in quick succession one idle thread, never more, looks for the next for a moment before it sleeps.
///
/// Invariants
///  - Idle threads are spinning_ (at most one) or sleeping_. A job that finds no idle thread starts a new one, up to most_.
///  - The state lives as long as the executor or one of its threads.
///  - Once stopping_, jobs are only taken out; the last thread to leave sets ended_.
///
/// Rejected: a queue per thread with stealing (jobs here are few and block; order of begin is promised), a lock-free queue (the
/// wake-up that it needs all the same is the cost), a semaphore that counts jobs (a job must be able to leave the queue).

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <chrono>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <weft/detail/pool_job.hpp>
#include <weft/event.hpp>
#include <weft/thread_pool.hpp>

namespace weft::detail {

struct thread_pool_state : std::enable_shared_from_this<thread_pool_state> {
    explicit thread_pool_state(std::size_t most) : most_(most) {}

    /// Throws invalid_state once stopping; std::system_error. Then j is not in the queue.
    void enqueue(pool_job& j);
    /// Takes j out of the queue; false if it has begun.
    bool withdraw(pool_job& j) noexcept;

    void stop(bool cancel_pending) noexcept;
    /// Waits until the threads have ended. Not in a job of this pool.
    void join();
    /// In the destructor of an executor: as join, but a job of this pool lets the threads end by themselves.
    void join_or_detach() noexcept;
    /// Called in a job of this pool.
    bool is_own_thread();

private:
    using clock = std::chrono::steady_clock;

    void work() noexcept;
    void wait_for_job(std::unique_lock<std::mutex>& lock);
    void start_thread();
    pool_job& pop() noexcept;
    void unlink(pool_job& j) noexcept;

    std::mutex mutex_;
    std::condition_variable job_came_;
    pool_job* first_ = nullptr;
    pool_job* last_ = nullptr;
    std::atomic<std::size_t> queued_{0};      // written under the mutex; relaxed: only a hint for the thread that spins
    std::size_t sleeping_ = 0;
    std::atomic<bool> stopping_{false};       // likewise
    bool spinning_ = false;
    clock::duration last_pause_ = clock::duration::max();   // between a thread's becoming idle and its next job
    std::vector<std::thread> threads_;
    std::size_t running_ = 0;                 // threads that have not left
    const std::size_t most_;
    event ended_;
    std::mutex join_mutex_;                   // of those who join, one does it
};

}  // namespace weft::detail
