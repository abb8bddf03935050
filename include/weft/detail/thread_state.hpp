#pragma once

/// What weft keeps for each thread; the one thread_local of the library.
///
/// SAFETY: fibers never change threads, so an address of this object that was read before a switch is right after it.

#include <cstdint>

#include <weft/detail/config.hpp>

namespace weft::kernel {

class scheduler;
struct fiber;

struct thread_state {
    scheduler* running = nullptr;   // the scheduler this thread is running; null outside of it
    std::uint32_t id = 0;           // never used again by another thread; 0: not assigned yet
    std::uint32_t gate_home = UINT32_MAX - 1;   // home of gates this thread makes for itself: its id, or nobody's
    // Written by every switch, and not beside `running`: a load of both at once would wait for that store to be over.
    fiber* parkable = nullptr;      // the fiber that runs; null on the loop's own stack, which must not wait
};

// Three words: room for them is kept for libraries that are loaded late, too, so the cheap model is safe.
extern WEFT_API constinit thread_local thread_state current_thread __attribute__((tls_model("initial-exec")));

inline thread_state& this_thread() noexcept { return current_thread; }

/// Gives the calling thread its id.
std::uint32_t assign_thread_id() noexcept;

}  // namespace weft::kernel
