#include "kernel/overflow.hpp"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <utility>

#include "kernel/scheduler.hpp"

namespace weft::kernel {
namespace {

constexpr std::size_t alternate_size = 64 * 1024;
struct sigaction original_action;   // before ours was there at all
struct sigaction previous_action;   // before ours was put in its place last
std::atomic<bool> told{false};      // relaxed: a handler that calls ours in turn must not have it told twice

/// Text put together without allocation, for a signal handler.
class line {
public:
    void add(const char* text) noexcept {
        while (*text && size_ < sizeof text_) text_[size_++] = *text++;
    }
    void add(std::uintptr_t number, unsigned base) noexcept {
        char digits[24];
        int n = 0;
        do digits[n++] = "0123456789abcdef"[number % base];
        while (number /= base);
        while (n && size_ < sizeof text_) text_[size_++] = digits[--n];
    }
    void print() noexcept { [[maybe_unused]] auto written = ::write(STDERR_FILENO, text_, size_); }

private:
    char text_[512];
    std::size_t size_ = 0;
};

void on_fault(int signal, siginfo_t* info, void*);

bool is_ours(const struct sigaction& action) noexcept {
    return (action.sa_flags & SA_SIGINFO) && action.sa_sigaction == on_fault;
}

[[maybe_unused]] void on_fault(int signal, siginfo_t* info, void*) {
    const stack_span stack = guarded_stack_at(info->si_addr);
    const auto* at = static_cast<const char*>(info->si_addr);
    if (stack.size != 0 && at < stack.lowest + stack.guard && !told.exchange(true, std::memory_order_relaxed)) {
        scheduler* s = this_thread().running;
        const char* name = nullptr;
        if (s && s->running_fiber().stack.lowest == stack.lowest && s->running_fiber().work)
            name = s->running_fiber().work->describe();
        line message;
        message.add("weft: stack overflow in task '");
        message.add(name && *name ? name : "?");
        message.add("', whose stack has ");
        message.add(stack.size, 10);
        message.add(" bytes; give it more with task_options::stack_size, or all tasks with run_options::stack_size or "
                    "WEFT_STACK_SIZE\n");
        message.print();
    }
    // Die, or be handled, as without us: the instruction faults again. A handler that stands in our place has called us as the
    // one before it: it must not be put there again, or the two would call each other for ever.
    struct sigaction now {};
    ::sigaction(signal, nullptr, &now);
    ::sigaction(signal, is_ours(now) ? &previous_action : &original_action, nullptr);
}

}  // namespace

overflow_guard::overflow_guard() {
#if !WEFT_ASAN && !WEFT_TSAN   // the sanitizers report by themselves
    {
        // Each time, not once: a program that has put a handler of its own in our place since gets it called after ours.
        static std::mutex mutex;
        std::lock_guard lock(mutex);
        struct sigaction now {};
        ::sigaction(SIGSEGV, nullptr, &now);
        if (!is_ours(now)) {
            struct sigaction action {};
            action.sa_sigaction = on_fault;
            action.sa_flags = SA_SIGINFO | SA_ONSTACK;
            ::sigemptyset(&action.sa_mask);
            static bool first = true;
            if (std::exchange(first, false)) original_action = now;
            previous_action = now;
            ::sigaction(SIGSEGV, &action, nullptr);
        }
    }
    stack_t current{};
    if (::sigaltstack(nullptr, &current) == 0 && !(current.ss_flags & SS_DISABLE)) return;
    void* memory = ::mmap(nullptr, alternate_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return;
    stack_t alternate{};
    alternate.ss_sp = memory;
    alternate.ss_size = alternate_size;
    ::sigaltstack(&alternate, nullptr);
    alternate_ = memory;
#endif
}

overflow_guard::~overflow_guard() {
    if (!alternate_) return;
    stack_t none{};
    none.ss_flags = SS_DISABLE;
    ::sigaltstack(&none, nullptr);
    ::munmap(alternate_, alternate_size);
}

}  // namespace weft::kernel
