// signal_set. One handler serves the process. It marks the signal in every receiver that wants it and makes that
// receiver's eventfd readable: an atomic operation and a write, both async-signal-safe. Tasks wait for the eventfd.
//
// Invariants
//  - The handler walks a list without a lock. A receiver is linked completely before it is published, and freed only after
//    it was unlinked and no handler was running: handlers_inside was seen at 0 after the unlinking. Whoever comes later does
//    not find it. All of this is sequentially consistent, for the two sides look at each other's variables: an unlinking
//    that a handler does not see yet implies that the unlinker sees the handler.
//  - A signal is marked before the eventfd is written; who finds no mark drains the eventfd and looks once more before
//    it waits; who takes one mark of several writes the eventfd again. So while a mark is there, the eventfd is readable or
//    somebody is about to look.
//  - registry.mutex is never taken by the handler.
//
// Rejected: signalfd (the signal must be blocked in every thread, also those that exist already, and stays blocked in
// programs that are executed); a thread that reads a pipe (a thread, and a fork loses it).

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include <weft/detail/task_core.hpp>
#include <weft/error.hpp>
#include <weft/signal.hpp>

#include "io/socket_state.hpp"

namespace weft {

namespace detail {

struct signal_receiver {
    std::uint64_t wanted = 0;                  // bit number - 1; constant once published
    std::atomic<std::uint64_t> come{0};        // those that came and were not taken
    int wakeup = -1;                           // an eventfd, readable while something may be in `come`
    std::atomic<signal_receiver*> next{nullptr};
};

}  // namespace detail

namespace {

using detail::signal_receiver;

static_assert(std::atomic<signal_receiver*>::is_always_lock_free && std::atomic<std::uint64_t>::is_always_lock_free);

std::atomic<signal_receiver*> receivers{nullptr};   // a process has one set of handlers, so this is the process's
std::atomic<int> handlers_inside{0};

struct {
    std::mutex mutex;
    unsigned sets[65] = {};                // how many have each signal
    struct sigaction before[65];           // what to restore
} registry;

constexpr std::uint64_t bit(int signo) noexcept { return std::uint64_t{1} << (signo - 1); }

void ring(signal_receiver& r) noexcept {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(r.wakeup, &one, sizeof one);   // full: it is readable anyway
}

void on_signal(int signo) noexcept {
    const int saved_errno = errno;
    handlers_inside.fetch_add(1);
    for (signal_receiver* r = receivers.load(); r; r = r->next.load()) {
        if (!(r->wanted & bit(signo))) continue;
        r->come.fetch_or(bit(signo));
        ring(*r);
    }
    handlers_inside.fetch_sub(1);
    errno = saved_errno;
}

// Under registry.mutex, like what follows.
void restore(int signo) noexcept {
    if (--registry.sets[signo] > 0) return;
    struct sigaction now{};
    // Who has put another handler in the place of ours meanwhile, keeps it.
    if (::sigaction(signo, nullptr, &now) == 0 && now.sa_handler == on_signal)
        ::sigaction(signo, &registry.before[signo], nullptr);
}

void install(int signo) {
    if (registry.sets[signo]++ > 0) return;
    struct sigaction ours{};
    ours.sa_handler = on_signal;
    ours.sa_flags = SA_RESTART | SA_ONSTACK;   // fibers have small stacks
    ::sigfillset(&ours.sa_mask);
    if (::sigaction(signo, &ours, &registry.before[signo]) < 0) {
        const int error = errno;
        --registry.sets[signo];
        throw std::system_error(error, std::generic_category(), "sigaction for signal " + std::to_string(signo));
    }
}

void unpublish(signal_receiver& r) noexcept {
    std::atomic<signal_receiver*>* link = &receivers;
    while (link->load() != &r) link = &link->load()->next;
    link->store(r.next.load());
    while (handlers_inside.load() != 0) std::this_thread::yield();
}

void require_waitable(int signo) {
    const char* reason = nullptr;
    switch (signo) {
        case SIGKILL: case SIGSTOP: reason = "the system lets nobody handle it"; break;
        case SIGSEGV: case SIGBUS: case SIGFPE: case SIGILL: reason = "it says that the program itself is broken"; break;
        default:
            // 32 and 33 are the C library's own.
            if (signo < 1 || signo > 64 || (signo >= 32 && signo < SIGRTMIN)) reason = "there is no such signal";
    }
    if (reason) throw std::invalid_argument("signal_set: signal " + std::to_string(signo) + ": " + reason);
}

/// The lowest signal that has come, taken; 0: none.
int take(signal_receiver& r) noexcept {
    for (std::uint64_t come = r.come.load(); come != 0; come = r.come.load()) {
        const int signo = __builtin_ctzll(come) + 1;
        const std::uint64_t found = r.come.fetch_and(~bit(signo));
        if (!(found & bit(signo))) continue;   // another thread was faster
        if (found & ~bit(signo)) ring(r);
        return signo;
    }
    return 0;
}

}  // namespace

void detail::signal_receiver_closer::operator()(signal_receiver* r) const noexcept {
    const std::lock_guard lock(registry.mutex);
    unpublish(*r);
    for (int signo = 1; signo <= 64; ++signo)
        if (r->wanted & bit(signo)) restore(signo);
    ::close(r->wakeup);
    delete r;
}

signal_set::signal_set(std::initializer_list<int> signals) {
    if (signals.size() == 0) throw std::invalid_argument("signal_set: it is empty, and would wait forever");
    auto made = std::make_unique<signal_receiver>();
    for (const int signo : signals) {
        require_waitable(signo);
        made->wanted |= bit(signo);
    }
    made->wakeup = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (made->wakeup < 0) throw std::system_error(errno, std::generic_category(), "eventfd for a signal_set");

    const std::lock_guard lock(registry.mutex);
    made->next = receivers.load();
    receivers = made.get();
    int installed = 0;
    try {
        for (int signo = 1; signo <= 64; installed = signo++)
            if (made->wanted & bit(signo)) install(signo);
    } catch (...) {
        for (int signo = 1; signo <= installed; ++signo)
            if (made->wanted & bit(signo)) restore(signo);
        unpublish(*made);
        ::close(made->wakeup);
        throw;
    }
    receiver_.reset(made.release());
}

signal_set::signal_set(signal_set&&) noexcept = default;
signal_set& signal_set::operator=(signal_set&&) noexcept = default;
signal_set::~signal_set() = default;

int signal_set::wait() {
    constexpr const char* call = "signal_set::wait";
    if (!receiver_) throw invalid_state("signal_set::wait: this set was moved away");
    detail::idle_region idle;
    signal_receiver& r = *receiver_;
    engine_layer::engine& e = engine_layer::current_engine(call);
    detail::check_cancelled();
    for (;;) {
        if (const int signo = take(r)) return signo;
        std::uint64_t count = 0;
        if (::read(r.wakeup, &count, sizeof count) > 0) continue;   // look once more before waiting
        const auto ready = e.poll_fd(r.wakeup, engine_layer::direction::read, detail::time_point::max(), call);
        if (!ready.ok()) detail::throw_failure(ready, call, "descriptor " + std::to_string(r.wakeup));
    }
}

}  // namespace weft
