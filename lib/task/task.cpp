#include <weft/task.hpp>

#include <algorithm>
#include <thread>

#include "kernel/park.hpp"
#include "kernel/scheduler.hpp"
#include "task/loop_state.hpp"

namespace weft {

detail::task_core& task_handle::checked(const char* call) const {
    if (!core_) throw invalid_state(std::string(call) + ": the handle is empty");
    return *core_;
}

bool task_handle::done() const { return checked("task_handle::done").done(); }
bool task_handle::cancelled() const { return checked("task_handle::cancelled").cancelled(); }
bool task_handle::cancel(std::string message) const { return checked("task_handle::cancel").cancel(std::move(message)); }
int task_handle::cancelling() const { return checked("task_handle::cancelling").cancelling(); }
int task_handle::uncancel() const { return checked("task_handle::uncancel").uncancel(); }

std::exception_ptr task_handle::exception() const {
    detail::task_core& core = checked("task_handle::exception");
    if (!core.done()) throw invalid_state("task_handle::exception: the task is not done; join it first");
    core.mark_retrieved();
    return core.error();
}

void task_handle::join() const { checked("task_handle::join").join("task_handle::join"); }

std::string task_handle::name() const { return checked("task_handle::name").name(); }
void task_handle::set_name(std::string name) const { checked("task_handle::set_name").set_name(std::move(name)); }

callback_id task_handle::add_callback(std::function<void(const task_handle&)> f) const {
    const auto number = checked("task_handle::add_done_callback").add_callback([f = std::move(f)](detail::task_core& core) {
        core.retain();
        f(task_handle(&core));
    });
    return callback_id(number);
}

bool task_handle::remove_done_callback(callback_id id) const {
    return checked("task_handle::remove_done_callback").remove_callback(static_cast<std::uint64_t>(id));
}

task_handle current_task() {
    detail::task_core* t = detail::task_core::current();
    if (!t) throw no_running_task("current_task");
    t->retain_found();
    return task_handle(t);
}

std::vector<task_handle> all_tasks() {
    detail::loop_state* loop = detail::loop_state::current();
    if (!loop) throw no_running_loop("all_tasks");
    return loop->tasks();
}

void yield_now() {
    kernel::scheduler* s = kernel::scheduler::current();
    if (!s) return std::this_thread::yield();
    if (!s->may_park()) throw no_running_task("yield_now");
    const bool& may_be_cancelled = s->running_fiber().cancel_deliverable;
    if (may_be_cancelled) [[unlikely]] detail::check_cancelled();
    s->yield();
    if (may_be_cancelled) [[unlikely]] detail::check_cancelled();
}

void detail::sleep_until(time_point deadline) {
    kernel::scheduler* s = kernel::scheduler::current();
    if (!s) return std::this_thread::sleep_until(deadline);
    waiter self("sleep");
    woken_or_throw(park(self, deadline));
}

}  // namespace weft
