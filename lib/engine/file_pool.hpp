#pragma once

/// file_pool: threads that make an engine's file calls, for kernels and engines that cannot do them without.
///
/// Invariants
///  - A call is queued, or taken by a thread, or finished. The queue, who is idle and the threads are under mutex_; finished is
///    written and read on the loop's thread only, which hears of it by a message in its inbox.
///  - A queued call may be withdrawn; of one that is taken the fiber waits for the end, whatever cancels it, because the
///    kernel writes to its buffers.
///  - Threads are started one by one, when a call finds none idle, and stay until the pool ends. They block all signals.
///  - Idle threads are spinning_ (at most one) or sleeping_. Waking one that sleeps takes longer than a write to the page cache,
///    so where calls come in quick succession one idle thread looks for the next for a moment before it sleeps.
///
/// Rejected: one pool for the process (its end would depend on the order of static destruction, and on forks);
/// interrupting a thread by a signal (the signal would have to be taken away from the program).

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>
#include <vector>

#include <weft/detail/waiter.hpp>

#include "engine/engine.hpp"
#include "engine/file_call.hpp"

namespace weft::engine_layer {

class file_pool {
public:
    explicit file_pool(kernel::scheduler& home) noexcept : home_(home) {}
    /// No call is under way.
    ~file_pool();
    file_pool(const file_pool&) = delete;
    file_pool& operator=(const file_pool&) = delete;

    /// engine::perform.
    io_result perform(const file_call& call, const char* what) noexcept;

    static constexpr std::size_t most_threads = 16;

private:
    using clock = std::chrono::steady_clock;
    struct pending;

    bool start_thread() noexcept;
    int submit(pending& p) noexcept;
    bool withdraw(pending& p) noexcept;
    void work() noexcept;
    void wait_for_call(std::unique_lock<std::mutex>& lock) noexcept;

    kernel::scheduler& home_;
    std::mutex mutex_;
    std::condition_variable more_;
    pending* first_ = nullptr;
    pending* last_ = nullptr;
    std::atomic<std::size_t> queued_{0};   // written under the mutex; relaxed: only a hint for the thread that spins
    std::size_t sleeping_ = 0;
    bool spinning_ = false;
    std::atomic<bool> ending_{false};      // likewise
    clock::duration last_pause_ = clock::duration::max();   // between a thread's becoming idle and its next call
    std::vector<std::thread> threads_;
};

}  // namespace weft::engine_layer
