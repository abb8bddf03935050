#include <weft/detail/gate.hpp>

#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/thread_state.hpp"

namespace weft::detail {
namespace {

constexpr std::uint32_t shared = UINT32_MAX;

long membarrier(int command) noexcept { return ::syscall(SYS_membarrier, command, 0, 0); }

/// Whether gates may be biased in this process; asked of the kernel once.
bool bias_possible() noexcept {
#if WEFT_TSAN
    return false;
#else
    static const bool possible = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
    return possible;
#endif
}

void spin(unsigned& rounds) noexcept {
    if (++rounds < 64) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    } else {
        ::sched_yield();   // whoever is inside may have lost its processor
    }
}

}  // namespace

bool gate::enter() noexcept {
    const std::uint32_t self = kernel::this_thread().id;
    if (home_.load(std::memory_order_relaxed) == self) [[likely]] {
        busy_.store(1, std::memory_order_relaxed);
        std::atomic_signal_fence(std::memory_order_seq_cst);   // the processor's fence is the revoker's membarrier
        if (home_.load(std::memory_order_relaxed) == self) [[likely]] return true;
        busy_.store(0, std::memory_order_release);
    }
    return enter_slow(self);
}

bool gate::enter_slow(std::uint32_t self) noexcept {
    if (self == 0) self = kernel::assign_thread_id();
    unsigned rounds = 0;
    while (lock_.exchange(1, std::memory_order_acquire) != 0) spin(rounds);
    std::uint32_t home = home_.load(std::memory_order_relaxed);
    if (home == shared) return false;
    if (home == 0 && bias_possible()) {
        // Under lock_ nobody else can become home. The next enter() of this thread is the cheap one.
        busy_.store(1, std::memory_order_relaxed);
        home_.store(self, std::memory_order_release);
        lock_.store(0, std::memory_order_release);
        return true;
    }
    home_.store(shared, std::memory_order_relaxed);
    if (home != 0) {
        if (home != self) membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
        for (rounds = 0; busy_.load(std::memory_order_acquire) != 0;) spin(rounds);
    }
    return false;
}

void gate::leave(bool biased) noexcept {
    if (biased) busy_.store(0, std::memory_order_release);
    else lock_.store(0, std::memory_order_release);
}

}  // namespace weft::detail
