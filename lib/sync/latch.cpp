#include <weft/latch.hpp>

#include <stdexcept>

#include "sync/wait.hpp"

namespace weft {

using namespace detail;

latch::latch(std::ptrdiff_t expected) : left_(expected) {
    if (expected < 0)
        throw std::invalid_argument("latch: expected must not be negative");
}

latch::~latch() {
    require_no_waiters(
        waiters_,
        "a latch is destroyed while somebody waits for it: count it down, or end the waiters, first", this);
}

void latch::count_down(std::ptrdiff_t n) {
    wake_batch batch;
    const gate_lock lock(gate_);
    check(n);
    take(n, lock, batch);
}

bool latch::try_wait() const noexcept {
    const gate_lock lock(gate_);
    return left_ == 0;
}

bool latch::wait_open(time_point deadline) const {
    gate_lock lock(gate_);
    if (left_ == 0)
        return true;
    waiter w("latch::wait", this);
    waiters_.push_back(w);
    lock.leave();
    return wait_or_throw(waiters_, gate_, w, deadline);
}

void latch::arrive_and_wait(std::ptrdiff_t n) {
    wake_batch batch;
    gate_lock lock(gate_);
    check(n);
    if (n == left_)
        return take(n, lock, batch);
    waiter w("latch::arrive_and_wait", this);  // before anything has changed: it may throw
    take(n, lock, batch);
    waiters_.push_back(w);
    lock.leave();
    wait_or_throw(waiters_, gate_, w, time_point::max());
}

void latch::check(std::ptrdiff_t n) const {
    if (n < 0)
        throw std::invalid_argument("latch::count_down: n must not be negative");
    if (n > left_)
        throw std::invalid_argument("latch::count_down: n must not be more than is left");
}

void latch::take(std::ptrdiff_t n, const gate_lock& lock, wake_batch& batch) noexcept {
    left_ -= n;
    if (left_ == 0)
        batch.claim_all(waiters_, lock);
}

}  // namespace weft
