#include <weft/shared_mutex.hpp>

#include <system_error>

#include "sync/wait.hpp"

namespace weft {

using namespace detail;

shared_mutex::~shared_mutex() {
    require_no_waiters(
        waiters_, "a shared_mutex is destroyed while somebody waits for it: end the waiters first", this);
}

bool shared_mutex::try_lock() noexcept {
    wake_batch batch;
    gate_lock lock(gate_);
    return take(lock, batch, self_identity());
}

bool shared_mutex::try_lock_shared() noexcept {
    wake_batch batch;
    gate_lock lock(gate_);
    return take(lock, batch, nullptr);
}

bool shared_mutex::lock_until(time_point deadline) {
    return enter(self_identity(), deadline, "shared_mutex::lock");
}

bool shared_mutex::lock_shared_until(time_point deadline) {
    return enter(nullptr, deadline, "shared_mutex::lock_shared");
}

void shared_mutex::unlock() {
    wake_batch batch;
    gate_lock lock(gate_);
    if (owner_ != self_identity())
        throw std::system_error(std::make_error_code(std::errc::operation_not_permitted),
                                "shared_mutex::unlock: the caller does not own it");
    owner_ = nullptr;
    admit(lock, batch);
}

void shared_mutex::unlock_shared() {
    wake_batch batch;
    gate_lock lock(gate_);
    if (readers_ == 0)
        throw std::system_error(std::make_error_code(std::errc::operation_not_permitted),
                                "shared_mutex::unlock_shared: nobody has locked it shared");
    --readers_;
    admit(lock, batch);
}

/// Enters at once if the caller may: a writer by its identity, a reader (null) as one more.
bool shared_mutex::take(const gate_lock& lock, wake_batch& batch, const void* writer) noexcept {
    // Losers that have not left yet may have been all that kept others waiting.
    if (!waiters_.empty())
        admit(lock, batch);
    if (owner_ || waiters_.has_armed() || (writer && readers_ > 0))
        return false;
    if (writer)
        owner_ = writer;
    else
        ++readers_;
    return true;
}

bool shared_mutex::enter(const void* writer, time_point deadline, const char* what) {
    wake_batch batch;
    gate_lock lock(gate_);
    if (take(lock, batch, writer))
        return true;
    if (owner_ && owner_ == self_identity())
        throw std::system_error(std::make_error_code(std::errc::resource_deadlock_would_occur),
                                std::string(what) + ": the caller is the writer and would wait for itself");
    waiter w(what, this);
    w.slot = const_cast<void*>(writer);
    waiters_.push_back(w);
    lock.leave();
    batch.wake_all();

    const wait_outcome outcome = park(w, deadline);
    if (outcome == wait_outcome::woken)
        return true;
    if (w.was_woken()) {
        writer ? unlock() : unlock_shared();
    } else {  // unless whoever dropped it has let in those behind it
        waiters_.withdraw(w, gate_, [&](const gate_lock& again) { admit(again, batch); });
        batch.wake_all();
    }
    return woken_or_throw(outcome);
}

/// Lets in those at the head of the queue who may enter now.
void shared_mutex::admit(const gate_lock& lock, wake_batch& batch) noexcept {
    while (!owner_) {
        waiter* armed = waiters_.first_armed();
        if (!armed)
            return;
        waiter& first = *armed;
        const void* writer = first.slot;
        if (writer && readers_ > 0)
            return;
        if (!first.claim(lock))
            continue;  // timed out or cancelled on another loop, just now
        waiters_.remove(first);
        if (writer)
            owner_ = writer;
        else
            ++readers_;
        batch.add(first);
    }
}

}  // namespace weft
