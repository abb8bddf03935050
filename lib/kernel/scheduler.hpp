#pragma once

/// scheduler: one thread's run queue, fibers and timers, and the switch between them.
///
/// A fiber that parks takes the next runnable off the queue and switches straight to it: to a suspended fiber, or, for a
/// job that has not started, to an idle worker. It switches to the loop's own stack only when the queue is empty, when
/// the next entry needs that stack (a callback; a job while no worker is idle) or when the turn's budget of switches is spent,
/// so that fibers that are always ready starve neither timers nor descriptors.
///
/// Invariants
///  - Exactly one of: a fiber runs (running_ is it), or the loop's own stack runs (running_ is own_stack_).
///  - A fiber is in the run queue, or running, or parked, or idle; own_stack_ is in the queue only while an eager task
///    that a callback started runs.
///  - exception state and errno of a suspended fiber are in its control block, those of the running one in the
///    runtime's own places; whoever switches saves its own and puts the next one's there before the jump, so that fibers
///    that Boost's primitives suspended need no code of ours when they come back.
///  - Everything here is on the scheduler's thread, except mailbox().
///
/// Rejected: a switch to the loop's stack for every park (two jumps for one); a scheduler fiber (the same, and a stack).

#include <boost/intrusive_ptr.hpp>

#include <cerrno>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include <weft/detail/thread_state.hpp>
#include <weft/detail/waiter.hpp>

#include "kernel/block_cache.hpp"
#include "kernel/boost_bridge.hpp"
#include "kernel/fiber.hpp"
#include "kernel/inbox.hpp"
#include "kernel/order.hpp"
#include "kernel/run_queue.hpp"
#include "kernel/sanitizers.hpp"
#include "kernel/stack_pool.hpp"
#include "kernel/switch.hpp"
#include "kernel/timer_queue.hpp"

namespace weft::engine_layer {
class engine;
}

namespace weft::kernel {

class scheduler {
public:
    /// Made on the thread that will run it. \param stack_size of workers, unless a job asks for another
    explicit scheduler(std::size_t stack_size);
    /// Every job has ended. On the thread that ran it, not entered.
    ~scheduler();
    scheduler(const scheduler&) = delete;
    scheduler& operator=(const scheduler&) = delete;

    /// The scheduler this thread is running; null outside of enter() … leave().
    static scheduler* current() noexcept { return this_thread().running; }

    /// The calling stack becomes the loop's own stack. Not nested.
    void enter();
    void leave() noexcept;
    /// The thread ends, on whatever stack is running: from here on nothing of this scheduler runs.
    void abandon() noexcept;

    // Making things ready. On the scheduler's thread.
    void ready(runnable& r) noexcept { queue_.push_back(r); }
    void ready_first(runnable& r) noexcept { queue_.push_front(r); }
    bool anything_ready() const noexcept { return !queue_.empty(); }
    /// From another thread: m.deliver runs on the scheduler's thread.
    inbox& mailbox() noexcept { return *mailbox_; }

    // For the running fiber.
    fiber& running_fiber() noexcept { return *running_; }
    bool on_own_stack() const noexcept { return running_ == &own_stack_; }
    fiber& own_stack() noexcept { return own_stack_; }
    /// The fiber of a task or a foreign fiber runs: the caller may park.
    bool may_park() const noexcept { return running_ != &own_stack_; }
    /// Switches to whatever is next; returns when somebody made the running fiber ready.
    void suspend() noexcept;
    /// Lets everything that is ready now run first.
    void yield() noexcept;
    /// Starts j now, on its own stack, until it first suspends; the caller goes on after that. Without a worker to run it on,
    /// j is refused.
    void start_now(job& j) noexcept;

    /// Exceptions in flight on the running fiber (std::uncaught_exceptions, without the call).
    unsigned uncaught_exceptions() const noexcept { return exceptions_->uncaught; }

    // For the loop, on its own stack.
    /// Runs what is ready until the queue is empty or `budget` switches have been made.
    void run_ready(int budget) noexcept;
    /// What run_ready will begin with; null if nothing is ready.
    runnable* next_ready() const noexcept { return queue_.front(); }
    /// Lets `choose` decide what run_ready will begin with.
    void choose_next(order_function choose) noexcept;
    /// Takes the callbacks out of what is ready, for a loop that closes.
    void drop_callbacks() noexcept;
    /// Fires the timers that are due.
    void fire_timers(time_point now) noexcept;
    timer_queue& timers() noexcept { return timers_; }
    block_cache& blocks() noexcept { return blocks_; }
    /// Lets Boost.Fiber's dispatcher run if there is something for it.
    void serve_boost(time_point now) noexcept {
        if (bridge_->wanted(now)) bridge_->dispatch();
    }
    /// The latest time at which the loop must make another turn.
    time_point next_deadline() const noexcept { return std::min(timers_.next(), bridge_->deadline()); }
    /// Gives the memory of idle workers above the high-water mark back to the system, some at a time.
    void trim() noexcept;

