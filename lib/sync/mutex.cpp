#include <weft/mutex.hpp>

#include <system_error>

#include "sync/wait.hpp"

namespace weft {

using namespace detail;

namespace {

[[noreturn]] void throw_deadlock() {
    throw std::system_error(std::make_error_code(std::errc::resource_deadlock_would_occur),
                            "mutex::lock: the caller owns it already and would wait for itself");
}

[[noreturn]] void throw_not_owner() {
    throw std::system_error(std::make_error_code(std::errc::operation_not_permitted),
                            "mutex::unlock: the caller does not own it");
}

}  // namespace

mutex::~mutex() {
    require_no_waiters(waiters_, "a mutex is destroyed while somebody waits for it: end the waiters first",
                       this);
}

bool mutex::try_lock() noexcept {
    const void* self = self_identity();
    const gate_lock lock(gate_);
    if (owner_ != nullptr)
        return false;
    owner_ = self;
    return true;
}

// The gate is entered by hand, so that the way that need not wait stays in registers, and once: the way that
// waits goes on in the same section.

void mutex::lock() {
    const void* self = self_identity();
    const bool biased = gate_.enter();
    if (owner_ != nullptr) [[unlikely]] {
        wait(time_point::max(), self, true, biased);
        return;
    }
    owner_ = self;
    gate_.leave(biased);
}

void mutex::lock_uncancellable() {
    const void* self = self_identity();
    const bool biased = gate_.enter();
    if (owner_ != nullptr) {
        wait(time_point::max(), self, false, biased);
        return;
    }
    owner_ = self;
    gate_.leave(biased);
}

bool mutex::lock_until(time_point deadline) {
    const void* self = self_identity();
    const bool biased = gate_.enter();
    if (owner_ != nullptr)
        return wait(deadline, self, true, biased);
    owner_ = self;
    gate_.leave(biased);
    return true;
}

void mutex::unlock() {
    const void* self = self_identity();
    const bool biased = gate_.enter();
    if (owner_ != self || !waiters_.empty()) [[unlikely]]
        return hand_over(self, biased);
    owner_ = nullptr;
    gate_.leave(biased);
}

/// Unlocks with waiters, or for a caller that may not.
void mutex::hand_over(const void* self, bool biased) {
    gate_lock lock(gate_, biased);
    if (owner_ != self)
        throw_not_owner();
    waiter* next = waiters_.claim_front(lock);
    owner_ = next ? next->slot : nullptr;
    lock.leave();
    if (next)
        waiter::wake(*next);
}

bool mutex::wait(time_point deadline, const void* self, bool cancellable, bool biased) {
    gate_lock lock(gate_, biased);
    if (owner_ == self)
        throw_deadlock();
    waiter w("mutex::lock", this);
    w.slot = const_cast<void*>(self);
    waiters_.push_back(w);
    lock.leave();
    const wait_outcome outcome = wait_in(waiters_, gate_, w, deadline, cancellable);
    if (outcome == wait_outcome::cancelled && w.was_woken())
        unlock();
    return woken_or_throw(outcome);
}

bool mutex::owned_by_caller() const noexcept {
    const void* self = self_identity();
    const gate_lock lock(gate_);
    return owner_ == self;
}

}  // namespace weft
