#pragma once

/// task_core: what every task is, whatever its function and result; and joiner, a place in the list of those who wait for
/// its end.
///
/// Life: created (in the run queue) -> running on a worker fiber, parking and resuming -> done. Everything happens on the
/// loop that created it, except that handles may be used anywhere: gate_ guards what those touch.
///
/// Invariants
///  - A task lives while a reference is held or it is not done. References are held by handles, and by messages on their way.
///  - references_ becomes 0 only under the gate, and only while the task is not done; finish(), which sets done_ under the
///    same gate, then sees 0 and frees the task. After that the holder of the last reference frees it. So the task's end costs
///    no read-modify-write: whoever is the only holder need not count, and the loop holds nothing that is counted.
///  - Who finds a task in its loop, where perhaps nobody holds it, refers to it under the gate.
///  - done_ is set once, under the gate, after the outcome was stored (release); whoever reads it (acquire) may read the
///    outcome without the gate.
///  - Joiners complete under the gate: whoever takes one out of the list under the gate knows whether it has completed.

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>

#include <weft/detail/call_site.hpp>
#include <weft/detail/cancellation.hpp>
#include <weft/detail/context.hpp>
#include <weft/detail/gate.hpp>
#include <weft/detail/job.hpp>
#include <weft/detail/waiter.hpp>

namespace weft::detail {

struct loop_state;
class task_core;
struct spawn_options;

/// A node in a task's list; lives with the one who waits.
struct joiner {
    /// Runs once, on the task's loop, under the task's gate, when it is done; wakes go into the batch.
    /// It must not let go of a handle of that task: the last one waits for the gate. Null: `waiting` is to be woken.
    void (*completed)(joiner&, task_core&, const gate_lock&, wake_batch&) noexcept = nullptr;
    waiter* waiting = nullptr;   // null: nobody waits just now; guarded by the task's gate

    joiner* next = nullptr;
    joiner* previous = nullptr;
    bool linked = false;   // guarded by the task's gate
};

class WEFT_API task_core : public kernel::job {
public:
    task_core() noexcept = default;
    ~task_core() override {
        if (extras_) [[unlikely]] forget_extras();
    }

    // References. A new task has one, which is its maker's.
    /// By who holds one already.
    void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
    /// By who found the task unfinished in its loop, on the loop's thread.
    void retain_found() noexcept {
        const gate_lock lock(gate_);
        retain();
    }
    void release() noexcept {
        std::uint32_t held = references_.load(std::memory_order_acquire);
        while (held != 1)
            if (references_.compare_exchange_weak(held, held - 1, std::memory_order_acq_rel, std::memory_order_acquire)) return;
        release_last();
    }

    std::uint32_t references() const noexcept { return references_.load(std::memory_order_acquire); }

    // Any thread.
    bool done() const noexcept { return done_.load(std::memory_order_acquire); }
    bool cancelled() const noexcept { return done() && cancelled_; }
    bool cancel(std::string message);
    int cancelling() noexcept;
    int uncancel() noexcept;
    std::uint64_t id() const noexcept { return id_; }
    std::string name();
    std::string name(const gate_lock& in_gate) const;
    void set_name(std::string name);

    /// The exception of a done task, null if it returned. Does not count as taking it.
    const std::exception_ptr& error() const noexcept { return error_; }
    /// A scope that this task stands under asks for the end of idle waits. On the task's loop.
    void ask(request_scope& by) noexcept;
    /// cancel_requested(), for the running task.
    bool cancel_requested() noexcept;
    /// Of the running task: stopped by requests that would be delivered here, as the scopes stand now.
    std::stop_token stop_token();

    bool retrieved() const noexcept { return retrieved_.load(std::memory_order_relaxed); }
    void mark_retrieved() noexcept { retrieved_.store(true, std::memory_order_relaxed); }

    /// Registers j; false if the task is done already (then j is not touched).
    bool add_joiner(joiner& j) noexcept;
    /// Takes j out; false if it has completed.
    bool remove_joiner(joiner& j) noexcept;

    /// Waits for the end. Throws cancelled; std::logic_error for a task that waits for itself.
    void join(const char* what);
    /// The same; a cancellation of the waiter is forwarded to this task, whose end is waited for, then thrown.
    void join_forwarding(const char* what);

    /// Has f called on the task's loop when it is done; returns a number for remove_callback.
    std::uint64_t add_callback(std::function<void(task_core&)> f);
    bool remove_callback(std::uint64_t number) noexcept;
    loop_state* home() const noexcept { return home_; }
    /// Where create_task was called.
    call_site created_at() const noexcept { return created_at_; }

