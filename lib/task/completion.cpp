#include <weft/detail/completion.hpp>

#include <weft/error.hpp>

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
        cancel_owned();
        cancellation_hold hold;
        for (std::size_t i = 0; i < tasks_.size(); ++i)
            if (owned_[i]) tasks_[i]->join("gather");
    }
    for (task_core* t : tasks_) t->release();
}

void gathered::reserve(std::size_t count) {
    tasks_.reserve(count);
    owned_.reserve(count);
}

void gathered::add(task_core& t, bool owned) {
    tasks_.push_back(&t);
    t.retain();
    owned_.push_back(owned);
    t.mark_retrieved();   // whatever comes of it, the gather has seen it
}

void gathered::cancel_owned() noexcept {
    for (std::size_t i = 0; i < tasks_.size(); ++i)
        if (owned_[i]) tasks_[i]->cancel({});
}

void gathered::wait(bool return_exceptions) {
    std::exception_ptr first;
    std::string message;
    bool cancelled_by_caller = false;
    std::size_t owned_left = 0;
    for (bool owned : owned_) owned_left += owned;
    {
        completions ended(tasks_, "gather");
        task_core* self = task_core::current();
        while (ended.remaining() > 0 && !(first && owned_left == 0)) {
            std::size_t index = 0;
            // Once an exception is to be thrown, a cancellation stays pending behind it.
            if (ended.next(index, time_point::max(), !first) == wait_outcome::cancelled) {
                message = self->take_request();
                cancelled_by_caller = true;
                for (task_core* t : tasks_) t->cancel(message);
                continue;
            }
            if (owned_[index]) --owned_left;
            if (return_exceptions || cancelled_by_caller || first || !tasks_[index]->error()) continue;
            first = tasks_[index]->error();
            cancel_owned();
        }
    }
    waited_ = true;
    if (cancelled_by_caller) throw weft::cancelled(message);
    if (first) std::rethrow_exception(first);
}

}  // namespace weft::detail
