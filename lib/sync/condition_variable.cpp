#include <weft/condition_variable.hpp>

#include <sched.h>

#include <utility>

#include "sync/wait.hpp"

namespace weft {

using namespace detail;

condition_variable::~condition_variable() {
    require_no_waiters(
        waiters_,
        "a condition_variable is destroyed while somebody waits for it: notify or end the waiters first",
        this);
    for (;;) {
        gate_lock lock(gate_);
        entry* returning = nullptr;
        for (entry* e = std::exchange(notified_, nullptr); e;) {
            entry* behind = e->behind_;
            std::uint8_t expected = entry::owing;
            if (!e->debt_.compare_exchange_strong(expected, entry::none, std::memory_order_acq_rel)) {
                e->before_ = nullptr;
                e->behind_ = returning;
                if (returning)
                    returning->before_ = e;
                returning = e;
            }  // else e may be gone
            e = behind;
        }
        notified_ = returning;
        if (!returning)
            return;
        lock.leave();  // they are between two instructions, on other threads
        ::sched_yield();
    }
}

/// Whom notify_one wakes; null: nobody waits.
inline condition_variable::entry* condition_variable::claim_one(const gate_lock& lock) noexcept {
    auto* first = static_cast<entry*>(waiters_.claim_front(lock));
    if (first && waiters_.has_armed())
        note(*first);  // else there is nobody to pass it on to
    return first;
}

void condition_variable::note(entry& notified) noexcept {
    notified.before_ = nullptr;
    notified.behind_ = notified_;
    if (notified_)
        notified_->before_ = &notified;
    notified_ = &notified;
    notified.debt_.store(entry::owing, std::memory_order_relaxed);  // it cannot run before it is woken
}

void condition_variable::notify_one() noexcept {
    gate_lock lock(gate_);
    entry* first = claim_one(lock);
    lock.leave();
    if (first)
        waiter::wake(*first);
}

void condition_variable::notify_all() noexcept {
    wake_batch batch;
    const gate_lock lock(gate_);
    batch.claim_all(waiters_, lock);
}

void condition_variable::enqueue(entry& self) noexcept {
    const gate_lock lock(gate_);
    waiters_.push_back(self);
}

/// Takes a waiter that has not parked out again.
void condition_variable::leave(entry& self) noexcept {
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

wait_outcome condition_variable::wait_notified(entry& self, time_point deadline) noexcept {
    const wait_outcome outcome = wait_in(waiters_, gate_, self, deadline);
    if (outcome == wait_outcome::cancelled)
        pass_on(self);
    return outcome;
}

/// Gives the notification of a waiter that will not act on it to the next one.
void condition_variable::pass_on(entry& self) noexcept {
    if (!begin_to_return(self))
        return;
    gate_lock lock(gate_);
    forget(self);
    entry* next = claim_one(lock);
    lock.leave();
    if (next)
        waiter::wake(*next);
}

/// For a waiter that acts on its notification.
void condition_variable::settle(entry& self) noexcept {
    if (!begin_to_return(self))
        return;
    const gate_lock lock(gate_);
    forget(self);
}

/// True: the condition variable is there until self has been forgotten.
bool condition_variable::begin_to_return(entry& self) noexcept {
    std::uint8_t expected = entry::owing;
    return self.debt_.compare_exchange_strong(expected, entry::returning, std::memory_order_acq_rel,
                                              std::memory_order_acquire);
}

void condition_variable::forget(entry& self) noexcept {
    (self.before_ ? self.before_->behind_ : notified_) = self.behind_;
    if (self.behind_)
        self.behind_->before_ = self.before_;
    self.debt_.store(entry::none, std::memory_order_relaxed);
}

}  // namespace weft
