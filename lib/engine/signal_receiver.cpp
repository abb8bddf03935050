#include "engine/signal_receiver.hpp"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

namespace weft::engine_layer {
namespace {

static_assert(std::atomic<signal_receiver*>::is_always_lock_free && std::atomic<std::uint64_t>::is_always_lock_free);

std::atomic<signal_receiver*> receivers{nullptr};   // a process has one set of handlers, so this is the process's
std::atomic<int> handlers_inside{0};

struct {
    std::mutex mutex;
    unsigned receivers[65] = {};           // how many want each signal
    struct sigaction before[65];           // what to restore
} registry;

constexpr std::uint64_t bit(int signo) noexcept { return std::uint64_t{1} << (signo - 1); }

void require_waitable(int signo, const char* call) {
    const char* reason = nullptr;
    switch (signo) {
        case SIGKILL: case SIGSTOP: reason = "the system lets nobody handle it"; break;
        case SIGSEGV: case SIGBUS: case SIGFPE: case SIGILL: reason = "it says that the program itself is broken"; break;
        default:
            // 32 and 33 are the C library's own.
            if (signo < 1 || signo > 64 || (signo >= 32 && signo < SIGRTMIN)) reason = "there is no such signal";
    }
    if (reason) throw std::invalid_argument(std::string(call) + ": signal " + std::to_string(signo) + ": " + reason);
}

}  // namespace

void signal_receiver::ring() noexcept {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wakeup_, &one, sizeof one);   // full: it is readable anyway
}

void signal_receiver::on_signal(int signo) noexcept {
    const int saved_errno = errno;
    handlers_inside.fetch_add(1);
    for (signal_receiver* r = receivers.load(); r; r = r->next_.load()) {
        if (!(r->wanted_ & bit(signo))) continue;
        r->come_.fetch_or(bit(signo));
        r->ring();
    }
    handlers_inside.fetch_sub(1);
    errno = saved_errno;
}

// Under registry.mutex, like what follows.
void signal_receiver::restore(int signo) noexcept {
    if (--registry.receivers[signo] > 0) return;
    struct sigaction now{};
    // Who has put another handler in the place of ours meanwhile, keeps it.
    if (::sigaction(signo, nullptr, &now) == 0 && now.sa_handler == on_signal)
        ::sigaction(signo, &registry.before[signo], nullptr);
}

void signal_receiver::install(int signo) {
    if (registry.receivers[signo]++ > 0) return;
    struct sigaction ours{};
    ours.sa_handler = on_signal;
    ours.sa_flags = SA_RESTART | SA_ONSTACK;   // fibers have small stacks
    ::sigfillset(&ours.sa_mask);
    if (::sigaction(signo, &ours, &registry.before[signo]) < 0) {
        const int error = errno;
        --registry.receivers[signo];
        throw std::system_error(error, std::generic_category(), "sigaction for signal " + std::to_string(signo));
    }
}

void signal_receiver::unpublish() noexcept {
    std::atomic<signal_receiver*>* link = &receivers;
    while (link->load() != this) link = &link->load()->next_;
    link->store(next_.load());
    while (handlers_inside.load() != 0) std::this_thread::yield();
}

signal_receiver::signal_receiver(std::span<const int> signals, const char* call) {
    for (const int signo : signals) {
        require_waitable(signo, call);
        wanted_ |= bit(signo);
    }
    wakeup_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (wakeup_ < 0) throw std::system_error(errno, std::generic_category(), std::string("eventfd for ") + call);

    const std::lock_guard lock(registry.mutex);
    next_ = receivers.load();
    receivers = this;
    int installed = 0;
    try {
        for (int signo = 1; signo <= 64; installed = signo++)
            if (wanted_ & bit(signo)) install(signo);
    } catch (...) {
        for (int signo = 1; signo <= installed; ++signo)
            if (wanted_ & bit(signo)) restore(signo);
        unpublish();
        ::close(wakeup_);
        throw;
    }
}

signal_receiver::~signal_receiver() {
    const std::lock_guard lock(registry.mutex);
    unpublish();
    for (int signo = 1; signo <= 64; ++signo)
        if (wanted_ & bit(signo)) restore(signo);
    ::close(wakeup_);
}

int signal_receiver::take() noexcept {
    for (std::uint64_t come = come_.load(); come != 0; come = come_.load()) {
        const int signo = __builtin_ctzll(come) + 1;
        const std::uint64_t found = come_.fetch_and(~bit(signo));
        if (!(found & bit(signo))) continue;   // another thread was faster
        if (found & ~bit(signo)) ring();
        return signo;
    }
    return 0;
}

bool signal_receiver::drain() noexcept {
    std::uint64_t count = 0;
    return ::read(wakeup_, &count, sizeof count) > 0;
}

void forget_previous_handler(int signo, void (*handler)(int)) noexcept {
    const std::lock_guard lock(registry.mutex);
    struct sigaction& before = registry.before[signo];
    if (registry.receivers[signo] == 0 || before.sa_flags & SA_SIGINFO || before.sa_handler != handler) return;
    before = {};
    before.sa_handler = SIG_DFL;
}

}  // namespace weft::engine_layer
