#pragma once

/// Where weft's scheduler and Boost.Fiber's meet. The only file pair that knows Boost.Fiber's insides.
///
/// Every worker fiber is a boost::fibers::context, so that Boost's mutexes, condition variables, channels and futures
/// suspend the task that uses them. An algorithm of ours, installed in the thread's Boost scheduler while the loop runs,
/// carries their wake-ups to our run queue:
///
///     Boost primitive suspends   -> pick_next()          -> our next ready fiber, or the loop's own stack
///     Boost primitive wakes      -> awakened(context)    -> our run queue, through fiber_properties
///     from another thread        -> notify()             -> rings our doorbell; the dispatcher then drains Boost's queue
///     Boost's timed waits        -> suspend_until(when)  -> the loop wakes by then and runs the dispatcher
///
/// Invariants
///  - Boost's dispatcher context is never in our run queue. dispatch() runs it once: it drains Boost's remote queue, timed
///    waits and terminated contexts, is told once that nothing is ready (so that it says when its next deadline is), and is
///    then sent back to the loop's own stack.
///  - A context is never asked to resume itself.
///  - Another thread that wakes a fiber of this one calls notify() when it has let go of Boost's lock: the fiber, and the loop,
///    may have ended by then. So a bridge, as an inbox, is never destroyed but used again, and a late call costs another
///    loop one empty turn. And the algorithm that was there before the loop is the one that is there after it.
///  - Switches of ours bypass Boost: they keep the stack pointer in the control block, put it where Boost looks for it
///    (context::c_) only when Boost is about to resume the fiber, and store the running context where Boost looks for
///    that (its thread_local "active"). Both are private: c_ is reached by the explicit
///    instantiation that the standard allows, "active" is found among the library's thread-locals and proven by watching
///    it change. Where it cannot be proven, every switch is a boost::fibers::context::resume(), three times as costly.

#include <boost/fiber/algo/algorithm.hpp>
#include <boost/fiber/context.hpp>
#include <boost/fiber/properties.hpp>

#include <atomic>
#include <chrono>

#include "kernel/fiber.hpp"
#include "kernel/inbox.hpp"
#include "kernel/run_queue.hpp"
#include "kernel/stack_pool.hpp"

namespace weft::kernel {

/// How the algorithm finds our control block. Lives in memory that ours manages: deleting it only ends its life.
class fiber_link final : public boost::fibers::fiber_properties {
public:
    explicit fiber_link(fiber& f) noexcept : fiber_properties(nullptr), linked(&f) {}
    void* operator new(std::size_t, void* where) noexcept { return where; }
    void operator delete(void*) noexcept {}
    void operator delete(void*, void*) noexcept {}

    fiber* linked;
};

/// The thread is ending, and Boost's part in it has gone, while a scheduler was there: what is left of it must not be touched.
bool thread_is_over() noexcept;

/// The address at which Boost keeps the stack pointer of a suspended context.
void** stack_pointer_of(boost::fibers::context& c) noexcept;

class boost_bridge final : public boost::fibers::algo::algorithm {
public:
    using pointer = boost::intrusive_ptr<boost_bridge>;

    /// A bridge for the loop of s, which has its mailbox.
    static pointer acquire(scheduler& s);
    static void give_back(pointer bridge) noexcept;

    void awakened(boost::fibers::context* c) noexcept override;
    boost::fibers::context* pick_next() noexcept override;
    bool has_ready_fibers() const noexcept override;
    void suspend_until(std::chrono::steady_clock::time_point const& when) noexcept override;
    void notify() noexcept override;   // any thread

    /// Takes over, and gives back, this thread's Boost scheduler. The caller's context is the loop's own stack.
    void install();
    void uninstall() noexcept;

    /// The thread ends while the loop runs: makes the running stack the thread's own in Boost's eyes.
    void abandon() noexcept;

    /// Whether the dispatcher has anything to do: a Boost primitive suspended, a worker ended, a notification came, or
    /// Boost's next deadline has.
    bool wanted(detail::time_point now) const noexcept {
        return touched_ || notified_.load(std::memory_order_relaxed) || now >= deadline_;
    }
    detail::time_point deadline() const noexcept { return deadline_; }

    /// Runs the dispatcher once. On the loop's own stack.
    void dispatch() noexcept;

    /// Makes a worker's Boost context on `f`'s stack, below f itself; running it calls run_worker(f).
    void make_context(fiber& f, char* top, void (*ended)(fiber&) noexcept);

    /// Where Boost keeps the active context of this thread, null if that is not known.
    boost::fibers::context** active_slot() const noexcept { return active_slot_; }

private:
    boost_bridge() noexcept = default;
    void find_active_slot();
    /// Our control block of a context, made if it is a fiber of Boost's that is seen for the first time.
    fiber& control_for(boost::fibers::context& c) noexcept;

    scheduler* scheduler_ = nullptr;
    std::atomic<inbox*> mailbox_{nullptr};           // scheduler_'s; relaxed: an inbox is never destroyed
    boost_bridge* next_free_ = nullptr;
    boost::fibers::algo::algorithm::ptr_t outside_;   // what schedules this thread's fibers outside of enter() … leave()
    run_queue leaving_;                              // ready fibers of Boost's, on their way back to outside_
    boost::fibers::context* dispatcher_ = nullptr;   // null while it runs
    boost::fibers::context** active_slot_ = nullptr;
    detail::time_point deadline_ = detail::time_point::max();
    std::atomic<bool> notified_{false};
    bool touched_ = false;
    bool said_idle_ = false;       // the dispatcher was told that nothing is ready
    bool uninstalling_ = false;

    static constexpr int most_candidates = 16;
    void** candidates_[most_candidates];
    int candidate_count_ = 0;
    bool probing_ = false;
};

}  // namespace weft::kernel
