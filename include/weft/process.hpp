#pragma once

/// Subprocesses: create_subprocess_exec, create_subprocess_shell, process (asyncio's of these names).
///
/// A child is watched by its own descriptor (a pidfd): SIGCHLD is not touched, and nobody else's children are waited for. The
/// loop that made it takes its exit status as soon as it ends, whether or not somebody asks.

#include <sys/types.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <weft/detail/config.hpp>
#include <weft/stream.hpp>

namespace weft {

namespace detail {
struct process_state;
}  // namespace detail

/// What one of the child's three standard streams is.
enum class stdio {
    inherit,     // this process's
    pipe,        // a pipe to process::std_in(), std_out(), std_err()
    devnull,     // /dev/null
    to_stdout,   // std_err only: the same as the child's standard output (2>&1)
};

/// How a child is started. Whatever is not said here it has as subprocess.Popen in Python gives it, but for signals: it
/// begins with none blocked and none ignored, also those that this process ignores.
struct process_options {
    stdio std_in = stdio::inherit;
    stdio std_out = stdio::inherit;
    stdio std_err = stdio::inherit;
    std::optional<std::map<std::string, std::string>> env = {};   // replaces the environment; nullopt: this process's
    std::string cwd = {};               // the child's working directory; empty: this process's
    bool new_session = false;           // setsid(2): away from the terminal and from Ctrl-C
    std::vector<int> pass_fds = {};     // stay open, with their numbers; all others above 2 are closed
};

/// A child; move-only. Dropping it closes its pipes, and otherwise leaves the child alone: it runs on, and is reaped when it
/// ends.
///
/// pid, return_code, wait, send_signal, terminate and kill may be called from any thread; the streams and communicate are
/// loop-local. All throw invalid_state on a process that was moved away.
class WEFT_API process {
public:
    /// None.
    process() noexcept;
    process(process&&) noexcept;
    process& operator=(process&&) noexcept;
    ~process();

    /// Stays what it was when the child has ended; from then on the number may be another process's.
    pid_t pid() const;
    /// What the child ended with, -N for death by signal N; nullopt while it runs. Looks, does not wait.
    std::optional<int> return_code() const;

    /// Waits until the child has ended; returns its return code. Several may wait. A child that writes to pipes that nobody
    /// reads never ends: use communicate.
    ///
    /// Suspends:      while the child runs.
    /// Cancellation:  while suspended; the child runs on, and may be waited for again.
    /// Errors:        no_running_task in a loop callback that would have to wait.
    /// Thread-safety: any thread; a plain thread blocks. Tasks of other loops are woken by the one that started the child: while
    ///                that exists and does not turn they wait on.
    int wait();

    /// Sends a signal, to this child and never to another process that has got its number.
    /// Errors: std::system_error: no_such_process once its end is known (asyncio's ProcessLookupError).
    void send_signal(int signo);
    /// SIGTERM.
    void terminate();
    /// SIGKILL.
    void kill();

    /// The ends of the pipes. Errors: invalid_state where process_options did not say stdio::pipe.
    stream& std_in();
    stream& std_out();
    stream& std_err();

    /// Writes `input` to the child's standard input and closes it, meanwhile reads its standard output and standard error
    /// to their ends, then waits for the child. Returns what was read; "" for what is no pipe.
    ///
    /// A child that does not want its input, or not all of it, is no failure. A process that the child has started and
    /// that keeps the pipes open is waited for, too.
    ///
    /// Suspends:      until the pipes are at their ends and the child has ended.
    /// Cancellation:  before and while suspended; the child runs on. Called again, with the same input, it goes on where it
    ///                was: nothing is lost or sent twice.
    /// Errors:        std::invalid_argument for input to what is no pipe; of stream; no_running_loop, no_running_task.
    /// Thread-safety: loop-local.
    std::pair<std::string, std::string> communicate(std::string_view input = {});

    /// For weft itself.
    explicit process(std::shared_ptr<detail::process_state> state) noexcept;

private:
    std::shared_ptr<detail::process_state> state(const char* call) const;

    std::shared_ptr<detail::process_state> state_;   // shared with the calls that are inside
};

/// Starts a program. The child gets all of `argv`; argv[0] says which program: a path, or a name that is looked for in the
/// directories of the child's PATH (env's, if that is given; "/bin:/usr/bin" where there is none). Relative paths, in PATH too, start
/// at cwd. All as subprocess.Popen does.
///
/// Returns when the program runs. Blocks the thread for as long as that takes the system, which does not depend on how much
/// memory this process has.
///
/// Cancellation:  always checked; no child then.
/// Errors:        std::system_error naming argv[0]: ENOENT if it is not found, EACCES, ENOEXEC …; naming cwd, if that is the
///                reason; EMFILE, EAGAIN. std::invalid_argument. no_running_loop. Nothing is left behind.
/// Thread-safety: any loop; that loop watches the child. When it closes before the child has ended, a thread takes over.
WEFT_API process create_subprocess_exec(std::vector<std::string> argv, process_options options = {});
/// Runs a command with /bin/sh -c. Whatever in it comes from elsewhere must be quoted for the shell.
WEFT_API process create_subprocess_shell(std::string command, process_options options = {});

}  // namespace weft
