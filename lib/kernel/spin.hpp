#pragma once

/// spin: a thread looks out for what another one brings, for a moment, because a wake-up from sleep takes longer. Only where
/// several_processors() (inbox.hpp).

#include <atomic>
#include <chrono>

namespace weft::kernel {

/// Tells the processor that the calling thread only looks out.
inline void relax() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    std::atomic_signal_fence(std::memory_order_seq_cst);
#endif
}

/// Until something(), which may be a guess, or until the time has come.
template <class Something>
void spin_until(Something something, std::chrono::steady_clock::time_point latest) noexcept {
    do {
        for (int i = 0; i < 32 && !something(); ++i) relax();
    } while (!something() && std::chrono::steady_clock::now() < latest);
}

}  // namespace weft::kernel
