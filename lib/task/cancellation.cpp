#include <weft/detail/cancellation.hpp>

#include <weft/detail/task_core.hpp>
#include <weft/error.hpp>

#include "kernel/park.hpp"
#include "kernel/scheduler.hpp"
#include "task/loop_state.hpp"
#include "task/extras.hpp"

namespace weft::detail {

bool task_core::cancel(std::string message) {
    gate_lock lock(gate_);
    if (done_.load(std::memory_order_relaxed)) return false;
    if (extras_ || !message.empty()) more().message.swap(message);
    ++bottom_.requests;
    ++bottom_.undelivered;
    if (loop_state::current() == home_) {
        lock.leave();
        update_cancellation();
    } else {
        post_update();
    }
    return true;
}

int task_core::cancelling() noexcept {
    gate_lock lock(gate_);
    return bottom_.requests;
}

int task_core::uncancel() noexcept {
    gate_lock lock(gate_);
    if (bottom_.requests == 0) return 0;
    const int left = --bottom_.requests;
    const bool withdrawn = bottom_.undelivered > left;
    if (withdrawn) bottom_.undelivered = left;
    if (withdrawn && !done_.load(std::memory_order_relaxed)) {
        if (loop_state::current() == home_) {
            lock.leave();
            update_cancellation();
        } else {
            post_update();
        }
    }
    return left;
}

void task_core::update_cancellation() noexcept {
    {
        gate_lock lock(gate_);
        set_cancel_deliverable(top_->undelivered > 0);
    }
    if (cancel_deliverable() && on) kernel::cancel_wait(*on);
}

void task_core::post_update() noexcept {
    if (update_posted_.exchange(true, std::memory_order_acq_rel)) return;
    retain();
    auto& update = more().update;
    update.deliver = [](message& m) noexcept {
        task_core* t = static_cast<struct extras::update&>(m).task;
        t->update_posted_.store(false, std::memory_order_release);
        if (!t->done()) t->update_cancellation();
        t->release();
    };
    // Under the gate, where the task is not done: its loop is alive until this message can be found.
    home_->core.scheduler.mailbox().post(update);
}

void task_core::push_frame(cancel_frame& f) noexcept {
    gate_lock lock(gate_);
    f.outer = top_;
    f.uncaught_floor = uncaught_floor = kernel::scheduler::current()->uncaught_exceptions();
    top_ = &f;
    set_cancel_deliverable(false);
}

void task_core::pop_frame(cancel_frame& f) noexcept {
    gate_lock lock(gate_);
    top_ = f.outer;
    uncaught_floor = top_->uncaught_floor;
    set_cancel_deliverable(top_->undelivered > 0);
}

std::string task_core::take_request() {
    gate_lock lock(gate_);
    top_->undelivered = 0;
    ++top_->deliveries;
    set_cancel_deliverable(false);
    std::string message;
    if (top_ == &bottom_ && extras_) message.swap(extras_->message);
    return message;
}

void throw_cancelled() {
    task_core* t = task_core::current();
    throw cancelled(t ? t->take_request() : std::string());
}

cancellation_hold::cancellation_hold() noexcept : task_(task_core::current()) {
    if (task_) task_->push_frame(frame_);
}

cancellation_hold::~cancellation_hold() {
    if (task_) task_->pop_frame(frame_);
}

request_scope::request_scope(const char* what) : task_(&task_core::require_current(what)) {
    if (kernel::scheduler::current()->uncaught_exceptions() > task_->uncaught_floor) task_->push_frame(own_);
    gate_lock lock(task_->gate_);
    frame_ = task_->top_;
    // A request that is pending when the scope opens will be delivered inside it: it counts as one that comes later.
    baseline_ = frame_->requests - frame_->undelivered;
}

request_scope::~request_scope() {
    if (raised_) withdraw();
    if (frame_ == &own_) task_->pop_frame(own_);
}

void request_scope::raise() noexcept {
    if (raised_) return;
    raised_ = true;
    {
        gate_lock lock(task_->gate_);
        raised_at_ = frame_->deliveries;
        ++frame_->requests;
        ++frame_->undelivered;
    }
    task_->update_cancellation();
}

bool request_scope::withdraw() noexcept {
    gate_lock lock(task_->gate_);
    if (raised_) {
        raised_ = false;
        if (frame_->requests > 0) --frame_->requests;   // a user's uncancel() may have taken it back
        if (frame_->deliveries == raised_at_ && frame_->undelivered > 0) --frame_->undelivered;
        if (frame_->undelivered > frame_->requests) frame_->undelivered = frame_->requests;
        if (frame_ == task_->top_) task_->set_cancel_deliverable(frame_->undelivered > 0);
    }
    return frame_->requests <= baseline_;
}

void request_scope::redeliver(std::string message) {
    {
        gate_lock lock(task_->gate_);
        if (frame_ == &task_->bottom_ && frame_->undelivered == 0 && !message.empty()) task_->more().message.swap(message);
        if (frame_->undelivered == 0) frame_->undelivered = 1;
        if (frame_->requests == 0) frame_->requests = 1;
    }
    task_->update_cancellation();
}

bool request_scope::others_asked() const noexcept {
    gate_lock lock(task_->gate_);
    return frame_->requests - (raised_ ? 1 : 0) > baseline_;
}

}  // namespace weft::detail
