#pragma once

/// barrier: a number of parties wait for each other, again and again (asyncio.Barrier).
///
/// The last party lets the others go before any of them runs, so the next round starts at once: unlike
/// asyncio's, the barrier has no state in which it drains and keeps newcomers waiting.

#include <cstddef>

#include <weft/detail/config.hpp>
#include <weft/detail/gate.hpp>
#include <weft/detail/waiter.hpp>

namespace weft {

/// A meeting point of a fixed number of parties. Destroying one that somebody waits for ends the program.
class WEFT_API barrier {
public:
    /// Errors: std::invalid_argument if parties < 1.
    explicit barrier(std::ptrdiff_t parties);
    ~barrier();
    barrier(const barrier&) = delete;
    barrier& operator=(const barrier&) = delete;

    /// Waits until all parties have come. Returns a number from 0 to parties() - 1, another for each party,
    /// in the order in which they came; so one of them can be told from the others.
    ///
    /// Suspends:      always, except for the last party.
    /// Cancellation:  while suspended; then the caller no longer counts, and the barrier is not broken. If
    ///                all parties had come by then, the others go on.
    /// Errors:        broken_barrier if it is broken, or is aborted or reset meanwhile; no_running_task in a
    ///                loop callback that would have to wait.
    /// Thread-safety: any thread; a plain thread blocks.
    std::ptrdiff_t wait();

    /// Breaks it: whoever waits, and whoever comes until it is reset, gets broken_barrier. Any thread.
    void abort() noexcept;
    /// Makes it as new: whoever waits gets broken_barrier. Any thread.
    void reset() noexcept;

    std::ptrdiff_t parties() const noexcept { return parties_; }
    /// How many wait for the others to come.
    std::ptrdiff_t n_waiting() const noexcept;
    bool broken() const noexcept;

private:
    std::ptrdiff_t count_waiting() const noexcept;
    template <class Number>
    void let_go(const detail::gate_lock& lock, detail::wake_batch& batch, Number number) noexcept;
    void break_waiters(const detail::gate_lock& lock, detail::wake_batch& batch) noexcept;

    mutable detail::gate gate_;
    bool broken_ = false;
    const std::ptrdiff_t parties_;
    std::ptrdiff_t inside_ = 0;  // waiters that were not let go, those cancelled but not gone yet included
    mutable detail::wait_list waiters_;  // slot: where to put the waiter's number
};

}  // namespace weft
