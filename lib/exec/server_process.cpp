// How the server process of a pool comes to be, and what it does.
//
// It is this program, started anew by posix_spawn: that is safe beside threads, and fast whatever the size of the parent. Its
// environment says what it is. The functions that its workers will run may use every global object of the program, so
// it must turn aside after the last static initialization and before main. How:
//
//   A constructor of this file runs in every process. In a server it replaces the last entry of the program's own list of
//   initializers (DT_INIT_ARRAY), which is the very last thing that the C library calls before main, by one that calls what
//   stood there and then serves, for ever. The list is read entry by entry while it is run, by glibc and by musl alike. No other
//   process is touched in any way but for a getenv and a dlsym. Where weft was loaded by dlopen, main would run before the
//   constructor; so such a program is refused a pool, before anything is started.
//
// The server has one thread, so it can fork: a worker is there in a fraction of a millisecond, with the libraries loaded and
// the program initialized. Only the server reaps its children; it tells the pool, which cannot (they are not its own).
//
// Rejected
//  - forking the process that has the pool: after a fork in a program with threads, locks that they held stay locked.
//  - forking a server early, before there are threads: then every program that links weft carries a second process.
//  - a program of its own for the workers: it does not have the user's functions.
//  - wrapping __libc_start_main: works, but stands in the start of every program, not only of servers; it fails where weft is
//    a library of a library, since the C library is then found first, and where the C library is linked statically.
//  - a hook that the user must call at the start of main: forgotten, main would run in the server.

#include "exec/server_process.hpp"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <weft/detail/config.hpp>

#include "exec/program_address.hpp"

extern char** environ;

/// Looked up by name, to find out whether this library was loaded together with the program.
extern "C" WEFT_API void weft_process_pool_server_mark();
extern "C" void weft_process_pool_server_mark() {}

