#include <weft/cancellation.hpp>

#include <algorithm>
#include <atomic>
#include <string_view>
#include <utility>
#include <vector>

#include <weft/detail/task_core.hpp>
#include <weft/error.hpp>

#include "kernel/park.hpp"
#include "kernel/scheduler.hpp"
#include "task/loop_state.hpp"
#include "task/extras.hpp"

namespace weft::detail {

bool task_core::cancel(std::string message) {
    std::vector<std::stop_source> stops;   // what their callbacks do is not for the gate
    gate_lock lock(gate_);
    if (done_.load(std::memory_order_relaxed)) return false;
    if (extras_) stops = extras_->stopped_by(bottom_, nullptr);
    bottom_.latest = nullptr;
    if (extras_ || !message.empty()) more().message.swap(message);
    ++bottom_.requests;
    ++bottom_.undelivered;
    if (loop_state::current() == home_) {
        lock.leave();
        update_cancellation();
    } else {
        post_update();
        lock.leave();
    }
    if (!stops.empty()) stop_all(stops);
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
    if (left == 0 && extras_) extras_->message.clear();
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
        set_cancel_deliverable(deliverable());
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
    if (std::atomic_ref(extras_).load(std::memory_order_relaxed)) forget_stops(&f, nullptr);
    gate_lock lock(gate_);
    top_ = f.outer;
    uncaught_floor = top_->uncaught_floor;
    set_cancel_deliverable(deliverable());
}

weft::cancelled task_core::take_request() {
    const request_scope* from = nullptr;
    bool idle = false;
    std::string message;
    {
        gate_lock lock(gate_);
        if (top_->undelivered > 0) {
            top_->undelivered = 0;
            ++top_->deliveries;
            from = std::exchange(top_->latest, nullptr);
            if (!from && top_ == &bottom_ && extras_) message.swap(extras_->message);
        } else if (top_->asker) {   // what else could have ended a wait
            from = top_->asker;
            idle = true;
        }
        idle_ = false;
        set_cancel_deliverable(false);
    }
    if (from) message = from->origin();
    return weft::cancelled(std::move(message), idle);
}

void task_core::ask(request_scope& by) noexcept {
    if (done()) return;
    // At the end of the list: scopes of this task's own that have asked stand before it and are left earlier.
    request_scope** end = &bottom_.asker;
    while (*end && (*end)->task_ == this) end = &(*end)->next_asker_;
    if (*end) return;   // by another scope around: that is left later than this task, too
    *end = &by;
    for (nested* n = bottom_.innermost; n; n = n->outer_) n->asked_by(by);
    update_cancellation();
}

bool task_core::cancel_requested() noexcept {
    gate_lock lock(gate_);
    return (top_->asker || top_->undelivered > 0) && kernel::may_deliver(*this);
}

void task_core::idle_changed() noexcept {
    gate_lock lock(gate_);
    set_cancel_deliverable(deliverable());
}

void throw_cancelled() {
    task_core* t = task_core::current();
    if (!t) throw cancelled();
    throw t->take_request();
}

cancellation_hold::cancellation_hold() noexcept : task_(task_core::current()) {
    if (task_) task_->push_frame(frame_);
}

cancellation_hold::~cancellation_hold() {
    if (task_) task_->pop_frame(frame_);
}

idle_region::idle_region() noexcept : idle_region(task_core::current()) {}

void nested::open(task_core& t) noexcept {
    task_ = &t;
    frame_ = t.top_;
    outer_ = std::exchange(frame_->innermost, this);
}

void nested::close() noexcept {
    frame_->innermost = outer_;
    // Another thread may be making them at this moment, for a cancellation's message: then there are no stops among them.
    if (std::atomic_ref(task_->extras_).load(std::memory_order_relaxed)) task_->forget_stops(frame_, this);
}

void nested::asked_by(request_scope&) noexcept {}
const request_scope* nested::undelivered() const noexcept { return nullptr; }

request_scope::request_scope(const char* what, source_place where, bool shield) : what_(what), where_(where) {
    task_core& t = task_core::require_current(what);
    if (shield || kernel::scheduler::current()->uncaught_exceptions() > t.uncaught_floor) t.push_frame(own_);
    open(t);
    gate_lock lock(t.gate_);
    // A request that is pending when the scope opens will be delivered inside it: it counts as one that comes later.
    baseline_ = frame().requests - frame().undelivered;
}

request_scope::~request_scope() {
    if (raised_) withdraw();
    if (asked_) take_back_ask();
    close();
    if (&frame() == &own_) task().pop_frame(own_);
}

void request_scope::request(bool again) noexcept {
    std::vector<std::stop_source> stops;
    cancel_frame& f = frame();
    {
        gate_lock lock(task().gate_);
        if (again && f.deliveries == raised_at_) return;
        raised_at_ = f.deliveries;
        if (!again || f.requests == 0) ++f.requests;   // a user's uncancel() may have taken it back
        // A request from outside that waits, too, goes first: it outlives this scope.
        if (f.undelivered == 0 || f.latest) f.latest = this;
        f.undelivered = std::min(f.undelivered + 1, f.requests);
        if (task().extras_) stops = task().extras_->stopped_by(f, this);
    }
    task().update_cancellation();
    if (!stops.empty()) stop_all(stops);
}

void request_scope::raise() noexcept {
    if (!std::exchange(raised_, true)) request(false);
}

void request_scope::raise_again() noexcept {
    if (raised_) request(true);
    else raise();
}

void request_scope::ask() noexcept {
    if (std::exchange(asked_, true)) return;
    cancel_frame& f = frame();
    next_asker_ = std::exchange(f.asker, this);
    for (nested* n = f.innermost; n && n != this; n = n->outer_) n->asked_by(*this);
    task().update_cancellation();
}

void request_scope::take_back_ask() noexcept {
    request_scope** link = &frame().asker;
    while (*link != this) link = &(*link)->next_asker_;
    *link = next_asker_;
    asked_ = false;
    task().update_cancellation();
}

const request_scope* request_scope::undelivered() const noexcept {
    return raised_ && frame().deliveries == raised_at_ ? this : nullptr;
}

bool request_scope::withdraw() noexcept {
    cancel_frame& f = frame();
    gate_lock lock(task().gate_);
    if (raised_) {
        const bool pending = f.deliveries == raised_at_;
        raised_ = false;
        if (f.requests > 0) --f.requests;   // a user's uncancel() may have taken it back
        if (pending && f.undelivered > 0) --f.undelivered;
        if (f.undelivered > f.requests) f.undelivered = f.requests;
        if (f.latest == this) {
            f.latest = nullptr;
            for (nested* n = f.innermost; n && !f.latest && f.undelivered > 0; n = n->outer_) f.latest = n->undelivered();
        }
        if (&f == task().top_) task().set_cancel_deliverable(task().deliverable());
    }
    return f.requests <= baseline_;
}

void request_scope::redeliver(std::string message) {
    cancel_frame& f = frame();
    {
        gate_lock lock(task().gate_);
        if (&f == &task().bottom_ && f.undelivered == 0 && !message.empty()) task().more().message.swap(message);
        if (f.undelivered == 0) f.undelivered = 1;
        if (f.requests == 0) f.requests = 1;
    }
    task().update_cancellation();
}

bool request_scope::others_asked() const noexcept {
    gate_lock lock(task().gate_);
    return frame().requests - (raised_ ? 1 : 0) > baseline_;
}

std::string request_scope::origin() const { return std::string("deadline of ") + what_ + ", " + where_.text(); }

std::string source_place::text() const {
    std::string_view name = file;
    if (const auto slash = name.rfind('/'); slash != name.npos) name.remove_prefix(slash + 1);
    return std::string(name) + ':' + std::to_string(line);
}

}  // namespace weft::detail

namespace weft {

bool cancel_requested() noexcept {
    detail::task_core* t = detail::task_core::current();
    return t && t->cancel_requested();
}

}  // namespace weft
