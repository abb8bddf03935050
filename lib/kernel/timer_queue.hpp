#pragma once

/// The timers of one loop: a pairing heap whose links stand in the timers themselves, so that setting one allocates
/// nothing and cannot fail.
///
/// Invariants: a timer is in at most one queue; armed() says whether it is. Equal times fire in the order they were set
/// (sequence_). Only the loop's thread touches it.
///
/// Setting a timer is O(1), ending one that never fired is O(1) for the youngest and O(log n) amortized otherwise, taking
/// the earliest is O(log n) amortized.

#include <cstdint>

#include <weft/detail/job.hpp>

namespace weft::kernel {

class timer_queue {
public:
    /// Arms t to fire at t.when; t must not be armed.
    void add(timer& t) noexcept;
    /// Ends t; nothing happens if it is not armed.
    void remove(timer& t) noexcept;

    bool empty() const noexcept { return root_ == nullptr; }
    /// When the earliest is due; time_point::max() if there is none.
    time_point next() const noexcept { return root_ ? root_->when : time_point::max(); }
    /// Takes the earliest out if it is due at `now`; null if none is.
    timer* take_due(time_point now) noexcept;

private:
    static timer* meld(timer* a, timer* b) noexcept;
    static timer* merge_pairs(timer* first) noexcept;

    timer* root_ = nullptr;
    std::uint64_t next_sequence_ = 0;
};

/// The timers of this thread's loop; null where none runs.
timer_queue* current_timers() noexcept;

}  // namespace weft::kernel
