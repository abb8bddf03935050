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

namespace weft::detail {

/// A scheduled callback: in the run queue, in the timer queue, or on its way from another thread. Holds itself until it
/// has run or was cancelled by the loop's end.
struct handle_state : kernel::callback, kernel::timer, message {
    handle_state(loop_state& s, std::function<void()> f);

    void enter() noexcept;   // into the loop's list of pending ones
    void leave() noexcept;

    loop_state* loop;
    std::function<void()> f;
    context values = context::copy_of_current();   // it runs with its creator's
    std::shared_ptr<handle_state> self;
    handle_state* next_pending = nullptr;
    handle_state* previous_pending = nullptr;
    bool pending = false;
    bool cancelled = false;
};

struct loop_state {
    explicit loop_state(const run_options& options);
    ~loop_state();
    /// Frees what is scheduled and gives the engine back. The state itself stays, for those who ask whether the loop is closed.
    void close();

    /// This thread's running loop; null if none runs.
    static loop_state* current() noexcept {
        kernel::scheduler* s = kernel::scheduler::current();
        return s ? static_cast<loop_state*>(s->loop) : nullptr;
    }
    /// Calls f(loop) if the loop with this serial number is not closed; f runs under the directory's mutex and must be short.
    static bool if_open(std::uint64_t serial, const std::function<void(loop_state&)>& f);

    void add(task_core& t) noexcept;
    void remove(task_core& t) noexcept;
    std::vector<task_handle> tasks() const;
    void report(const exception_context& context) noexcept;
    /// For an exception that nobody took: told to the loop's handler, on its thread, or printed if the loop is closed.
    static void report_from_anywhere(std::uint64_t serial, exception_context context) noexcept;

    const run_options options;
    loop_layer::core core;
    weft::loop facade;
    const std::uint64_t serial;
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
    bool defer_stops = false;          // a task's gate is held: stop sources must wait in deferred_stops
    std::vector<std::stop_source> deferred_stops;
    void stop_deferred() noexcept;
    bool closing = false;              // new tasks are cancelled at once
    std::atomic<bool> closed{false};
    bool debug;
};

/// Whether it is the `cancelled` of an idle wait that was asked to end.
bool left_idle_wait(const std::exception_ptr& error) noexcept;

/// "type: what()".
std::string describe_exception(const std::exception_ptr& error);

/// Prints what the default exception handler prints.
void print_exception(const exception_context& context) noexcept;

/// options as the environment changes them, checked.
run_options with_environment(run_options options);

}  // namespace weft::detail
