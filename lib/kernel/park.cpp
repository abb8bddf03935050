// park and wake, on fibers and on plain threads. The rules are told in weft/detail/waiter.hpp.

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>

#include <weft/detail/waiter.hpp>
#include <weft/error.hpp>

#include "kernel/park.hpp"
#include "kernel/scheduler.hpp"

namespace weft::detail {

/// What park and the kernel may see of a waiter.
struct waiter_internals {
    static kernel::scheduler* home(waiter& w) noexcept { return w.home_; }
    static kernel::fiber* fiber(waiter& w) noexcept { return w.fiber_; }
    static std::atomic<std::uint32_t>& signal(waiter& w) noexcept { return w.signal_; }
    static waiter& of(message& m) noexcept { return static_cast<waiter&>(m); }

    /// Decides for a timer or a cancellation; false: somebody was first.
    static bool decide(waiter& w, std::uint8_t outcome) noexcept {
        std::uint8_t expected = waiter::armed;
        return w.state_.compare_exchange_strong(expected, outcome, std::memory_order_acq_rel, std::memory_order_acquire);
    }
    static bool time_out(waiter& w) noexcept { return decide(w, waiter::timed_out); }
    static bool cancel(waiter& w) noexcept { return decide(w, waiter::cancelled_); }

    static wait_outcome outcome(const waiter& w) noexcept {
        static_assert(waiter::woken == 1 + static_cast<int>(wait_outcome::woken) &&
                      waiter::timed_out == 1 + static_cast<int>(wait_outcome::timed_out) &&
                      waiter::cancelled_ == 1 + static_cast<int>(wait_outcome::cancelled));
        return static_cast<wait_outcome>(w.state_.load(std::memory_order_acquire) - 1);
    }
};

namespace {

using internals = waiter_internals;

long futex(std::atomic<std::uint32_t>* word, int operation, std::uint32_t value, const timespec* timeout) noexcept {
    static_assert(sizeof *word == 4);
    return ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(word), operation, value, timeout, nullptr, FUTEX_BITSET_MATCH_ANY);
}

wait_outcome park_thread(waiter& w, time_point deadline) noexcept {
    auto& signal = internals::signal(w);
    while (signal.load(std::memory_order_acquire) == 0) {
        timespec until{};
        const bool timed = deadline != time_point::max();
        if (timed) {
            const auto since_boot = std::max(deadline.time_since_epoch(), time_point::duration::zero());
            const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since_boot);
            until.tv_sec = seconds.count();
            until.tv_nsec = (since_boot - seconds).count();
        }
        // FUTEX_WAIT_BITSET counts in CLOCK_MONOTONIC, which is steady_clock.
        const long r = futex(&signal, FUTEX_WAIT_BITSET_PRIVATE, 0, timed ? &until : nullptr);
        if (r < 0 && errno == ETIMEDOUT) {
            if (internals::time_out(w)) return wait_outcome::timed_out;
            deadline = time_point::max();   // claimed: the wake is on its way
        }
    }
    return wait_outcome::woken;
}

struct wait_timer : kernel::timer {
    explicit wait_timer(waiter& w) noexcept : waiting(w) {
        fire = [](kernel::timer& t) noexcept {
            waiter& w = static_cast<wait_timer&>(t).waiting;
            if (internals::time_out(w)) internals::home(w)->ready(*internals::fiber(w));
        };
    }
    waiter& waiting;
};

/// Without a timer's frame: most waits have no deadline.
WEFT_NOINLINE void suspend_until(kernel::scheduler& s, waiter& w, time_point deadline) noexcept {
    wait_timer timer(w);
    timer.when = deadline;
    s.timers().add(timer);
    s.suspend();
    s.timers().remove(timer);
}

template <bool Cancellable>
inline wait_outcome park_fiber(kernel::fiber& self, waiter& w, time_point deadline) noexcept {
    kernel::scheduler& s = *internals::home(w);
    // A request that is deliverable already ends the wait before it starts, unless a waker was faster: then its wake is on
    // the way, and must be waited for.
    if (Cancellable && self.cancel_deliverable && kernel::may_deliver(*self.work) && internals::cancel(w)) [[unlikely]]
        return wait_outcome::cancelled;

    self.waiting = &w;
    self.cancellable = Cancellable;
    if (deadline == time_point::max()) [[likely]] s.suspend();
    else suspend_until(s, w, deadline);
    self.waiting = nullptr;
    if (Cancellable && self.cancel_deliverable && kernel::may_deliver(*self.work)) [[unlikely]]
        return wait_outcome::cancelled;
    return internals::outcome(w);
}

}  // namespace

void waiter::require_plain_thread(const char* what) {
    if (kernel::this_thread().running) throw no_running_task(what);
}

bool waiter::claim_shared() noexcept { return internals::decide(*this, woken); }

void waiter::wake(waiter& w) noexcept {
    if (!w.fiber_) {
        // After the store the thread may return and its stack be used again; a futex wake of that address is harmless.
        auto* word = &w.signal_;
        word->store(1, std::memory_order_release);
        futex(word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr);
    } else if (w.home_ == kernel::scheduler::current()) {
        kernel::fiber& woken = *w.fiber_;
        w.home_->ready(woken);
        // What the waker does until the fiber's turn comes hides the way to its stack.
        __builtin_prefetch(woken.stack_pointer);
        __builtin_prefetch(static_cast<char*>(woken.stack_pointer) + 64);
    } else {
        w.deliver = [](message& m) noexcept {
            waiter& woken = internals::of(m);
            internals::home(woken)->ready(*internals::fiber(woken));
        };
        w.home_->mailbox().post(w);
    }
}

wait_outcome park(waiter& w, time_point deadline) noexcept {
    kernel::fiber* self = internals::fiber(w);
    return self ? park_fiber<true>(*self, w, deadline) : park_thread(w, deadline);
}

wait_outcome park_uncancellable(waiter& w, time_point deadline) noexcept {
    kernel::fiber* self = internals::fiber(w);
    return self ? park_fiber<false>(*self, w, deadline) : park_thread(w, deadline);
}

void check_cancelled() {
    if (kernel::cancellation_deliverable()) throw_cancelled();
}

const void* self_identity() noexcept {
    kernel::scheduler* s = kernel::scheduler::current();
    return s && s->may_park() ? static_cast<const void*>(&s->running_fiber()) : &kernel::this_thread();
}

void program_error(const char* sentence, const void* object) noexcept {
    if (object) std::fprintf(stderr, "weft: %s (%p)\n", sentence, object);
    else std::fprintf(stderr, "weft: %s\n", sentence);
    std::abort();
}

}  // namespace weft::detail

namespace weft::kernel {

bool may_deliver(const job& work) noexcept {
    return scheduler::current()->uncaught_exceptions() <= work.uncaught_floor;
}

bool cancellation_deliverable() noexcept {
    scheduler* s = scheduler::current();
    if (!s) return false;
    const fiber& self = s->running_fiber();
    return self.cancel_deliverable && may_deliver(*self.work);
}

void cancel_wait(fiber& f) noexcept {
    if (!f.waiting || !f.cancellable || f.exceptions.uncaught > f.work->uncaught_floor) return;   // not while it unwinds
    if (detail::waiter_internals::cancel(*f.waiting)) f.home->ready(f);
}

void job::set_cancel_deliverable(bool deliverable) noexcept {
    cancel_deliverable_ = deliverable;
    if (on) on->cancel_deliverable = deliverable;
}

}  // namespace weft::kernel
