#include <weft/task_group.hpp>

#include <memory>
#include <new>
#include <typeinfo>

#include <weft/error.hpp>

#include "kernel/scheduler.hpp"
#include "task/loop_state.hpp"

namespace weft {

exception_group::exception_group(std::vector<std::exception_ptr> exceptions) {
    std::string text = std::to_string(exceptions.size()) + (exceptions.size() == 1 ? " failure" : " failures") +
                       " in a task group";
    const char* separator = ": ";
    for (const std::exception_ptr& e : exceptions) {
        text += separator + detail::describe_exception(e);
        separator = "; ";
    }
    exceptions_ = std::make_shared<const std::vector<std::exception_ptr>>(std::move(exceptions));
    what_ = std::make_shared<const std::string>(std::move(text));
}

namespace detail {

struct group_core::child : joiner {
    group_core* group = nullptr;
    task_core* task = nullptr;
    child* next_child = nullptr;
    child* previous_child = nullptr;
};

/// What a first failure leads to, a turn later: siblings that run in the turn of the failure may fail, too, or be done.
struct group_core::failing : kernel::callback {
    explicit failing(group_core& g)
        : callback([](callback& c) noexcept {
              const std::unique_ptr<failing> self(static_cast<failing*>(&c));
              if (!self->group) return;
              self->group->failing_ = nullptr;
              self->group->fail();
          }),
          group(&g) {}
    group_core* group;   // null: it has ended before
};

group_core::group_core() : request_("with_task_group") {}

group_core::~group_core() {   // finish() has waited for every child
    if (failing_) failing_->group = nullptr;
}

void group_core::check_open(const char* what) const {
    if (aborting_)
        throw std::logic_error(std::string(what) + ": the group is being cancelled; no child can be added");
    if (!body_running_ && children_ == 0) throw std::logic_error(std::string(what) + ": the group has ended");
    if (loop_state::current() != request_.task().home())
        throw std::logic_error(std::string(what) + ": the group belongs to another loop");
}

void group_core::add(task_core& t) {
    t.mark_retrieved();   // its failure is the group's
    auto* c = new child;
    c->group = this;
    c->task = &t;
    c->completed = [](joiner& j, task_core& t, const gate_lock&, wake_batch&) noexcept {
        auto& c = static_cast<child&>(j);
        c.group->child_ended(c, t);
    };
    c->next_child = first_;
    if (first_) first_->previous_child = c;
    first_ = c;
    ++children_;
    if (!t.add_joiner(*c)) {   // an eager child that has ended already
        child_ended(*c, t);
        if (failing_) fail();
    } else if (aborting_) {
        t.cancel({});   // an eager child in whose first turn the group was cancelled
    }
}

void group_core::child_ended(child& c, task_core& t) noexcept {
    (c.previous_child ? c.previous_child->next_child : first_) = c.next_child;
    if (c.next_child) c.next_child->previous_child = c.previous_child;
    delete &c;
    --children_;
    if (t.error() && !t.cancelled()) {
        errors_.push_back(t.error());
        if (!aborting_ && !failing_) fail_soon();
    }
    if (children_ == 0 && waiting_) {
        gate_lock lock(gate_);
        waiter* w = std::exchange(waiting_, nullptr);
        const bool claimed = w->claim(lock);
        lock.leave();
        if (claimed) waiter::wake(*w);
    }
}

void group_core::fail_soon() noexcept {
    failing_ = new (std::nothrow) failing(*this);
    if (failing_) loop_state::current()->core.scheduler.ready(*failing_);
    else fail();
}

void group_core::fail() noexcept {
    if (aborting_) return;
    abort();
    if (body_running_) request_.raise();
}

void group_core::abort() noexcept {
    aborting_ = true;
    for (child* c = first_; c;) {
        child* next = c->next_child;
        c->task->cancel({});
        c = next;
    }
}

void group_core::cancel() noexcept {
    if (!aborting_) abort();
    if (body_running_) request_.raise();
}

void group_core::body_ended(std::exception_ptr error) {
    body_running_ = false;
    if (!error) return;
    try {
        std::rethrow_exception(error);
    } catch (const cancelled&) {
        body_cancelled_ = error;
    } catch (...) {
        errors_.push_back(error);
    }
    if (!aborting_) abort();
}

bool group_core::finish() {
    std::exception_ptr cancelled_outside;
    while (children_ > 0) {
        waiter self("with_task_group", this);
        waiting_ = &self;
        const wait_outcome outcome = park(self);
        waiting_ = nullptr;
        if (outcome != wait_outcome::cancelled) continue;
        try {
            throw_cancelled();
        } catch (const cancelled&) {
            // Our own request, raised while the body ran and not delivered there, means nothing any more.
            if (request_.others_asked()) cancelled_outside = std::current_exception();
        }
        if (cancelled_outside && !aborting_) abort();
    }
    const bool was_raised = request_.raised();
    const bool only_own = request_.withdraw();
    if (!cancelled_outside && body_cancelled_ && !(was_raised && only_own)) cancelled_outside = body_cancelled_;
    if (!errors_.empty()) {
        if (cancelled_outside && !only_own) {
            try {
                std::rethrow_exception(cancelled_outside);
            } catch (const cancelled& c) {
                request_.redeliver(c.message());
            }
        }
        throw exception_group(std::move(errors_));
    }
    if (cancelled_outside) std::rethrow_exception(cancelled_outside);
    return !body_cancelled_;
}

}  // namespace detail
}  // namespace weft
