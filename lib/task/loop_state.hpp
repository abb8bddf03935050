#pragma once

/// loop_state: all that one weft::loop is, and the directory by which other threads find loops that may be gone.
///
/// Invariant: a loop is in the directory from its making to its closing; whoever finds it there under the directory's
/// mutex may post to its inbox before letting go.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <vector>

#include <weft/detail/task_core.hpp>
#include <weft/loop.hpp>
#include <weft/run.hpp>

#include "loop/core.hpp"
#include "loop/embedding.hpp"
#include "task/debug_mode.hpp"
#include "task/descriptor_callbacks.hpp"
#include "task/handle_state.hpp"
#include "task/signal_callbacks.hpp"

namespace weft::detail {

struct loop_state {
    explicit loop_state(const run_options& options);
    ~loop_state();
    /// From here on tasks that other threads bring are refused: or they could keep it from ever closing.
    void refuse_tasks() noexcept;
    /// From here on other threads do not find it.
    void leave_directory() noexcept;
    /// Frees what is scheduled and gives the engine back. The state itself stays, for those who ask whether the loop is closed.
    void close();

    /// This thread's running loop; null if none runs.
    static loop_state* current() noexcept {
        kernel::scheduler* s = kernel::scheduler::current();
        return s ? static_cast<loop_state*>(s->loop) : nullptr;
    }
    /// Calls f(loop) if the loop with this serial number is not closed; f runs under the directory's mutex and must be short.
    static bool if_open(std::uint64_t serial, const std::function<void(loop_state&)>& f);

    /// A run begins, in this thread. Throws std::logic_error naming the call where a loop runs already, or on another thread
    /// than the one that made the loop; invalid_state if it is closed.
    void enter(const char* call);
    void leave() noexcept;
    /// Has the loop leave its run after this turn; any thread.
    void stop() noexcept;
    /// Turns that a stop() ended, or would end; taken.
    bool take_stop() noexcept { return stopping.exchange(false, std::memory_order_relaxed); }

    /// Has f called in the next turn.
    std::shared_ptr<handle_state> schedule(std::function<void()> f);
    /// The same from another thread, which has found the loop open under the directory's mutex.
    std::shared_ptr<handle_state> post(std::function<void()> f);
    bool on_its_thread() const noexcept { return kernel::this_thread().id == thread; }
    /// Something was scheduled: the loop's host, if it has one, must know.
    void scheduled() noexcept {
        if (core.host) core.host->refresh();
    }
    void set_debug(bool on) noexcept;

    /// Gives a new task its number, which is never used again, and its place; the second on any thread.
    void number(task_core& t) noexcept;
    void number_from_anywhere(task_core& t) noexcept;
    void add(task_core& t) noexcept;
    void remove(task_core& t) noexcept;
    WEFT_NOINLINE void take_id_block() noexcept;
    std::vector<task_handle> tasks() const;
    void report(const exception_context& context) noexcept;
    /// For an exception that nobody took: told to the loop's handler, on its thread, or printed if the loop is closed.
    static void report_from_anywhere(std::uint64_t serial, exception_context context) noexcept;

    const run_options options;
    loop_layer::core core;
    weft::loop facade;
    const std::uint64_t serial;
    const std::uint32_t thread;   // that made the loop, and alone may run it
    std::function<void(weft::loop&, const exception_context&)> exception_handler;
    std::shared_ptr<thread_pool_executor> default_executor;   // null until it is needed or set
    void (*shut_down)(thread_pool_executor&) = nullptr;       // how to, set by the layer that knows, with default_executor
    task_core* first_task = nullptr;   // unfinished ones, oldest first
    task_core* last_task = nullptr;
    handle_state* first_pending = nullptr;
    std::uint64_t next_id = 0;         // of a block of ids that belongs to this loop
    std::uint64_t last_id = 0;
    context callback_context;          // of the callback that runs on the loop's own stack
    context main_context = context::copy_of_current();   // of the main tasks of a runner, one after the other
    bool takes_tasks = true;           // from other threads; guarded by the directory's mutex
    bool defer_stops = false;          // a task's gate is held: stop sources must wait in deferred_stops
    std::vector<std::stop_source> deferred_stops;
    void stop_deferred() noexcept;
    bool closing = false;              // new tasks are cancelled at once
    std::atomic<bool> closed{false};
    std::atomic<bool> running{false};    // relaxed: for is_running
    std::atomic<bool> stopping{false};   // relaxed: the ring that follows orders it
    std::atomic<bool> debug{false};      // relaxed: for diagnostics
    debug_mode debugging{*this};
    std::unique_ptr<descriptor_callbacks> descriptors;   // null until one is set
    std::unique_ptr<signal_callbacks> signals;           // likewise
};

inline void loop_state::number(task_core& t) noexcept {
    if (next_id == last_id) [[unlikely]] take_id_block();
    t.id_ = ++next_id;
    t.home_ = this;
    t.loop_serial_ = serial;
}

inline void loop_state::add(task_core& t) noexcept {
    t.previous_ = last_task;
    t.next_ = nullptr;
    (last_task ? last_task->next_ : first_task) = &t;
    last_task = &t;
}

inline void loop_state::remove(task_core& t) noexcept {
    (t.previous_ ? t.previous_->next_ : first_task) = t.next_;
    (t.next_ ? t.next_->previous_ : last_task) = t.previous_;
    if (closing && !first_task) [[unlikely]] core.do_not_sleep();
}

/// While it lives, the end of a task keeps the turn in which it comes from sleeping: for who drives the loop for its sake.
class end_watch : joiner {
public:
    end_watch(loop_state& s, const task_handle& t);
    ~end_watch();
    end_watch(const end_watch&) = delete;
    end_watch& operator=(const end_watch&) = delete;

private:
    loop_state& loop_;
    task_core& task_;
};

/// A name as the compiler wrote it, for people.
std::string readable(const char* mangled);

/// Whether it is the `cancelled` of an idle wait that was asked to end.
bool left_idle_wait(const std::exception_ptr& error) noexcept;

/// "type: what()".
std::string describe_exception(const std::exception_ptr& error);

/// Prints what the default exception handler prints.
void print_exception(const exception_context& context) noexcept;
/// The same without a task, which takes little memory; without any, no more than the message.
void print_exception(const char* message, const std::exception_ptr& exception) noexcept;

/// options as the environment changes them, checked.
run_options with_environment(run_options options);

}  // namespace weft::detail
