#include <weft/semaphore.hpp>

#include <stdexcept>

#include "sync/wait.hpp"

namespace weft {

using namespace detail;

namespace {

/// Of this file's own, so that it is compiled into its callers.
inline bool take(gate& g, std::ptrdiff_t& permits) noexcept {
    const gate_lock lock(g);
    if (permits == 0) [[unlikely]]
        return false;
    --permits;
    return true;
}

}  // namespace

semaphore::semaphore(std::ptrdiff_t permits, std::ptrdiff_t limit) : value_(permits), limit_(limit) {
    if (permits < 0)
        throw std::invalid_argument("semaphore: permits must not be negative");
}

semaphore::~semaphore() {
    require_no_waiters(waiters_,
                       "a semaphore is destroyed while somebody waits for it: end the waiters first", this);
}

bool semaphore::try_acquire() noexcept {
    return take(gate_, value_);
}

void semaphore::acquire() {
    if (!take(gate_, value_)) [[unlikely]]
        wait(time_point::max());
}

bool semaphore::acquire_until(time_point deadline) {
    return take(gate_, value_) || wait(deadline);
}

void semaphore::release(std::ptrdiff_t permits) {
    {
        const gate_lock lock(gate_);
        if (waiters_.empty() && permits >= 0 && permits <= limit_ - value_) [[likely]] {
            value_ += permits;
            return;
        }
    }
    hand_over(permits);
}

/// release with waiters, or with a bad argument, for all that is known.
void semaphore::hand_over(std::ptrdiff_t permits) {
    if (permits < 0)
        throw std::invalid_argument("semaphore::release: permits must not be negative");
    wake_batch batch;
    const gate_lock lock(gate_);
    if (permits > limit_ - value_)
        throw std::logic_error("semaphore::release: more permits than the semaphore may have");
    for (; permits > 0; --permits) {
        waiter* next = waiters_.claim_front(lock);
        if (!next)
            break;
        batch.add(*next);
    }
    value_ += permits;
}

std::ptrdiff_t semaphore::value() const noexcept {
    const gate_lock lock(gate_);
    return value_;
}

bool semaphore::wait(time_point deadline) {
    gate_lock lock(gate_);
    if (value_ > 0) {  // released since it was tried
        --value_;
        return true;
    }
    waiter w("semaphore::acquire", this);
    waiters_.push_back(w);
    lock.leave();
    const wait_outcome outcome = wait_in(waiters_, gate_, w, deadline);
    if (outcome == wait_outcome::cancelled && w.was_woken())
        release();
    return woken_or_throw(outcome);
}

}  // namespace weft
