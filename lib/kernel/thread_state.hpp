#pragma once

/// What weft keeps for each thread; the one thread_local of the library.
///
/// SAFETY: fibers never change threads, so an address of this object that was read before a switch is right after it.

#include <cstdint>

#include <weft/detail/config.hpp>

namespace weft::kernel {

class scheduler;

struct thread_state {
    scheduler* running = nullptr;   // the scheduler this thread is running; null outside of it
    std::uint32_t id = 0;           // never used again by another thread; 0: not assigned yet
};

#if defined(__GNUC__)
[[gnu::tls_model("initial-exec")]]   // two words: room for them is kept for libraries that are loaded late, too
#endif
extern thread_local thread_state current_thread;

inline thread_state& this_thread() noexcept { return current_thread; }

/// Gives the calling thread its id.
std::uint32_t assign_thread_id() noexcept;

}  // namespace weft::kernel