namespace weft::exec_layer {
namespace {

constexpr const char* variable = "WEFT_PROCESS_POOL";   // in a server's environment: the number of its control socket
constexpr int control_number = 3;                        // that number

[[noreturn]] void die(const char* sentence) noexcept {
    const std::string_view text = sentence;
    [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    ::_exit(127);
}

// The server.

void report(int control, const server_report& r) noexcept {
    while (::send(control, &r, sizeof r, MSG_NOSIGNAL) < 0 && errno == EINTR) {}
}

struct received_command {
    server_command command;
    int socket = -1;
    bool over = false;
};

received_command receive_command(int control) noexcept {
    received_command c;
    alignas(cmsghdr) char room[CMSG_SPACE(sizeof(int))];
    iovec part{&c.command, sizeof c.command};
    msghdr m{};
    m.msg_iov = &part;
    m.msg_iovlen = 1;
    m.msg_control = room;
    m.msg_controllen = sizeof room;
    ssize_t size;
    do size = ::recvmsg(control, &m, MSG_CMSG_CLOEXEC);
    while (size < 0 && errno == EINTR);
    c.over = size != sizeof c.command;
    for (cmsghdr* h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h))
        if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS) std::memcpy(&c.socket, CMSG_DATA(h), sizeof c.socket);
    return c;
}

[[noreturn]] void serve(int control) {
    ::unsetenv(variable);   // what a job executes is no server
    ::prctl(PR_SET_NAME, "weft-server");
    sigset_t none, child;
    ::sigemptyset(&none);
    ::sigemptyset(&child);
    ::sigaddset(&child, SIGCHLD);
    ::sigprocmask(SIG_SETMASK, &child, nullptr);
    const int ended = ::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (ended < 0) die("weft: the server of a process pool could not make a signalfd\n");
    const pid_t self = ::getpid();
    std::map<pid_t, std::int32_t> workers;

    for (bool over = false; !over;) {
        pollfd wanted[] = {{control, POLLIN, 0}, {ended, POLLIN, 0}};
        if (::poll(wanted, 2, -1) < 0) continue;
        if (wanted[1].revents) {
            signalfd_siginfo info;
            while (::read(ended, &info, sizeof info) > 0) {}
            int status = 0;
            for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
                const auto w = workers.find(pid);
                if (w == workers.end()) continue;   // some child of a static initializer
                report(control, {server_report::ended, w->second, pid, status});
                workers.erase(w);
            }
        }
        if (!wanted[0].revents) continue;
        const received_command c = receive_command(control);
        over = c.over;
        if (over) continue;
        if (c.command.what == server_command::kill) {
            for (const auto& [pid, number] : workers)
                if (number == c.command.worker) ::kill(pid, SIGKILL);
            continue;
        }
        std::fflush(nullptr);   // what static initializers printed must not be printed by each worker
        const pid_t pid = ::fork();
        if (pid == 0) {
            // SAFETY: the parent has one thread, which stays; so the signal comes when the server ends, not before.
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (::getppid() != self) ::_exit(127);
            ::close(control);
            ::close(ended);
            ::sigprocmask(SIG_SETMASK, &none, nullptr);
            ::prctl(PR_SET_NAME, "weft-worker");
            run_worker(c.socket);
        }
        if (pid < 0) report(control, {server_report::not_started, c.command.worker, 0, errno});
        else workers.emplace(pid, c.command.worker);
        ::close(c.socket);
    }
    for (const auto& worker : workers) ::kill(worker.first, SIGKILL);
    while (::waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {}
    ::_exit(0);
}

// How a process becomes one.

using initializer = void (*)(int, char**, char**);
bool loaded_with_program = false;          // set by turn_aside: the program's initializers, and main, come after it
initializer last_of_the_program = nullptr;   // of a server: what stood where serve_after_initialization stands now

void serve_after_initialization(int argc, char** argv, char** environment) {
    last_of_the_program(argc, argv, environment);
    serve(control_number);
}

/// The place of the last entry of the program's list of initializers; null if it has none.
initializer* last_initializer() noexcept {
    const auto* headers = reinterpret_cast<const ElfW(Phdr)*>(::getauxval(AT_PHDR));
    const unsigned long count = ::getauxval(AT_PHNUM);
    ElfW(Addr) base = 0;
    const ElfW(Dyn)* entry = nullptr;
    for (unsigned long i = 0; headers && i < count; ++i)
        if (headers[i].p_type == PT_PHDR) base = reinterpret_cast<ElfW(Addr)>(headers) - headers[i].p_vaddr;
    for (unsigned long i = 0; headers && i < count; ++i)
        if (headers[i].p_type == PT_DYNAMIC) entry = reinterpret_cast<const ElfW(Dyn)*>(base + headers[i].p_vaddr);
    ElfW(Addr) list = 0;
    std::size_t size = 0;
    for (; entry && entry->d_tag != DT_NULL; ++entry) {
        if (entry->d_tag == DT_INIT_ARRAY) list = base + entry->d_un.d_ptr;
        if (entry->d_tag == DT_INIT_ARRAYSZ) size = entry->d_un.d_val;
    }
    const std::size_t entries = size / sizeof(initializer);
    return list == 0 || entries == 0 ? nullptr : reinterpret_cast<initializer*>(list) + (entries - 1);
}

/// For the constructor alone: a library that dlopen loads is not to be found in the program's own scope while it is initialized,
/// not even with RTLD_GLOBAL.
bool is_loaded_with_program() noexcept {
    if (in_the_program(&weft_process_pool_server_mark)) return true;
    void* program = ::dlopen(nullptr, RTLD_LAZY);
    const bool found = program && ::dlsym(program, "weft_process_pool_server_mark");
    if (program) ::dlclose(program);
    return found;
}

__attribute__((constructor)) void turn_aside(int, char**, char**) {
    loaded_with_program = is_loaded_with_program();
    const char* number = ::getenv(variable);
    if (!number) return;
    // Whoever started such a program must not have it call what he likes; and main must not run once more.
    if (::getauxval(AT_SECURE))
        die("weft: WEFT_PROCESS_POOL is set; a program with more rights than its user does not serve a process pool\n");
    int type = 0;
    socklen_t size = sizeof type;
    if (number != std::to_string(control_number) ||
        ::getsockopt(control_number, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_SEQPACKET)
        die("weft: WEFT_PROCESS_POOL is set, which weft alone does, for the server of a process pool; unset it\n");
    if (!loaded_with_program) die("weft: the server of a process pool reached main; link the program itself with weft\n");
    ::fcntl(control_number, F_SETFD, FD_CLOEXEC);
    initializer* last = last_initializer();
    if (!last) die("weft: a process pool needs a dynamically linked program\n");
    if (*last == turn_aside) serve(control_number);
    // The list is read-only by now, as all that the dynamic linker has relocated.
    const auto page_size = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const auto at = reinterpret_cast<std::uintptr_t>(last) & ~(page_size - 1);
    if (::mprotect(reinterpret_cast<void*>(at), page_size, PROT_READ | PROT_WRITE) < 0)
        die("weft: the server of a process pool could not change its program's list of initializers\n");
    last_of_the_program = *last;
    *last = serve_after_initialization;
}

// In the process that has the pool.

void check_would_turn_aside() {
    // A process that was to be a server, and has come to main, must not start another one that would do the same.
    if (::getenv(variable)) die("weft: the server of a process pool reached main; link the program itself with weft\n");
    if (::getuid() != ::geteuid() || ::getgid() != ::getegid())
        throw std::runtime_error("process_pool_executor: a program that runs with more rights than its user (set-user-ID, "
                                 "set-group-ID) cannot be its own worker: its real and effective IDs must be the same, and its file "
                                 "have neither bit");
    if (loaded_with_program) return;
    throw std::runtime_error("process_pool_executor: weft was loaded after the program had started, so the program cannot be "
                             "its own worker; link it with weft");
}

void require(int error, const char* call) {
    if (error != 0) throw std::system_error(error, std::generic_category(), call);
}

}  // namespace

server_process start_server() {
    check_would_turn_aside();
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        throw std::system_error(errno, std::generic_category(), "socketpair for a process pool");
    const int room = 1 << 20;   // for the pool's commands, while the server starts
    ::setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    server_process server{-1, ends[0]};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawnattr_init(&attributes);
    try {
        const std::string setting = std::string(variable) + '=' + std::to_string(control_number);
        std::vector<char*> environment;
        for (char** e = environ; e && *e; ++e) environment.push_back(*e);
        environment.push_back(const_cast<char*>(setting.c_str()));
        environment.push_back(nullptr);
        char role[] = "(weft process pool)";
        char* arguments[] = {program_invocation_name, role, nullptr};

        require(::posix_spawn_file_actions_adddup2(&files, ends[1], control_number), "posix_spawn_file_actions_adddup2");
        require(::posix_spawn_file_actions_addclosefrom_np(&files, control_number + 1), "posix_spawn_file_actions_addclosefrom");
        sigset_t none, all;
        ::sigemptyset(&none);
        ::sigfillset(&all);
        ::posix_spawnattr_setsigmask(&attributes, &none);
        ::posix_spawnattr_setsigdefault(&attributes, &all);
        ::posix_spawnattr_setpgroup(&attributes, 0);   // Ctrl-C is for the program, which decides what becomes of its workers
        ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
        // The very file that runs here, though another one may stand in its place meanwhile.
        require(::posix_spawn(&server.pid, "/proc/self/exe", &files, &attributes, arguments, environment.data()),
                "posix_spawn of /proc/self/exe for a process pool");
    } catch (...) {
        ::posix_spawn_file_actions_destroy(&files);
        ::posix_spawnattr_destroy(&attributes);
        ::close(ends[0]);
        ::close(ends[1]);
        throw;
    }
    ::posix_spawn_file_actions_destroy(&files);
    ::posix_spawnattr_destroy(&attributes);
    ::close(ends[1]);
    return server;
}

void start_worker(const server_process& server, std::int32_t worker, int socket) {
    server_command command{server_command::start, worker};
    alignas(cmsghdr) char room[CMSG_SPACE(sizeof(int))] = {};
    iovec part{&command, sizeof command};
    msghdr m{};
    m.msg_iov = &part;
    m.msg_iovlen = 1;
    m.msg_control = room;
    m.msg_controllen = sizeof room;
    cmsghdr* h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(sizeof socket);
    std::memcpy(CMSG_DATA(h), &socket, sizeof socket);
    while (::sendmsg(server.control, &m, MSG_NOSIGNAL) < 0)
        if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "sendmsg to the server of a process pool");
}

}  // namespace weft::exec_layer
