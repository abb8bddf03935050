#include <weft/semaphore.hpp>

#include <stdexcept>

#include "sync/wait.hpp"

namespace weft {

using namespace detail;

semaphore::semaphore(std::ptrdiff_t permits, std::ptrdiff_t limit) : value_(permits), limit_(limit) {
    if (permits < 0)
        throw std::invalid_argument("semaphore: permits must not be negative");
}

semaphore::~semaphore() {
    require_no_waiters(waiters_,
                       "a semaphore is destroyed while somebody waits for it: end the waiters first", this);
}

bool semaphore::try_acquire() noexcept {
    const gate_lock lock(gate_);
    if (value_ == 0)
        return false;
    --value_;
    return true;
}

// The gate is entered by hand, so that the way that need not wait stays in registers, and once: the way that
// waits goes on in the same section.

void semaphore::acquire() {
    const bool biased = gate_.enter();
    if (value_ == 0) [[unlikely]] {
        wait(time_point::max(), biased);
        return;
    }
    --value_;
    gate_.leave(biased);
}

bool semaphore::acquire_until(time_point deadline) {
    const bool biased = gate_.enter();
    if (value_ == 0) [[unlikely]]
        return wait(deadline, biased);
    --value_;
    gate_.leave(biased);
    return true;
}

void semaphore::release(std::ptrdiff_t permits) {
    const bool biased = gate_.enter();
    if (permits < 0 || permits > limit_ - value_ || (permits != 1 && !waiters_.empty())) [[unlikely]]
        return hand_over(permits, biased);
    if (!waiters_.empty()) {
        if (waiter* next = waiters_.claim_front(biased)) {
            gate_.leave(biased);
            return waiter::wake(*next);
        }
    }
    value_ += permits;
    gate_.leave(biased);
}

/// release of several with waiters, or with a bad argument.
void semaphore::hand_over(std::ptrdiff_t permits, bool biased) {
    gate_lock lock(gate_, biased);
    if (permits < 0)
        throw std::invalid_argument("semaphore::release: permits must not be negative");
    if (permits > limit_ - value_)
        throw std::logic_error("semaphore::release: more permits than the semaphore may have");
    wake_batch batch;
    for (; permits > 0; --permits) {
        waiter* next = waiters_.claim_front(lock);
        if (!next)
            break;
        batch.add(*next);
    }
    value_ += permits;
    lock.leave();
}

std::ptrdiff_t semaphore::value() const noexcept {
    const gate_lock lock(gate_);
    return value_;
}

bool semaphore::wait(time_point deadline, bool biased) {
    constexpr const char* what = "semaphore::acquire";
    require_may_wait(what, gate_, biased);
    waiter w(what, this);
    waiters_.push_back(w);
    gate_.leave(biased);
    const wait_outcome outcome = park(w, deadline);
    if (outcome == wait_outcome::woken) [[likely]]
        return true;
    if (!w.was_woken())
        waiters_.withdraw(w, gate_);
    else if (outcome == wait_outcome::cancelled)
        release();
    return woken_or_throw(outcome);
}

}  // namespace weft
