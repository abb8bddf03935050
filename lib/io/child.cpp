#include "io/child.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <utility>

#include <weft/error.hpp>

#include "io/socket_state.hpp"
#include "kernel/scheduler.hpp"
#include "sync/wait.hpp"
#include "task/loop_state.hpp"

namespace weft::detail {
namespace {

/// The return code out of wait(2)'s status word.
int code_of(int status) noexcept { return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status); }

/// What a process ended with whose status was taken already; only Linux 6.15 and later remember.
std::optional<int> remembered_code(int pidfd) noexcept {
    struct {   // struct pidfd_info, which is newer than the headers that must do
        std::uint64_t mask, cgroup;
        std::uint32_t ids[11];
        std::int32_t status;
    } info{};
    static_assert(sizeof info == 64);
    constexpr std::uint64_t exit_status = 1 << 3;   // PIDFD_INFO_EXIT
    info.mask = exit_status;
    if (::ioctl(pidfd, _IOWR(0xFF, 11, info), &info) < 0 || !(info.mask & exit_status)) return std::nullopt;
    return code_of(info.status);
}

/// What a loop has of a child that runs. On that loop's thread.
struct child_watch : engine_layer::watch {
    explicit child_watch(kernel::scheduler& s) : home(s) {
        events = EPOLLIN;
        ready = [](watch& w, unsigned) noexcept {
            auto& self = static_cast<child_watch&>(w);
            if (!self.of->look()) return;
            if (self.of->status_lost()) self.report();
            self.home.engine->remove(self);
            delete &self;
        };
        home.at_close(closes, this);
    }
    ~child_watch() { home.cancel_at_close(closes, this); }
    child_watch(const child_watch&) = delete;
    child_watch& operator=(const child_watch&) = delete;

    static void closes(void* argument) noexcept {
        auto* self = static_cast<child_watch*>(argument);
        self->home.engine->remove(*self);
        if (!self->of->look()) watch_without_loop(std::move(self->of));
        delete self;
    }

    void report() const noexcept {
        try {
            loop_state::current()->report({"the return code of process " + std::to_string(of->pid()) +
                                               " is not known, and given as 255: somebody else has taken its exit status "
                                               "(SIGCHLD is ignored, or something waits for any child)",
                                           nullptr,
                                           {}});
        } catch (const std::bad_alloc&) {
            // Then it is 255 without a word.
        }
    }

    kernel::scheduler& home;
    std::shared_ptr<child> of;
};

}  // namespace

child::~child() {
    if (spawned_.pidfd >= 0) ::close(spawned_.pidfd);
}

void child::start(const spawn_request& request) { spawned_ = spawn(request); }

bool child::look() noexcept {
    wake_batch batch;
    const gate_lock lock(gate_);
    if (code_) return true;
    siginfo_t info{};
    if (::waitid(P_PIDFD, static_cast<id_t>(spawned_.pidfd), &info, WEXITED | WNOHANG) == 0) {
        if (info.si_pid == 0) return false;
        code_ = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
    } else {
        code_ = remembered_code(spawned_.pidfd);
        status_lost_ = !code_;
        if (!code_) code_ = 255;   // as asyncio
    }
    batch.claim_all(waiters_, lock);
    return true;
}

std::optional<int> child::return_code() noexcept {
    look();
    const gate_lock lock(gate_);
    return code_;
}

bool child::status_lost() const noexcept {
    const gate_lock lock(gate_);
    return status_lost_;
}

// It waits for the pidfd itself, for the loop that started the child may not be turning.
int child::wait_without_loop() noexcept {
    while (!look()) {
        pollfd file{spawned_.pidfd, POLLIN, 0};
        ::poll(&file, 1, -1);
    }
    const gate_lock lock(gate_);
    return *code_;
}

int child::wait(const char* call) {
    if (!kernel::scheduler::current()) return wait_without_loop();
    {
        gate_lock lock(gate_);
        if (code_) return *code_;
        waiter w(call, this);
        waiters_.push_back(w);
        lock.leave();
        wait_or_throw(waiters_, gate_, w, time_point::max());
    }
    const gate_lock lock(gate_);
    return *code_;
}

void child::send_signal(int signo, const char* call) {
    const std::string place = "process " + std::to_string(pid());
    {
        const gate_lock lock(gate_);
        if (code_) throw_errno(ESRCH, call, place);
    }
    if (::syscall(SYS_pidfd_send_signal, spawned_.pidfd, signo, nullptr, 0) < 0) throw_errno(errno, call, place);
}

std::shared_ptr<child> start_child(const spawn_request& request) {
    kernel::scheduler& here = *kernel::scheduler::current();
    auto c = std::make_shared<child>();
    auto w = std::make_unique<child_watch>(here);
    c->start(request);
    w->of = c;
    w->fd = c->pidfd();
    if (here.engine->add(*w) < 0) watch_without_loop(c);   // no room for one more
    else w.release();   // it frees itself
    return c;
}

}  // namespace weft::detail
