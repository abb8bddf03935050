#include "engine/file_pool.hpp"

#include <pthread.h>
#include <signal.h>

#include <cerrno>
#include <utility>

#include "kernel/inbox.hpp"
#include "kernel/park.hpp"
#include "kernel/scheduler.hpp"
#include "kernel/spin.hpp"

namespace weft::engine_layer {

using detail::wait_outcome;
using detail::waiter;

namespace {

constexpr auto longest_spin = std::chrono::microseconds(20);
constexpr auto worth_spinning = std::chrono::microseconds(50);   // a wake-up from sleep is a part of the pause

}  // namespace

struct file_pool::pending : detail::message {
    pending(const file_call& c, waiter& w) noexcept : call(c), waiting(&w) {}

    const file_call& call;
    waiter* waiting;          // of the fiber; on the loop's thread
    bool finished = false;    // likewise
    ssize_t result = 0;
    pending* behind = nullptr;
};

file_pool::~file_pool() {
    {
        std::lock_guard lock(mutex_);
        ending_.store(true, std::memory_order_relaxed);
    }
    more_.notify_all();
    for (std::thread& t : threads_) t.join();
}

bool file_pool::start_thread() noexcept {
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = true;
    try {
        threads_.emplace_back([this] {
            ::pthread_setname_np(::pthread_self(), "weft-files");
            work();
        });
    } catch (...) {   // no memory, or no more threads: those that there are do it
        started = false;
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return started;
}

int file_pool::submit(pending& p) noexcept {
    std::unique_lock lock(mutex_);
    const std::size_t calls = queued_.load(std::memory_order_relaxed) + 1;
    const std::size_t spinning = spinning_ ? 1 : 0;
    if (calls > spinning + sleeping_ && threads_.size() < most_threads && !start_thread() && threads_.empty()) return -EAGAIN;
    (last_ ? last_->behind : first_) = &p;
    last_ = &p;
    queued_.store(calls, std::memory_order_relaxed);
    const bool wake = calls > spinning && sleeping_ > 0;
    lock.unlock();
    if (wake) more_.notify_one();
    return 0;
}

bool file_pool::withdraw(pending& p) noexcept {
    std::lock_guard lock(mutex_);
    pending* before = nullptr;
    for (pending* at = first_; at; before = std::exchange(at, at->behind)) {
        if (at != &p) continue;
        (before ? before->behind : first_) = p.behind;
        if (last_ == &p) last_ = before;
        queued_.store(queued_.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
        return true;
    }
    return false;
}

/// Returns when there is a call, or the pool ends.
void file_pool::wait_for_call(std::unique_lock<std::mutex>& lock) noexcept {
    const clock::time_point idle_since = clock::now();
    if (!spinning_ && last_pause_ < worth_spinning && kernel::several_processors()) {
        spinning_ = true;
        lock.unlock();
        kernel::spin_until([this] {
            return queued_.load(std::memory_order_relaxed) != 0 || ending_.load(std::memory_order_relaxed);
        }, idle_since + longest_spin);
        lock.lock();
        spinning_ = false;
    }
    while (!first_ && !ending_.load(std::memory_order_relaxed)) {
        ++sleeping_;
        more_.wait(lock);
        --sleeping_;
    }
    last_pause_ = clock::now() - idle_since;
}

void file_pool::work() noexcept {
    std::unique_lock lock(mutex_);
    for (;;) {
        if (!first_) wait_for_call(lock);
        if (!first_) return;
        pending& p = *first_;
        first_ = p.behind;
        if (!first_) last_ = nullptr;
        queued_.store(queued_.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
        lock.unlock();
        p.result = make_call(p.call);
        p.deliver = [](detail::message& m) noexcept {
            auto& done = static_cast<pending&>(m);
            done.finished = true;
            detail::gate none;   // only this thread wakes it
            detail::gate_lock gate(none);
            if (done.waiting->claim(gate)) waiter::wake(*done.waiting);
        };
        home_.mailbox().post(p);   // after that p is gone
        lock.lock();
    }
}

io_result file_pool::perform(const file_call& call, const char* what) noexcept {
    const bool closes = call.what == file_call::kind::close;   // who is cancelled must be able to let go of the file
    if (!closes && kernel::cancellation_deliverable()) return io_result::cancelled();
    if (const ssize_t result = try_call(call); result != -EAGAIN) {
        home_.operation_done();
        return io_result(result);
    }
    waiter self(what);
    pending p(call, self);
    if (const int error = submit(p); error < 0) return io_result(error);
    if (closes) {
        detail::park_uncancellable(self);
    } else if (detail::park(self) == wait_outcome::cancelled && !p.finished) {
        if (withdraw(p)) return io_result::cancelled();
        waiter again(what);
        p.waiting = &again;
        detail::park_uncancellable(again);
    }
    return io_result(p.result);
}

}  // namespace weft::engine_layer
