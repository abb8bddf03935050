#include <weft/condition_variable.hpp>

#include "sync/wait.hpp"

namespace weft {

using namespace detail;

condition_variable::~condition_variable() {
    require_no_waiters(
        waiters_,
        "a condition_variable is destroyed while somebody waits for it: notify or end the waiters first",
        this);
}

void condition_variable::notify_one() noexcept {
    gate_lock lock(gate_);
    waiter* first = waiters_.claim_front(lock);
    if (first && !waiters_.has_armed())
        first->slot = this;  // nobody else was waiting: there is nobody to pass it on to
    lock.leave();
    if (first)
        waiter::wake(*first);
}

void condition_variable::notify_all() noexcept {
    wake_batch batch;
    const gate_lock lock(gate_);
    batch.claim_all(waiters_, lock, this);
}

void condition_variable::enqueue(waiter& self) noexcept {
    const gate_lock lock(gate_);
    waiters_.push_back(self);
}

/// Takes a waiter that has not parked out again.
void condition_variable::leave(waiter& self) noexcept {
    {
        const gate_lock lock(gate_);
        if (self.linked()) {
            waiters_.remove(self);
            return;
        }
    }
    park_uncancellable(self);  // it was notified, and must be there when the wake comes
    pass_on(self);
}

wait_outcome condition_variable::wait_notified(waiter& self, time_point deadline) noexcept {
    const wait_outcome outcome = wait_in(waiters_, gate_, self, deadline);
    if (outcome == wait_outcome::cancelled)
        pass_on(self);
    return outcome;
}

/// Gives the notification of a waiter that will not act on it to the next one.
void condition_variable::pass_on(const waiter& self) noexcept {
    if (self.was_woken() && !self.slot)
        notify_one();
}

}  // namespace weft