    /// The running task; null outside of one.
    static task_core* current() noexcept;
    /// The running task; throws no_running_loop or no_running_task naming `what`.
    static task_core& require_current(const char* what);

    // kernel::job
    void run() noexcept final;
    void refuse() noexcept final;
    const char* describe() const noexcept final;

protected:
    /// Calls the function, stores what it returns, and destroys the function and its arguments.
    virtual void invoke() = 0;
    /// Destroys them without a call.
    virtual void discard() noexcept = 0;

private:
    friend class cancellation_hold;
    friend class idle_region;
    friend class nested;
    friend class request_scope;
    friend struct loop_state;
    friend void spawn(task_core& t, const spawn_options* options, const char* what, call_site where);
    friend void spawn_on(loop_state& loop, task_core& t, const spawn_options* options);
    friend void throw_cancelled();
    friend context& current_context() noexcept;
    friend class gathered;
    struct extras;

    void finish() noexcept;
    WEFT_NOINLINE void finish_shared(bool biased) noexcept;   // the rest of it, where more than one joiner or callbacks wait
    void schedule_callbacks() noexcept;             // of a task that is done
    void release_last() noexcept;
    WEFT_NOINLINE void release_unfinished() noexcept;
    void link(joiner& j) noexcept;                  // under the gate
    void dispose() noexcept;                        // nobody refers to it, and it is done or was never given to a loop
    WEFT_NOINLINE void report_unretrieved() noexcept;
    WEFT_NOINLINE void forget_extras() noexcept;
    void update_cancellation() noexcept;            // recomputes cancel_deliverable; ends the wait if it became true
    void post_update() noexcept;                    // the same from another thread; under the gate
    void push_frame(cancel_frame& f) noexcept;
    void pop_frame(cancel_frame& f) noexcept;
    weft::cancelled take_request();                 // delivers: what is to be thrown
    bool deliverable() const noexcept { return top_->undelivered > 0 || (idle_ && top_->asker); }   // under the gate
    bool set_idle(bool idle) noexcept {             // returns what it was
        const bool before = std::exchange(idle_, idle);
        if (top_->asker) [[unlikely]] idle_changed();
        return before;
    }
    void idle_changed() noexcept;
    void forget_stops(const cancel_frame* frame, const nested* level) noexcept;
    extras& more();

    std::atomic<std::uint32_t> references_{1};
    gate gate_{gate::own_t()};
    std::atomic<bool> done_{false};
    std::atomic<bool> retrieved_{false};            // relaxed: only decides whether to report
    std::atomic<bool> update_posted_{false};        // extras::update is in the inbox
    bool cancelled_ = false;                        // `cancelled` left the function; valid once done
    bool idle_ = false;                             // in an idle_region; the loop's thread alone
    loop_state* home_ = nullptr;                    // null: not given to a loop; valid until done
    cancel_frame bottom_;                           // guarded by gate_
    cancel_frame* top_ = &bottom_;
    joiner* first_joiner_ = nullptr;                // guarded by gate_
    joiner* last_joiner_ = nullptr;
    std::exception_ptr error_;
    context context_;                               // values of context variables; the loop's thread alone
    task_core* next_;                               // all tasks of the loop: set where it is put into that list
    task_core* previous_;
    std::uint64_t id_ = 0;
    std::uint64_t loop_serial_ = 0;                 // of home_, never used again: for after home_ is gone
    call_site created_at_;
    extras* extras_ = nullptr;                      // what few tasks have: guarded by gate_
};

inline idle_region::idle_region(task_core* running) noexcept : task_(running) {
    if (task_) outer_ = task_->set_idle(true);
}
inline idle_region::~idle_region() {
    if (task_) task_->set_idle(outer_);
}

/// What the caller of create_task may choose, without the strings' cost for those who do not.
struct spawn_options {
    const std::string* name = nullptr;
    std::size_t stack_size = 0;
    bool eager = false;
};

/// Gives a new task to this thread's loop. Throws no_running_loop naming `what`; then the task still belongs to the caller.
/// \param where  unknown: where this returns to
WEFT_API void spawn(task_core& t, const spawn_options* options, const char* what, call_site where = {});

[[noreturn]] WEFT_API void throw_no_loop(const char* what);

/// Gives a new task to a loop, which may be another thread's. Throws invalid_state if that is closed, std::invalid_argument;
/// then the task still belongs to the caller.
WEFT_API void spawn_on(loop_state& loop, task_core& t, const spawn_options* options);

/// Throws no_running_loop naming `what` where no loop runs; before a task is made.
inline void require_loop(const char* what) {
    if (!kernel::this_thread().running) [[unlikely]] throw_no_loop(what);
}

}  // namespace weft::detail
