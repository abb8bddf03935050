#pragma once

/// core: one loop, composed of its layers' states in order, and one turn of it.
///
/// A turn, in this order:
///   1. deliver the inbox: wakes and calls from other threads become ready
///   2. fire the timers that are due: their fibers and callbacks become ready
///   3. run what is ready, oldest first, at most turn_budget switches: in one go, each fiber switching to the next one; or,
///      while an observer or an order of ready fibers is installed, one by one, coming back here in between
///   4. serve Boost.Fiber's dispatcher, if something was left for it
///   5. ask the engine: without waiting if anything is ready, else until the next deadline or the doorbell
///
/// Invariants: all of it runs on the loop's own stack and thread. A turn that finds nothing to do sleeps only after
/// inbox::fall_asleep() agreed, so no wake from another thread is missed.

#include <atomic>
#include <memory>

#include "engine/engine.hpp"
#include "kernel/overflow.hpp"
#include "kernel/scheduler.hpp"

namespace weft::loop_layer {

class embedding;

/// Is told of each thing that runs in a turn, before and after. For debug mode; on the loop's own stack.
struct step_observer {
    void (*before)(step_observer&, kernel::runnable&) noexcept = nullptr;
    void (*after)(step_observer&) noexcept = nullptr;   // what has run may be gone
};

/// Which engine to make. What `automatic` is, is decided in core.cpp, and nowhere else; the others are that one or an exception
/// that says why not.
enum class engine_choice { automatic, epoll, io_uring };

/// For tests: what is done to every engine from then on as it is made, to have it misbehave; null: nothing. It may return
/// another one that passes what it is asked on.
using engine_wrapper = std::unique_ptr<engine_layer::engine> (*)(std::unique_ptr<engine_layer::engine>);
extern WEFT_API std::atomic<engine_wrapper> installed_engine_wrapper;

class core {
public:
    explicit core(std::size_t stack_size, engine_choice choice);
    ~core();
    /// Gives the engine back; the last thing that happens here but destruction.
    void close() noexcept;
    core(const core&) = delete;
    core& operator=(const core&) = delete;

    /// One turn. Returns whether anything was ready in it. \param latest  do not sleep beyond this
    bool turn(detail::time_point latest = detail::time_point::max()) noexcept;
    /// Step 5 of a turn in which nothing is ready.
    void sleep(detail::time_point latest) noexcept;
    /// The turn that runs now, or the next, does not sleep: what the loop was driven for has come.
    void do_not_sleep() noexcept { awake_ = true; }

    // In order of construction; torn down in reverse.
    kernel::overflow_guard overflow;
    kernel::scheduler scheduler;
    std::unique_ptr<engine_layer::engine> engine;
    std::unique_ptr<embedding> host;     // null until the loop is embedded in another one

    step_observer* observer = nullptr;   // null: nobody is told, and nothing is paid for it

    /// Switches and callbacks between two looks at the operating system.
    static constexpr int turn_budget = 256;

private:
    bool look_out(detail::time_point until) noexcept;
    void run_stepwise() noexcept;

    bool awake_ = false;
    unsigned turns_without_look_ = 0;   // at the engine
    bool answers_fast_ = false;   // the last sleep was short, and another thread ended it
};

}  // namespace weft::loop_layer