    /// Callbacks for objects that outlive the loop and keep something in it; run in reverse order by close_notify().
    void at_close(void (*f)(void*) noexcept, void* argument);
    void cancel_at_close(void (*f)(void*) noexcept, void* argument) noexcept;
    void close_notify() noexcept;

    std::size_t worker_count() const noexcept { return worker_count_; }
    std::size_t idle_count() const noexcept { return idle_count_; }
    fiber* first_worker() const noexcept { return workers_; }

    /// An operation that need not wait counts here; every 64th yields, so that a fiber whose reads always succeed
    /// starves nobody.
    void operation_done() noexcept {
        if (++operations_ % 64 == 0) yield();
    }

    /// For a fiber that the operating system has woken: fetches what the next but one will touch.
    void look_ahead() const noexcept;

    engine_layer::engine* engine = nullptr;   // of the same loop; set by it
    void* loop = nullptr;                     // the loop this is a part of; set by it

    static constexpr std::size_t idle_high_water = 1024;   // workers

private:
    friend class boost_bridge;

    /// Whom a fiber that suspends must switch to; running_ itself only if it has just been made ready.
    fiber& next_fiber() noexcept;
    WEFT_NOINLINE fiber& next_of_other_kind() noexcept;
    void switch_to(fiber& to) noexcept;
    void switch_to_dispatcher(boost::fibers::context& c) noexcept;
    void prepare_boost_switch(fiber& to) noexcept;   // bookkeeping of a switch that Boost makes
    void note_boost_switch(fiber& to) noexcept;      // ... has made: `to` runs already
    void hand_to_boost(fiber& f) noexcept;           // from here on Boost has its stack pointer
    void take_foreign(run_queue& to) noexcept;       // moves the ready fibers of Boost's own
    void run_worker(fiber& self) noexcept;
    void save_and_load(fiber& from, fiber& to) noexcept;
    static void change_control_words(fiber& from, fiber& to) noexcept;
    void begin_sanitizer_switch(fiber& from, fiber& to) noexcept;
    void finish_sanitizer_switch() noexcept;
    void set_running(fiber& f) noexcept;
    static void assign(fiber& worker, job& j) noexcept;
    void assign_suspended(fiber& worker, job& j) noexcept;
    static void jump(fiber& to) noexcept;   // the switch as Boost.Fiber makes it

    fiber* take_worker(std::size_t stack_size) noexcept;   // an idle one, or null
    fiber& make_worker(std::size_t stack_size);            // throws std::bad_alloc; on the loop's own stack
    void start(job& j) noexcept;                           // on the loop's own stack
    stack_pool& pool_for(std::size_t stack_size);
    static void worker_ended(fiber& f) noexcept;
    void retire_idle(std::size_t keep) noexcept;

    run_queue queue_;
    fiber* running_;
    int budget_ = 0;
    exception_state* exceptions_ = nullptr;                // this thread's, in the C++ runtime
    int* errno_ = nullptr;                                 // this thread's
    control_words control_words_;                          // the loop's own; every job begins with them
    thread_state* thread_ = nullptr;                       // this thread's
    boost::fibers::context** active_slot_ = nullptr;       // bridge_'s
    fiber* idle_ = nullptr;                                // workers without a job, last used first, default stacks
    std::size_t idle_count_ = 0;
    unsigned operations_ = 0;
    const runnable* started_eagerly_ = nullptr;            // started an eager job last; if it is first in the queue, it goes on next
    fiber own_stack_;
    fiber dispatcher_;
    fiber* sanitizer_pending_ = nullptr;                   // switched to, and the sanitizer not told yet that it arrived
    std::size_t contexts_ended_ = 0;                       // since the dispatcher got its tsan_fiber

