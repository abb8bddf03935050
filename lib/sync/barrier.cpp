#include <weft/barrier.hpp>

#include <stdexcept>

#include <weft/error.hpp>

#include "sync/wait.hpp"

namespace weft {

using namespace detail;

namespace {

constexpr std::ptrdiff_t broke = -1;  // in place of a waiter's number

}  // namespace

barrier::barrier(std::ptrdiff_t parties) : parties_(parties) {
    if (parties < 1)
        throw std::invalid_argument("barrier: parties must be at least 1");
}

barrier::~barrier() {
    if (inside_ != 0)
        program_error(
            "a barrier is destroyed while somebody waits for it: abort it, or end the waiters, first", this);
}

std::ptrdiff_t barrier::wait() {
    wake_batch batch;
    gate_lock lock(gate_);
    if (broken_)
        throw broken_barrier();
    if (inside_ >= parties_ - 1 && count_waiting() == parties_ - 1) {
        std::ptrdiff_t number = 0;
        while (waiter* w = claim(lock)) {
            *static_cast<std::ptrdiff_t*>(w->slot) = number++;
            batch.add(*w);
        }
        return parties_ - 1;
    }
    std::ptrdiff_t number = 0;
    waiter w("barrier::wait", this);
    w.slot = &number;
    waiters_.push_back(w);
    ++inside_;
    lock.leave();
    const wait_outcome outcome = park(w);
    if (!w.was_woken()) {
        // Always under the gate, unlike wait_list::withdraw: count_waiting takes waiters out and puts them back.
        lock.enter();
        if (w.linked())
            waiters_.remove(w);
        --inside_;
        lock.leave();
    }
    woken_or_throw(outcome);
    if (number == broke)
        throw broken_barrier();
    return number;
}

waiter* barrier::claim(const gate_lock& lock) noexcept {
    waiter* w = waiters_.claim_front(lock);
    if (w)
        --inside_;
    return w;
}

void barrier::abort() noexcept {
    wake_batch batch;
    const gate_lock lock(gate_);
    broken_ = true;
    break_waiters(lock, batch);
}

void barrier::reset() noexcept {
    wake_batch batch;
    const gate_lock lock(gate_);
    broken_ = false;
    break_waiters(lock, batch);
}

void barrier::break_waiters(const gate_lock& lock, wake_batch& batch) noexcept {
    while (waiter* w = claim(lock)) {
        *static_cast<std::ptrdiff_t*>(w->slot) = broke;
        batch.add(*w);
    }
}

/// Drops those who were cancelled and have not left yet, and counts the others.
std::ptrdiff_t barrier::count_waiting() const noexcept {
    wait_list counted;
    std::ptrdiff_t n = 0;
    while (waiters_.has_armed()) {
        waiter& w = *waiters_.front();
        waiters_.remove(w);
        counted.push_back(w);
        ++n;
    }
    while (waiter* w = counted.front()) {
        counted.remove(*w);
        waiters_.push_back(*w);
    }
    return n;
}

std::ptrdiff_t barrier::n_waiting() const noexcept {
    const gate_lock lock(gate_);
    return count_waiting();
}

bool barrier::broken() const noexcept {
    const gate_lock lock(gate_);
    return broken_;
}

}  // namespace weft
