#include "io/spawn.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>

#include <weft/detail/config.hpp>

#include "io/socket_state.hpp"

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif

namespace weft::detail {
namespace {

enum class step { none, session, standard_stream, kept_descriptor, directory, program };

/// What the child needs, and what it leaves behind if it fails.
struct plan {
    const char* const* programs;   // to be tried in this order; then null
    char* const* argv;
    char* const* env;
    const char* cwd;               // or null
    bool new_session;
    const int* standard;           // three
    const int* keep;               // ascending
    std::size_t keep_count;
    unsigned highest;              // descriptor that may be open

    step failed = step::none;
    int which = 0;                 // descriptor
    int error = 0;
};

// The child's code. SAFETY: it runs in this process's memory, on a stack of its own, while the calling thread is held and
// the other threads run on. So it writes to nothing but that stack, the plan and the caller's errno, takes no locks, and
// makes system calls only; all signals are blocked until no handler is left. The sanitizers must not see it: it has a
// thread's identity and is not that thread.
// (Not as [[gnu::...]], which Clang does not know for no_sanitize.)
#define WEFT_IN_CHILD __attribute__((noinline, no_sanitize("address"), no_sanitize("thread"), no_sanitize("undefined")))

constexpr std::size_t signal_mask_size = 8;

#if WEFT_TSAN
// The C library's other name for clone, which ThreadSanitizer does not intercept. Called by the first, it takes the child for one
// of fork, in memory of its own, and marks there that no other thread is left: that is this process's memory, and no race is
// looked for in it any more.
extern "C" int __clone(int (*function)(void*), void* stack, int flags, void* argument, ...);
constexpr auto* make_child = __clone;
#else
constexpr auto* make_child = ::clone;
#endif

WEFT_IN_CHILD void fail(plan& p, step where, int which = 0) noexcept {
    p.failed = where;
    p.which = which;
    p.error = errno;
    ::syscall(SYS_exit_group, 127);
}

WEFT_IN_CHILD void close_between(unsigned first, unsigned last, unsigned highest) noexcept {
    if (first > last || ::syscall(SYS_close_range, first, last, 0) == 0) return;
    for (unsigned fd = first; fd <= last && fd <= highest; ++fd) ::syscall(SYS_close, fd);   // before Linux 5.9
}

WEFT_IN_CHILD void set_up_descriptors(plan& p) noexcept {
    for (int fd = 0; fd < 3; ++fd) {
        const int from = p.standard[fd] == spawn_same_as_output ? STDOUT_FILENO : p.standard[fd];
        if (from >= 0 && ::syscall(SYS_dup3, from, fd, 0) < 0) fail(p, step::standard_stream, fd);
    }
    unsigned first = 3;
    for (std::size_t i = 0; i < p.keep_count; ++i) {
        const int fd = p.keep[i];
        if (::syscall(SYS_fcntl, fd, F_SETFD, 0) < 0) fail(p, step::kept_descriptor, fd);
        if (static_cast<unsigned>(fd) < first) continue;
        close_between(first, static_cast<unsigned>(fd) - 1, p.highest);
        first = static_cast<unsigned>(fd) + 1;
    }
    close_between(first, ~0u, p.highest);
}

WEFT_IN_CHILD int child(void* argument) noexcept {
    plan& p = *static_cast<plan*>(argument);
    const std::uint64_t default_action[8] = {};   // struct sigaction as the system has it, on any machine: SIG_DFL
    for (int signo = 1; signo <= 64; ++signo)
        if (signo != SIGKILL && signo != SIGSTOP)
            ::syscall(SYS_rt_sigaction, signo, default_action, nullptr, signal_mask_size);
    if (p.new_session && ::syscall(SYS_setsid) < 0) fail(p, step::session);
    set_up_descriptors(p);
    if (p.cwd && ::syscall(SYS_chdir, p.cwd) < 0) fail(p, step::directory);
    const std::uint64_t none = 0;
    ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, signal_mask_size);
    int reason = 0;
    for (const char* const* program = p.programs; *program; ++program) {
        ::syscall(SYS_execve, *program, p.argv, p.env);
        // Of several places the first where there is a program that cannot be run tells more than those where there is none.
        const bool not_here = errno == ENOENT || errno == ENOTDIR;
        if (reason == 0 && (!not_here || !p.programs[1])) reason = errno;
    }
    errno = reason != 0 ? reason : ENOENT;
    fail(p, step::program);
    return 127;
}

/// Where the program may be, best first.
std::vector<std::string> places_of(const spawn_request& r) {
    const std::string& name = r.argv.front();
    if (name.find('/') != name.npos) return {name};
    std::string path = "/bin:/usr/bin";
    if (r.own_env) {
        constexpr std::string_view key = "PATH=";
        const auto found = std::find_if(r.env.begin(), r.env.end(), [&](const auto& e) { return e.starts_with(key); });
        if (found != r.env.end()) path = found->substr(key.size());
    } else if (const char* own = std::getenv("PATH")) {
        path = own;
    }
    std::vector<std::string> places;
    if (name.empty()) return places;   // a directory would be tried else
    for (std::size_t begin = 0; begin <= path.size();) {
        const std::size_t end = std::min(path.find(':', begin), path.size());
        std::string place = path.substr(begin, end - begin);
        if (!place.empty()) place += '/';   // empty: the working directory
        places.push_back(place + name);
        begin = end + 1;
    }
    return places;
}

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
    std::vector<char*> result;
    result.reserve(texts.size() + 1);
    for (const std::string& t : texts) result.push_back(const_cast<char*>(t.c_str()));   // SAFETY: execve only reads
    result.push_back(nullptr);
    return result;
}