    timer_queue timers_;
    block_cache blocks_;
    inbox* mailbox_;
    std::size_t stack_size_;                               // of the usual workers, rounded by their pool
    std::vector<std::unique_ptr<stack_pool>> pools_;       // the default's first
    boost_bridge::pointer bridge_;
    fiber* workers_ = nullptr;
    std::size_t worker_count_ = 0;
    struct close_entry {
        void (*f)(void*) noexcept;
        void* argument;
    };
    std::vector<close_entry> at_close_;
};

/// For objects that keep something in this thread's loop: f runs when that loop closes. Throws no_running_loop.
void at_loop_close(void (*f)(void*) noexcept, void* argument);
void cancel_at_loop_close(void (*f)(void*) noexcept, void* argument) noexcept;

// The switch, inline: everything below is on the hot path.

inline void scheduler::save_and_load(fiber& from, fiber& to) noexcept {
    exception_state* const exceptions = exceptions_;
    int* const number = errno_;
    // Word by word, as they were stored: a load of both words at once would wait until those stores have left the core.
    void* const caught = to.exceptions.caught;
    const unsigned uncaught = to.exceptions.uncaught;
    const int loaded_errno = to.saved_errno;
    from.exceptions.caught = exceptions->caught;
    from.exceptions.uncaught = exceptions->uncaught;
    from.saved_errno = *number;
    exceptions->caught = caught;
    exceptions->uncaught = uncaught;
    *number = loaded_errno;
}

inline void scheduler::change_control_words([[maybe_unused]] fiber& from, [[maybe_unused]] fiber& to) noexcept {
#if defined(__aarch64__)
    from.controls = control_words::current();
    to.controls.restore();
#endif
}

WEFT_UNTRACED inline void scheduler::begin_sanitizer_switch([[maybe_unused]] fiber& from, [[maybe_unused]] fiber& to) noexcept {
#if WEFT_ASAN
    __sanitizer_start_switch_fiber(&from.fake_stack, to.stack.lowest, to.stack.size);
    sanitizer_pending_ = &to;
#endif
    enter_tsan_fiber(to.tsan_fiber);
}

inline void scheduler::finish_sanitizer_switch() noexcept {
#if WEFT_ASAN
    if (!sanitizer_pending_) return;
    __sanitizer_finish_switch_fiber(sanitizer_pending_->fake_stack, nullptr, nullptr);
    sanitizer_pending_ = nullptr;
#endif
}

inline void scheduler::assign(fiber& worker, job& j) noexcept {
    worker.work = &j;
    worker.cancel_deliverable = j.cancel_deliverable();
    j.on = &worker;
}

/// The job begins with the loop's control words because the worker's own are changed where it is suspended: to look what the
/// worker's last job left in the registers would cost as much as a switch does.
inline void scheduler::assign_suspended(fiber& worker, job& j) noexcept {
    assign(worker, j);
#if defined(__aarch64__)
    worker.controls = control_words_;
#else
    control_words_.put_into(worker.stack_pointer ? worker.stack_pointer : *worker.boost_stack_pointer);
#endif
}

inline void scheduler::set_running(fiber& f) noexcept {
    running_ = &f;
    thread_->parkable = &f == &own_stack_ ? nullptr : &f;
}

inline void scheduler::switch_to(fiber& to) noexcept {
    fiber& from = *running_;
    finish_sanitizer_switch();
    save_and_load(from, to);
    change_control_words(from, to);
    set_running(to);
    // The fiber after the next one is fetched while that runs: its frame, and the control block of the one behind it.
    if (runnable* r = queue_.front()) {
        __builtin_prefetch(r->next);
        if (r->kind == runnable_kind::fiber) __builtin_prefetch(static_cast<fiber*>(r)->stack_pointer);
    }
    begin_sanitizer_switch(from, to);
#if WEFT_INLINE_SWITCH && !WEFT_TSAN
    if (active_slot_) [[likely]] {
        *active_slot_ = to.context;
        void* load = to.stack_pointer;
        if (!load) load = std::exchange(*to.boost_stack_pointer, nullptr);   // Boost suspended it, or it is new
        switch_stacks(&from.stack_pointer, load);
    } else
#endif
        jump(to);
    finish_sanitizer_switch();
#if WEFT_BOOST_SWAPS_EXCEPTION_STATE
    *exceptions_ = from.exceptions;   // whoever resumed us may have gone through Boost, which then put its own there
#endif
}

inline fiber& scheduler::next_fiber() noexcept {
    runnable* r = queue_.front();
    if (r && r->kind == runnable_kind::fiber && budget_ > 0) [[likely]] {
        --budget_;
        return static_cast<fiber&>(queue_.pop_front());
    }
    return next_of_other_kind();
}

inline fiber* scheduler::take_worker(std::size_t stack_size) noexcept {
    if (!idle_ || (stack_size != 0 && stack_size != stack_size_)) return nullptr;
    fiber* worker = idle_;
    idle_ = static_cast<fiber*>(worker->next);
    --idle_count_;
    return worker;
}

inline void scheduler::suspend() noexcept {
    fiber& next = next_fiber();
    if (&next != running_) switch_to(next);
}

inline void scheduler::yield() noexcept {
    queue_.push_back(*running_);
    suspend();
}

}  // namespace weft::kernel
