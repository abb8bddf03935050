#include "exec/thread_pool.hpp"

#include <pthread.h>

#include <algorithm>
#include <stdexcept>
#include <string>

#include <weft/detail/cancellation.hpp>
#include <weft/error.hpp>

#include "kernel/inbox.hpp"
#include "kernel/spin.hpp"

namespace weft {
namespace detail {
namespace {

constexpr auto longest_spin = std::chrono::microseconds(50);
constexpr auto worth_spinning = std::chrono::microseconds(100);   // a wake-up from sleep is a part of the pause

}  // namespace

void thread_pool_state::enqueue(pool_job& j) {
    std::unique_lock lock(mutex_);
    if (stopping_.load(std::memory_order_relaxed))
        throw invalid_state("thread_pool_executor: it is shut down and takes no more jobs");
    j.next_ = nullptr;
    j.previous_ = last_;
    (last_ ? last_->next_ : first_) = &j;
    last_ = &j;
    j.queued_ = true;
    const std::size_t jobs = queued_.load(std::memory_order_relaxed) + 1;
    queued_.store(jobs, std::memory_order_relaxed);

    const std::size_t spinning = spinning_ ? 1 : 0;
    if (jobs > spinning + sleeping_ && threads_.size() < most_) {
        try {
            start_thread();
        } catch (...) {   // no more threads, or no memory
            if (threads_.empty()) {   // else those there are will come to it
                unlink(j);
                throw;
            }
        }
    }
    const bool wake = jobs > spinning && sleeping_ > 0;
    lock.unlock();
    if (wake) job_came_.notify_one();
}

bool thread_pool_state::withdraw(pool_job& j) noexcept {
    const std::lock_guard lock(mutex_);
    if (!j.queued_) return false;
    unlink(j);
    return true;
}

void thread_pool_state::unlink(pool_job& j) noexcept {
    (j.previous_ ? j.previous_->next_ : first_) = j.next_;
    (j.next_ ? j.next_->previous_ : last_) = j.previous_;
    j.queued_ = false;
    queued_.store(queued_.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
}

pool_job& thread_pool_state::pop() noexcept {
    pool_job& j = *first_;
    unlink(j);
    return j;
}

void thread_pool_state::start_thread() {
    threads_.reserve(threads_.size() + 1);
    threads_.emplace_back([self = shared_from_this()] { self->work(); });
    ++running_;
    ::pthread_setname_np(threads_.back().native_handle(), "weft-pool");
}

void thread_pool_state::work() noexcept {
    std::unique_lock lock(mutex_);
    for (;;) {
        while (first_) {
            pool_job& j = pop();
            lock.unlock();
            j.run();
            lock.lock();
        }
        if (stopping_.load(std::memory_order_relaxed)) break;
        wait_for_job(lock);
    }
    if (--running_ == 0) ended_.set();
}

/// Returns when there may be a job, or the pool stops.
void thread_pool_state::wait_for_job(std::unique_lock<std::mutex>& lock) {
    const clock::time_point idle_since = clock::now();
    if (!spinning_ && last_pause_ < worth_spinning && kernel::several_processors()) {
        spinning_ = true;
        lock.unlock();
        kernel::spin_until([this] {
            return queued_.load(std::memory_order_relaxed) != 0 || stopping_.load(std::memory_order_relaxed);
        }, idle_since + longest_spin);
        lock.lock();
        spinning_ = false;
    }
    while (!first_ && !stopping_.load(std::memory_order_relaxed)) {
        ++sleeping_;
        job_came_.wait(lock);
        --sleeping_;
    }
    last_pause_ = clock::now() - idle_since;
}

void thread_pool_state::stop(bool cancel_pending) noexcept {
    pool_job* dropped = nullptr;
    {
        const std::lock_guard lock(mutex_);
        stopping_.store(true, std::memory_order_relaxed);
        if (running_ == 0) ended_.set();
        if (cancel_pending) {
            dropped = first_;
            for (pool_job* j = first_; j; j = j->next_) j->queued_ = false;
            first_ = last_ = nullptr;
            queued_.store(0, std::memory_order_relaxed);
        }
    }
    job_came_.notify_all();
    while (dropped) {
        pool_job& j = *dropped;
        dropped = j.next_;   // before drop: j may be gone after it
        j.drop();
    }
}

bool thread_pool_state::is_own_thread() {
    const std::lock_guard lock(mutex_);
    return std::any_of(threads_.begin(), threads_.end(),
                       [](const std::thread& t) { return t.get_id() == std::this_thread::get_id(); });
}

void thread_pool_state::join() {
    const kernel::thread_state& here = kernel::this_thread();
    if (!here.running || here.parkable) {   // a callback cannot wait: it blocks in std::thread::join
        const cancellation_hold hold;
        ended_.wait();
    }
    const std::lock_guard one(join_mutex_);
    for (std::thread& t : threads_)   // constant by now: a stopping pool starts no thread
        if (t.joinable()) t.join();
}

void thread_pool_state::join_or_detach() noexcept {
    if (!is_own_thread()) return join();
    const std::lock_guard lock(mutex_);
    for (std::thread& t : threads_)
        if (t.joinable()) t.detach();
}

void enqueue(thread_pool_state& pool, pool_job& j) { pool.enqueue(j); }

}  // namespace detail

namespace {

std::size_t checked_threads(std::size_t threads) {
    if (threads > 65536)
        throw std::invalid_argument("thread_pool_executor: threads=" + std::to_string(threads) + ": must be at most 65536");
    return threads != 0 ? threads : std::min<std::size_t>(32, std::thread::hardware_concurrency() + 4);
}

}  // namespace

thread_pool_executor::thread_pool_executor(std::size_t threads)
    : state_(std::make_shared<detail::thread_pool_state>(checked_threads(threads))) {}

thread_pool_executor::~thread_pool_executor() {
    state_->stop(false);
    state_->join_or_detach();
}

void thread_pool_executor::shutdown(bool cancel_pending) {
    if (state_->is_own_thread())
        throw std::logic_error("thread_pool_executor::shutdown: a job of the pool cannot wait for the pool's end");
    state_->stop(cancel_pending);
    state_->join();
}

}  // namespace weft
