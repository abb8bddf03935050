#include <weft/event.hpp>

#include "sync/wait.hpp"

namespace weft {

using namespace detail;

event::~event() {
    require_no_waiters(waiters_,
                       "an event is destroyed while somebody waits for it: set it, or end the waiters, first",
                       this);
}

void event::set() noexcept {
    wake_batch batch;
    const gate_lock lock(gate_);
    set_ = true;
    batch.claim_all(waiters_, lock);
}

void event::clear() noexcept {
    const gate_lock lock(gate_);
    set_ = false;
}

bool event::is_set() const noexcept {
    const gate_lock lock(gate_);
    return set_;
}

bool event::wait_set(time_point deadline) const {
    gate_lock lock(gate_);
    if (set_)
        return true;
    waiter w("event::wait", this);
    waiters_.push_back(w);
    lock.leave();
    return wait_or_throw(waiters_, gate_, w, deadline);
}

}  // namespace weft