unsigned highest_descriptor() noexcept {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return static_cast<unsigned>(std::clamp<rlim_t>(limit.rlim_max, 1024, 1 << 20));
}

std::string place_of(const plan& p, const spawn_request& r) {
    std::string text = '\'' + r.argv.front() + '\'';
    switch (p.failed) {
        case step::none: case step::program: break;
        case step::session: text += ", new_session"; break;
        case step::standard_stream: text += ", its descriptor " + std::to_string(p.which); break;
        case step::kept_descriptor: text += ", pass_fds: " + std::to_string(p.which); break;
        case step::directory: text += ", cwd '" + r.cwd + '\''; break;
    }
    return text;
}

}  // namespace

spawned spawn(const spawn_request& r) {
    const std::vector<std::string> places = places_of(r);
    const std::vector<char*> programs = pointers_to(places), argv = pointers_to(r.argv), env = pointers_to(r.env);
    std::vector<int> keep = r.keep;
    std::sort(keep.begin(), keep.end());
    plan p{
        .programs = programs.data(),
        .argv = argv.data(),
        .env = r.own_env ? env.data() : environ,
        .cwd = r.cwd.empty() ? nullptr : r.cwd.c_str(),
        .new_session = r.new_session,
        .standard = r.standard,
        .keep = keep.data(),
        .keep_count = keep.size(),
        .highest = highest_descriptor(),
    };
    constexpr std::size_t stack_size = 32 * 1024;
    const auto stack = std::make_unique_for_overwrite<char[]>(stack_size);

    // Also those that the C library keeps for itself, and so would not block: their handlers, too, must not run in the child.
    const std::uint64_t all = ~std::uint64_t{0};
    std::uint64_t before = 0;
    ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, signal_mask_size);
    spawned result{-1, -1};
    result.pid = make_child(child, stack.get() + stack_size, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &p, &result.pidfd);
    const int error = errno;
    ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, nullptr, signal_mask_size);

    if (result.pid < 0) throw_errno(error, r.call, place_of(p, r));
    if (p.failed == step::none) return result;
    siginfo_t ended;
    while (::waitid(P_PIDFD, static_cast<id_t>(result.pidfd), &ended, WEXITED) < 0 && errno == EINTR) {}
    ::close(result.pidfd);
    throw_errno(p.error, r.call, place_of(p, r));
}

}  // namespace weft::detail
