#pragma once

/// turnstile: the smallest thing that can be waited for, a counter of permits, written as weft/detail/waiter.hpp says.

#include <weft/detail/gate.hpp>
#include <weft/detail/waiter.hpp>

namespace weft_test {

class turnstile {
public:
    explicit turnstile(long permits = 0) : permits_(permits) {}

    /// Takes a permit, waiting for one. Unless it returns `woken`, none has been taken.
    weft::detail::wait_outcome take(weft::detail::time_point deadline = weft::detail::time_point::max(),
                                    bool cancellable = true) {
        using weft::detail::wait_outcome;
        weft::detail::gate_lock lock(gate_);
        if (permits_ > 0) {
            --permits_;
            return wait_outcome::woken;
        }
        weft::detail::waiter self("turnstile::take", this);
        waiters_.push_back(self);
        lock.leave();
        const wait_outcome outcome =
            cancellable ? weft::detail::park(self, deadline) : weft::detail::park_uncancellable(self, deadline);
        if (outcome == wait_outcome::woken) return outcome;
        if (self.was_woken()) give();
        else waiters_.withdraw(self, gate_);
        return outcome;
    }

    /// Any thread, also a callback.
    void give() {
        weft::detail::gate_lock lock(gate_);
        weft::detail::waiter* w = waiters_.claim_front(lock);
        if (!w) ++permits_;
        lock.leave();
        if (w) weft::detail::waiter::wake(*w);
    }

    void give_to_all() {
        weft::detail::wake_batch batch;
        weft::detail::gate_lock lock(gate_);
        batch.claim_all(waiters_, lock);
        lock.leave();
    }

    long permits() {
        weft::detail::gate_lock lock(gate_);
        return permits_;
    }
    /// Whether nobody stands in the list, not even one that has lost.
    bool empty() {
        weft::detail::gate_lock lock(gate_);
        return waiters_.empty();
    }
    bool has_armed() {
        weft::detail::gate_lock lock(gate_);
        return waiters_.has_armed();
    }

private:
    weft::detail::gate gate_;
    weft::detail::wait_list waiters_;
    long permits_;
};

}  // namespace weft_test
