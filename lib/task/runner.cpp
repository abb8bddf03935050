// run and runner: how a loop starts, is driven by its main task, and ends.

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <vector>

#include <weft/run.hpp>

#include "engine/signal_receiver.hpp"
#include "kernel/scheduler.hpp"
#include "task/loop_state.hpp"

namespace weft {
namespace {

using detail::loop_state;

/// Ctrl-C, for the one loop that runs on the main thread. The handler may run at any instruction: it reads one pointer and
/// rings a bell. SA_RESETHAND: the second Ctrl-C kills as usual.
class interrupt_watch {
public:
    explicit interrupt_watch(loop_state& s) {
        if (!s.options.handle_sigint || ::getpid() != ::syscall(SYS_gettid)) return;
        struct sigaction now {};
        // Of the flags nothing follows: a handler that the system has taken away (SA_RESETHAND) leaves its own.
        if (::sigaction(SIGINT, nullptr, &now) < 0 || now.sa_handler != SIG_DFL) return;
        came_.store(false, std::memory_order_relaxed);
        bell_.store(&s.core.scheduler.mailbox(), std::memory_order_release);
        struct sigaction ours {};
        ours.sa_handler = on_interrupt;
        ours.sa_flags = static_cast<int>(SA_RESETHAND) | SA_ONSTACK;   // fibers have small stacks
        ::sigemptyset(&ours.sa_mask);
        watching_ = ::sigaction(SIGINT, &ours, nullptr) == 0;
    }

    ~interrupt_watch() {
        if (!watching_) return;
        bell_.store(nullptr, std::memory_order_release);
        struct sigaction now {};
        // Whoever took SIGINT over meanwhile keeps it.
        if (::sigaction(SIGINT, nullptr, &now) == 0 && (now.sa_handler == on_interrupt || now.sa_handler == SIG_DFL)) {
            struct sigaction standard {};
            standard.sa_handler = SIG_DFL;
            ::sigemptyset(&standard.sa_mask);
            ::sigaction(SIGINT, &standard, nullptr);
        }
        engine_layer::forget_previous_handler(SIGINT, on_interrupt);
    }

    bool take() noexcept { return watching_ && came_.exchange(false, std::memory_order_acq_rel); }

private:
    static void on_interrupt(int) {
        came_.store(true, std::memory_order_release);
        if (kernel::inbox* bell = bell_.load(std::memory_order_acquire)) bell->ring();
    }

    inline static std::atomic<bool> came_{false};
    inline static std::atomic<kernel::inbox*> bell_{nullptr};
    bool watching_ = false;
};

/// Cancels every task, also those born meanwhile, and makes turns until all have ended.
void end_all_tasks(loop_state& s) {
    s.closing = true;   // from here on the last task to end keeps the turn from sleeping
    std::vector<task_handle> ending = s.tasks();
    if (s.debug.load(std::memory_order_relaxed)) {
        for (const task_handle& t : ending)   // the reference just made
            if (t.core()->references() == 1) s.report({"a task that nobody holds was still pending when its loop closed", {}, t});
    }
    for (const task_handle& t : ending) t.cancel("the loop is closing");
    while (s.first_task) s.core.turn();
    for (const task_handle& t : ending) {
        detail::task_core& core = *t.core();
        if (!core.error() || core.cancelled() || core.retrieved()) continue;
        core.mark_retrieved();
        s.report({"a task failed while the loop was closing", core.error(), t});
    }
    ending.clear();
    // Done callbacks of the last tasks, and reports of exceptions nobody took, are one turn away.
    s.core.turn(detail::time_point::min());
    while (s.first_task) s.core.turn();
}

/// Shuts the default executor down: as a task, for its last jobs may still want something of the loop.
void end_executor(loop_state& s) {
    if (!s.default_executor) return;
    s.closing = false;   // this one task is not cancelled
    const task_handle shutdown = create_task([&s] { s.shut_down(*s.default_executor); });
    s.closing = true;
    while (s.first_task) s.core.turn();
    s.core.turn(detail::time_point::min());
    while (s.first_task) s.core.turn();
}

std::unique_ptr<loop_state> make_loop(const run_options& options) {
    if (kernel::scheduler::current())
        throw std::logic_error("run: a loop is running on this thread already; call the function, or create_task it");
    return std::make_unique<loop_state>(detail::with_environment(options));
}

}  // namespace

runner::runner(run_options options) : state_(make_loop(options)) {}

runner::~runner() {
    // One that lives as long as the program: its thread has ended, and its fibers with it.
    if (kernel::thread_is_over()) static_cast<void>(state_.release());
    else close();
}

detail::context& runner::main_context() noexcept { return state_->main_context; }

void runner::enter() { state_->enter("runner::run"); }

void runner::leave() noexcept { state_->leave(); }

void runner::drive(const task_handle& main) {
    loop_state& s = *state_;
    bool interrupted_by_user = false;
    bool stopped = false;
    interrupt_watch sigint(s);
    detail::end_watch end(s, main);
    while (!main.done()) {
        s.core.turn();
        if (sigint.take()) {
            interrupted_by_user = true;
            main.cancel("interrupted");
        }
        // The main task refers to the caller's frame: it must end before that does.
        if (s.take_stop() && !main.done()) {
            stopped = true;
            main.cancel("the loop was stopped");
        }
    }
    if (!main.cancelled()) return;
    if (interrupted_by_user && main.uncancel() == 0) {
        main.exception();
        throw interrupted();
    }
    if (stopped) {
        main.exception();
        throw invalid_state("runner::run: the loop was stopped before the main task had returned");
    }
}

loop& runner::get_loop() {
    if (state_->closed) throw invalid_state("runner::get_loop: the runner is closed");
    return state_->facade;
}

void runner::close() {
    if (state_->closed) return;
    if (kernel::scheduler::current())
        detail::program_error("a runner was closed, or destroyed, inside a running loop; let its run return first");
    if (!state_->on_its_thread())
        detail::program_error("a runner was closed, or destroyed, on another thread than the one that made it");
    state_->enter("runner::close");
    state_->refuse_tasks();
    end_all_tasks(*state_);
    end_executor(*state_);
    // What other threads bring from now on is refused; what they have brought is ended, too.
    state_->leave_directory();
    state_->core.scheduler.mailbox().deliver();
    end_all_tasks(*state_);
    state_->leave();
    state_->close();
}

}  // namespace weft
