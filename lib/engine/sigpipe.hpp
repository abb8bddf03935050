#pragma once

/// without_sigpipe: makes a system call that may fail with EPIPE and would raise SIGPIPE with it, where no flag of its own keeps
/// that back: the signal is raised for the calling thread, so it is blocked there meanwhile, and taken back.
///
/// Rejected: ignoring SIGPIPE, which is the process's to decide and what programs that it executes inherit.

#include <pthread.h>
#include <signal.h>
#include <sys/types.h>

#include <cerrno>
#include <ctime>

namespace weft::engine_layer {

/// What call() returned, with its errno. It must not suspend: the mask is the thread's.
template <class Call>
ssize_t without_sigpipe(Call call) noexcept {
    sigset_t sigpipe, pending, before;
    ::sigemptyset(&sigpipe);
    ::sigaddset(&sigpipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &sigpipe, &before);
    const bool was_blocked = ::sigismember(&before, SIGPIPE) == 1;
    // Somebody else's, to be left where it is; one that is not blocked does not stay pending.
    const bool was_pending = was_blocked && ::sigpending(&pending) == 0 && ::sigismember(&pending, SIGPIPE) == 1;
    const ssize_t result = call();
    const int error = errno;
    if (result < 0 && error == EPIPE && !was_pending) {
        const timespec at_once{};
        while (::sigtimedwait(&sigpipe, nullptr, &at_once) < 0 && errno == EINTR) {}
    }
    if (!was_blocked) ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    errno = error;
    return result;
}

}  // namespace weft::engine_layer
