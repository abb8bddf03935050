#pragma once

/// handle_state: a scheduled callback: in the run queue, in the timer queue, or on its way from another thread.
///
/// Invariants: it holds itself until it has run or was cancelled, or its loop has ended; until then it is in the loop's list
/// of pending ones, by which a loop that closes finds it, but for the way from another thread. All of it is on the loop's
/// thread, except `cancelled`, which is read there when its turn has come: a cancel() that comes before wins.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

#include <weft/detail/call_site.hpp>
#include <weft/detail/context.hpp>
#include <weft/detail/job.hpp>
#include <weft/detail/waiter.hpp>

namespace weft::detail {

struct loop_state;

struct handle_state : kernel::callback, kernel::timer, message {
    handle_state(loop_state& s, std::function<void()> f);
    /// Null if c is another kind of callback.
    static handle_state* of(kernel::callback& c) noexcept { return c.run == call ? static_cast<handle_state*>(&c) : nullptr; }

    void enter() noexcept;   // into the loop's list of pending ones
    void leave() noexcept;

    loop_state* loop;                               // null once the loop has closed
    const std::uint32_t thread;                     // the loop's
    std::function<void()> f;
    context values = context::copy_of_current();   // it runs with its creator's
    call_site created_at;                           // known in debug mode only
    std::shared_ptr<handle_state> self;
    handle_state* next_pending = nullptr;
    handle_state* previous_pending = nullptr;
    bool pending = false;
    std::atomic<bool> cancelled{false};             // relaxed: guards nothing

private:
    static void call(kernel::callback& c) noexcept;
};

}  // namespace weft::detail
