#pragma once

/// What every wait of this layer does, and how it ends.

#include <weft/detail/gate.hpp>
#include <weft/detail/waiter.hpp>
#include <weft/error.hpp>

namespace weft::detail {

/// Parks w, which stands in the list, and takes it out again if nobody woke it. Not under the gate.
///
/// After `cancelled`, w.was_woken() tells whether something was handed over all the same, and must go on.
inline wait_outcome wait_in(wait_list& list, gate& g, waiter& w, time_point deadline,
                            bool cancellable = true) noexcept {
    const wait_outcome outcome = cancellable ? park(w, deadline) : park_uncancellable(w, deadline);
    if (outcome != wait_outcome::woken && !w.was_woken())
        list.withdraw(w, g);
    return outcome;
}

/// The same for a wait that is handed nothing: what it waited for stays true. True if woken, false if timed
/// out; throws cancelled.
inline bool wait_or_throw(wait_list& list, gate& g, waiter& w, time_point deadline) {
    return woken_or_throw(wait_in(list, g, w, deadline));
}

/// Before a waiter is made in a section that was entered by hand: in a loop callback, which cannot wait, leaves that and throws
/// no_running_task.
inline void require_may_wait(const char* what, gate& g, bool biased) {
    if (kernel::this_thread().parkable || !kernel::this_thread().running) [[likely]]
        return;
    g.leave(biased);
    throw no_running_task(what);
}

/// For destructors.
inline void require_no_waiters(const wait_list& list, const char* sentence, const void* object) noexcept {
    if (!list.empty()) [[unlikely]]
        program_error(sentence, object);
}

}  // namespace weft::detail
