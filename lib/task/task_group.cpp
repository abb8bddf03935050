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
    starting_child* starting = nullptr;
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

group_core::group_core(source_place where) : request_(*this, where), asker_(request_.asker()) {}

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

void group_core::add(task_core& t, starting_child* starting) {
    t.mark_retrieved();   // its failure is the group's
    auto* c = new child;
    c->group = this;
    c->task = &t;
    c->completed = [](joiner& j, task_core& t, const gate_lock& lock, wake_batch&) noexcept {
        auto& c = static_cast<child&>(j);
        loop_state& loop = *t.home();
        loop.defer_stops = true;   // stop callbacks are the user's, and this is t's gate
        c.group->child_ended(c, t, &lock);
        loop.defer_stops = false;
    };
    c->previous_child = last_;
    (last_ ? last_->next_child : first_) = c;
    last_ = c;
    ++children_;
    if (starting && starting->phase_ == starting_child::phase::waiting) {   // else an eager child that is ready already
        c->starting = starting;
        starting->in_group_ = &c->starting;
    }
    if (!t.add_joiner(*c)) {   // an eager child that has ended already
        child_ended(*c, t, nullptr);
        if (failing_) fail();
        return;
    }
    if (aborting_) t.cancel(why_);   // an eager child in whose first turn the group was cancelled
    if (asker_) t.ask(*asker_);
}

void group_core::child_ended(child& c, task_core& t, const gate_lock* in_gate) noexcept {
    (c.previous_child ? c.previous_child->next_child : first_) = c.next_child;
    (c.next_child ? c.next_child->previous_child : last_) = c.previous_child;
    starting_child* starting = c.starting;
    delete &c;
    --children_;
    const bool starters = starting && !starting->abandoned_;   // failure, if any
    if (starting) starting->ended(t);
    if (t.error() && !t.cancelled() && !starters) {
        errors_.push_back(t.error());
        if (!aborting_ && !failing_) {
            why_ = "task '" + (in_gate ? t.name(*in_gate) : t.name()) + "' of the group failed: " + describe_exception(t.error());
            fail_soon();
        }
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
    abort(std::move(why_));
    if (body_running_) request_.raise();
}

void group_core::abort(std::string why) noexcept {
    aborting_ = true;
    why_ = std::move(why);
    for (child* c = first_; c;) {
        child* next = c->next_child;
        c->task->cancel(why_);
        c = next;
    }
}

void group_core::cancel(source_place where) noexcept {
    if (!aborting_) abort("task group cancelled at " + where.text());
    if (body_running_) request_.raise();
}

void group_core::body_request::asked_by(request_scope& scope) noexcept {
    if (!group.asker_) group.asker_ = &scope;
    for (child* c = group.first_; c; c = c->next_child) c->task->ask(scope);
}

void group_core::body_ended(std::exception_ptr error) {
    body_running_ = false;
    if (!error) return;
    try {
        std::rethrow_exception(error);
    } catch (const cancelled& c) {
        body_cancelled_ = error;
        if (c.idle()) return;   // the children were asked, too, and have their time
        if (!aborting_) abort(c.message());
    } catch (...) {
        errors_.push_back(error);
        if (!aborting_) abort("the body of the task group failed: " + describe_exception(error));
    }
}

bool group_core::finish() {
    std::exception_ptr cancelled_outside;
    while (children_ > 0) {
        waiter self("with_task_group", this);
        waiting_ = &self;
        const wait_outcome outcome = park(self);
        waiting_ = nullptr;
        if (outcome != wait_outcome::cancelled) continue;
        std::string message;
        try {
            throw_cancelled();
        } catch (const cancelled& c) {
            // Our own request, raised while the body ran and not delivered there, means nothing any more.
            if (!c.idle() && request_.others_asked()) cancelled_outside = std::current_exception();
            message = c.message();
        }
        if (cancelled_outside && !aborting_) abort(std::move(message));
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

bool starting_child::may_start() const {
    if (reported_) throw invalid_state("task_status::started: it has been called before");
    if (phase_ == phase::ended) throw invalid_state("task_status::started: the child has ended");
    if (loop_ && loop_state::current() != loop_)
        throw std::logic_error("task_status::started: the child belongs to another loop");
    return !abandoned_;
}

void starting_child::started() noexcept {
    reported_ = true;
    phase_ = phase::started;
    if (in_group_) *std::exchange(in_group_, nullptr) = nullptr;
    wake();
}

void starting_child::ended(const task_core& t) noexcept {
    in_group_ = nullptr;
    error_ = t.error();
    phase_ = phase::ended;
    wake();
}

void starting_child::wake() noexcept {
    if (!waiting_) return;
    gate_lock lock(gate_);
    waiter* w = std::exchange(waiting_, nullptr);
    const bool claimed = w->claim(lock);
    lock.leave();
    if (claimed) waiter::wake(*w);
}

void starting_child::wait(task_core& child) {
    std::optional<cancelled> taken;
    loop_ = loop_state::current();
    while (phase_ == phase::waiting) {
        waiter self("task_group::start", &child);
        waiting_ = &self;
        const wait_outcome outcome = park(self);
        waiting_ = nullptr;
        if (outcome != wait_outcome::cancelled) continue;
        try {
            throw_cancelled();
        } catch (const cancelled& c) {
            taken = c;
        }
        if (phase_ != phase::waiting) break;
        abandoned_ = true;
        child.cancel(taken->message());
    }
    if (taken) throw *taken;
    if (phase_ == phase::started) return;
    if (error_) std::rethrow_exception(error_);
    throw std::logic_error("task_group::start: the child has returned without calling task_status::started");
}

}  // namespace detail
}  // namespace weft
