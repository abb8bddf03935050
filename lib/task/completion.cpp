#include <weft/detail/completion.hpp>

#include <weft/error.hpp>

#include "task/loop_state.hpp"

namespace weft::detail {

completions::completions(const std::vector<task_core*>& tasks, const char* what)
    : count_(tasks.size()), remaining_(tasks.size()), what_(what), nodes_(std::make_unique<node[]>(tasks.size())) {
    for (std::size_t i = 0; i < count_; ++i) {
        node& n = nodes_[i];
        n.owner = this;
        n.task = tasks[i];
        n.task->retain();
        n.completed = [](joiner& j, task_core&, const gate_lock&, wake_batch& batch) noexcept {
            auto& n = static_cast<node&>(j);
            gate_lock lock(n.owner->gate_);
            n.owner->append(n);
            waiter* w = std::exchange(n.owner->waiting_, nullptr);
            if (w && w->claim(lock)) batch.add(*w);
        };
        if (!n.task->add_joiner(n)) {
            gate_lock lock(gate_);
            append(n);
        }
    }
}

completions::~completions() {
    for (std::size_t i = 0; i < count_; ++i) {
        nodes_[i].task->remove_joiner(nodes_[i]);
        nodes_[i].task->release();
    }
}

void completions::append(node& n) noexcept {
    (last_done_ ? last_done_->next_done : first_done_) = &n;
    last_done_ = &n;
}

bool completions::pop(std::size_t& index) noexcept {
    node* n = first_done_;
    if (!n) return false;
    first_done_ = n->next_done;
    if (!first_done_) last_done_ = nullptr;
    index = static_cast<std::size_t>(n - nodes_.get());
    --remaining_;
    return true;
}

bool completions::try_next(std::size_t& index) noexcept {
    gate_lock lock(gate_);
    return pop(index);
}

wait_outcome completions::next(std::size_t& index, time_point deadline, bool cancellable) {
    for (;;) {
        waiter self(what_, this);
        {
            gate_lock lock(gate_);
            if (pop(index)) return wait_outcome::woken;
            waiting_ = &self;
        }
        const wait_outcome outcome = cancellable ? park(self, deadline) : park_uncancellable(self, deadline);
        {
            gate_lock lock(gate_);
            if (waiting_ == &self) waiting_ = nullptr;
        }
        if (outcome != wait_outcome::woken) return outcome;
    }
}

gathered::~gathered() {
    if (!waited_) {
        // Not every child could be made: those that were refer to the caller's frame.
        cancel_owned("gather: not all of its tasks could be started");
        cancellation_hold hold;
        for (std::size_t i = 0; i < tasks_.size(); ++i)
            if (owned_[i]) tasks_[i]->join("gather");
    }
    if (task()) close();
    for (task_core* t : tasks_) t->release();
}

void gathered::reserve(std::size_t count) {
    tasks_.reserve(count);
    owned_.reserve(count);
}

void gathered::add(task_core& t, bool owned) {
    if (owned && !task()) open(*task_core::current());
    tasks_.push_back(&t);
    t.retain();
    owned_.push_back(owned);
    t.mark_retrieved();   // whatever comes of it, the gather has seen it
    if (owned && frame().asker) t.ask(*frame().asker);
}

void gathered::asked_by(request_scope& scope) noexcept {
    for (std::size_t i = 0; i < tasks_.size(); ++i)
        if (owned_[i]) tasks_[i]->ask(scope);
}

void gathered::cancel_owned(const std::string& message) noexcept {
    for (std::size_t i = 0; i < tasks_.size(); ++i)
        if (owned_[i]) tasks_[i]->cancel(message);
}

void gathered::wait(bool return_exceptions) {
    std::exception_ptr first;
    std::exception_ptr first_idle;   // of a child that left an idle wait: the others were asked, too, and have their grace
    cancelled by_caller;
    bool cancelled_by_caller = false;
    std::size_t owned_left = 0;
    for (bool owned : owned_) owned_left += owned;
    {
        completions ended(tasks_, "gather");
        task_core* self = task_core::current();
        while (ended.remaining() > 0 && !((first || (first_idle && !return_exceptions)) && owned_left == 0)) {
            std::size_t index = 0;
            // Once an exception is to be thrown, a cancellation stays pending behind it.
            if (ended.next(index, time_point::max(), !first) == wait_outcome::cancelled) {
                by_caller = self->take_request();
                cancelled_by_caller = true;
                for (task_core* t : tasks_) t->cancel(by_caller.message());
                continue;
            }
            const task_core& child = *tasks_[index];
            if (owned_[index]) --owned_left;
            if (return_exceptions || cancelled_by_caller || first || !child.error()) continue;
            if (owned_[index] && child.cancelled() && left_idle_wait(child.error())) {
                if (!first_idle) first_idle = child.error();
                continue;
            }
            first = child.error();
            if (owned_left > 0) cancel_owned("gather: another one ended with " + describe_exception(first));
        }
    }
    waited_ = true;
    if (cancelled_by_caller) throw by_caller;
    if (first) std::rethrow_exception(first);
    if (first_idle) std::rethrow_exception(first_idle);
}

}  // namespace weft::detail
