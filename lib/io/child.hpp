#pragma once

/// child: a process that this one has started, until its exit status is known; and who takes that.
///
/// Whoever finds out first takes the exit status, under the gate: the loop that started the child, which watches its pidfd;
/// who asks for the return code; or, once that loop has closed, a thread that lives as long as there are such children.
/// So a child that has ended is not left a zombie, whether or not anybody holds its process object, and the pidfd of a
/// child in nobody's hands is closed.
///
/// Rejected: SIGCHLD and waitpid(-1), which take other people's children; a task that waits for each child, which would be
/// seen among the user's tasks, and cancelled with them; leaving the children of a closed loop to the next spawn, as Python
/// does, which leaves zombies till then.

#include <memory>
#include <optional>

#include <sys/types.h>

#include <weft/detail/gate.hpp>
#include <weft/detail/waiter.hpp>

#include "io/spawn.hpp"

namespace weft::detail {

/// Any thread.
class child {
public:
    child() noexcept = default;
    child(const child&) = delete;
    child& operator=(const child&) = delete;
    ~child();

    /// Once.
    void start(const spawn_request& request);
    pid_t pid() const noexcept { return spawned_.pid; }
    int pidfd() const noexcept { return spawned_.pidfd; }

    /// True if it has ended; then whoever waits is woken.
    bool look() noexcept;
    /// What it ended with; looks.
    std::optional<int> return_code() noexcept;
    /// Its end was seen, but another had taken its exit status.
    bool status_lost() const noexcept;

    /// Suspends, as process::wait. The caller keeps this alive.
    int wait(const char* call);
    void send_signal(int signo, const char* call);

private:
    int wait_without_loop() noexcept;

    spawned spawned_{-1, -1};       // constant once started; the pidfd is open until this is destroyed
    mutable gate gate_;
    std::optional<int> code_;       // set once; then the process is reaped
    bool status_lost_ = false;
    wait_list waiters_;             // none can be woken once code_ is set
};

/// Starts a child, and has this thread's loop watch it. Throws as spawn does.
std::shared_ptr<child> start_child(const spawn_request& request);

/// Hands a child over to the thread that watches those of closed loops.
void watch_without_loop(std::shared_ptr<child> c) noexcept;

}  // namespace weft::detail
