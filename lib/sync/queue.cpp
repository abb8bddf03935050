#include <weft/queue.hpp>

#include <algorithm>
#include <stdexcept>

#include <weft/detail/task_core.hpp>

#include "kernel/scheduler.hpp"
#include "sync/wait.hpp"

namespace weft::detail {

queue_state::~queue_state() {
    if (!getters_.empty() || !putters_.empty() || !joiners_.empty() || promised_ != 0) [[unlikely]]
        program_error(
            "a queue is destroyed while somebody waits for it: shut it down and end the waiters first", this);
}

std::size_t queue_state::size() const noexcept {
    const gate_lock lock(gate_);
    return stored_;
}

bool queue_state::full() const noexcept {
    const gate_lock lock(gate_);
    return !room();
}

void queue_state::task_done() {
    wake_batch batch;
    const gate_lock lock(gate_);
    if (unfinished_ == 0)
        throw std::logic_error("queue::task_done: called more often than items were put");
    forget(1, lock, batch);
}

void queue_state::join() {
    gate_lock lock(gate_);
    if (unfinished_ == 0)
        return;
    waiter w("queue::join", this);
    joiners_.push_back(w);
    lock.leave();
    wait_or_throw(joiners_, gate_, w, time_point::max());
}

void queue_state::require_open() const {
    if (shut_down_)
        throw_shutdown();
}

bool queue_state::wait_for_room(gate_lock& lock, const char* what, time_point deadline,
                                std::uint64_t& ticket) {
    queue_wait answer;
    waiter w(what, this);
    w.slot = &answer;
    putters_.push_back(w);
    lock.leave();
    const wait_outcome outcome = wait_in(putters_, gate_, w, deadline);
    if (w.was_woken() && !answer.shut_down) {
        lock.enter();
        --promised_;
        if (outcome == wait_outcome::woken && !shut_down_) {
            ticket = answer.ticket;
            return true;
        }
        waiter* next = promise_room(lock);
        lock.leave();
        wake(next);
    }
    if (!woken_or_throw(outcome))
        return false;
    throw_shutdown();
}

waiter* queue_state::promise_room(const gate_lock& lock) noexcept {
    if (putters_.empty() || !room())
        return nullptr;
    waiter* putter = putters_.claim_front(lock);
    if (putter) {
        ++promised_;
        static_cast<queue_wait*>(putter->slot)->ticket = next_ticket_++;
    }
    return putter;
}

wait_outcome queue_state::wait_for_item(waiter& getter, time_point deadline) noexcept {
    kernel::scheduler* s = kernel::scheduler::current();
    idle_region idle(s ? static_cast<task_core*>(s->running_fiber().work) : nullptr);
    return wait_in(getters_, gate_, getter, deadline);
}

void queue_state::close(const gate_lock& lock, wake_batch& batch) noexcept {
    shut_down_ = true;
    for (wait_list* list : {&getters_, &putters_}) {
        while (waiter* w = list->claim_front(lock)) {
            static_cast<queue_wait*>(w->slot)->shut_down = true;
            batch.add(*w);
        }
        if (!list->empty())
            batch.let_leave(*list, lock);
    }
}

void queue_state::forget(std::size_t n, const gate_lock& lock, wake_batch& batch) noexcept {
    unfinished_ -= std::min(n, unfinished_);  // some may have been task_done before they were got
    if (unfinished_ == 0)
        batch.claim_all(joiners_, lock);
}

void queue_state::throw_empty() {
    throw queue_empty();
}
void queue_state::throw_full() {
    throw queue_full();
}
void queue_state::throw_shutdown() {
    throw queue_shutdown();
}

}  // namespace weft::detail
