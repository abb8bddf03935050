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

/// The way in and out that need not wait. Of this file's own, and leaving the gate before the slow paths enter
/// it again, so that it is compiled into its callers and all of it stays in registers.
inline bool take(gate& g, const void*& owner) noexcept {
    const void* self = self_identity();
    const gate_lock lock(g);
    if (owner != nullptr) [[unlikely]]
        return false;
    owner = self;
    return true;
}

}  // namespace

mutex::~mutex() {
    require_no_waiters(waiters_, "a mutex is destroyed while somebody waits for it: end the waiters first",
                       this);
}

bool mutex::try_lock() noexcept {
    return take(gate_, owner_);
}

void mutex::lock() {
    if (!take(gate_, owner_)) [[unlikely]]
        wait(time_point::max(), true);
}

void mutex::lock_uncancellable() {
    if (!take(gate_, owner_))
        wait(time_point::max(), false);
}

bool mutex::lock_until(time_point deadline) {
    return take(gate_, owner_) || wait(deadline, true);
}

void mutex::unlock() {
    const void* self = self_identity();
    {
        const gate_lock lock(gate_);
        if (owner_ == self && waiters_.empty()) [[likely]] {
            owner_ = nullptr;
            return;
        }
    }
    hand_over(self);
}

/// Unlocks; with waiters, for all that is known.
void mutex::hand_over(const void* self) {
    gate_lock lock(gate_);
    if (owner_ != self)
        throw_not_owner();
    waiter* next = waiters_.claim_front(lock);
    owner_ = next ? next->slot : nullptr;
    lock.leave();
    if (next)
        waiter::wake(*next);
}

bool mutex::wait(time_point deadline, bool cancellable) {
    const void* self = self_identity();
    gate_lock lock(gate_);
    if (owner_ == nullptr) {  // freed since it was tried
        owner_ = self;
        return true;
    }
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
