#include <weft/detail/gate.hpp>

#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <weft/detail/thread_state.hpp>

namespace weft::detail {
namespace {

long membarrier(int command) noexcept { return ::syscall(SYS_membarrier, command, 0, 0); }

}  // namespace

/// Whether gates may be biased in this process; asked of the kernel once.
bool gate::bias_possible() noexcept {
#if WEFT_TSAN
    return false;
#else
    static const bool possible = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
    return possible;
#endif
}

namespace {

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

void gate::await_slow() const noexcept {
    for (unsigned rounds = 0; busy_.load(std::memory_order_acquire) != 0 || lock_.load(std::memory_order_acquire) != 0;)
        spin(rounds);
}

bool gate::enter_as_guest() noexcept {
    const std::uint32_t self = kernel::this_thread().id;
    return home_.load(std::memory_order_relaxed) == self ? enter() : enter_slow(self, true);
}

bool gate::enter_slow(std::uint32_t self, bool guest) noexcept {
    if (self == 0) self = kernel::assign_thread_id();
    unsigned rounds = 0;
    while (lock_.exchange(1, std::memory_order_acquire) != 0) spin(rounds);
    std::uint32_t home = home_.load(std::memory_order_relaxed);
    if (home == shared) return false;
    if (home == nobody && guest) return false;   // nobody can become home meanwhile
    if (home == nobody && bias_possible()) {
        // Under lock_ nobody else can become home. The next enter() of this thread is the cheap one.
        busy_.store(1, std::memory_order_relaxed);
        home_.store(self, std::memory_order_release);
        lock_.store(0, std::memory_order_release);
        return true;
    }
    home_.store(shared, std::memory_order_relaxed);
    if (home != nobody) {
        if (home != self) membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
        for (rounds = 0; busy_.load(std::memory_order_acquire) != 0;) spin(rounds);
    }
    return false;
}

}  // namespace weft::detail
