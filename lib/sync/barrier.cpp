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
        let_go(lock, batch, [&] { return number++; });
        return parties_ - 1;
    }
    std::ptrdiff_t number = 0;
    waiter w("barrier::wait", this);
    w.slot = &number;
    waiters_.push_back(w);
    ++inside_;
    lock.leave();
    const wait_outcome outcome = park(w);
    if (!w.was_woken())
        waiters_.withdraw(w, gate_, [this](const gate_lock&) { --inside_; });
    woken_or_throw(outcome);
    if (number == broke)
        throw broken_barrier();
    return number;
}

/// Wakes everybody, each with the number that it gets; drops those who were cancelled and have not left yet.
template <class Number>
void barrier::let_go(const gate_lock& lock, wake_batch& batch, Number number) noexcept {
    for (waiter* w = waiters_.front(); w;) {
        waiter& each = *w;
        w = wait_list::next(each);
        if (each.claim(lock)) {
            waiters_.remove(each);
            *static_cast<std::ptrdiff_t*>(each.slot) = number();
            batch.add(each);
        } else if (!waiters_.drop(each)) {
            continue;  // it is leaving by itself
        }
        --inside_;
    }
    if (!waiters_.empty())
        batch.let_leave(waiters_, lock);
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
    let_go(lock, batch, [] { return broke; });
}

/// Those who were cancelled and have not left yet do not count.
std::ptrdiff_t barrier::count_waiting() const noexcept {
    return static_cast<std::ptrdiff_t>(waiters_.count_armed());
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
