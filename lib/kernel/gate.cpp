#include <weft/detail/gate.hpp>

#include <linux/membarrier.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ctime>

#include <weft/detail/thread_state.hpp>

namespace weft::detail {
namespace {

bool membarrier(int command) noexcept { return ::syscall(SYS_membarrier, command, 0, 0) == 0; }

/// States: true until the kernel has refused a barrier that it had made before; then false for good. Relaxed: who still sees
/// true makes a gate whose bias is revoked the long way.
std::atomic<bool> still_possible{true};

/// The barrier of a process that is not allowed membarrier any more: a filter that it has put on itself since it started.
void slow_barrier() noexcept {
#if defined(__x86_64__)
    // Taking a page away that was written to interrupts every processor on which a thread of this process runs, and waits for them.
    const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    void* const page = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page != MAP_FAILED) {
        *static_cast<volatile char*>(page) = 1;
        const bool flushed = ::mprotect(page, size, PROT_READ) == 0;
        ::munmap(page, size);
        if (flushed) return;
    }
#endif
    // What a processor has written others see in finite time, which is less than a microsecond; the home thread's mark, too.
    constexpr timespec long_enough{0, 10'000'000};
    ::nanosleep(&long_enough, nullptr);
    std::atomic_thread_fence(std::memory_order_seq_cst);
}

/// On return every other thread of the process has executed a full fence since the call.
void barrier_in_all_threads() noexcept {
    if (still_possible.load(std::memory_order_relaxed) && membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)) return;
    still_possible.store(false, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    slow_barrier();
}

}  // namespace

/// Whether gates may be biased in this process. The kernel is asked once, for the barrier itself as well: a filter may let a
/// process register for what it then refuses.
bool gate::bias_possible() noexcept {
#if WEFT_TSAN
    return false;
#else
    static const bool possible =
        membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) && membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
    return possible && still_possible.load(std::memory_order_relaxed);
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
        if (home != self) barrier_in_all_threads();
        for (rounds = 0; busy_.load(std::memory_order_acquire) != 0;) spin(rounds);
    }
    return false;
}

}  // namespace weft::detail
