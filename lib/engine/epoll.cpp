// The epoll engine: every operation tries first and parks on EAGAIN. A descriptor is registered once, edge-triggered, for
// both directions; no wait costs an epoll_ctl.
//
// Invariants
//  - No edge is lost: a fiber that saw EAGAIN enters itself as a waiter before it leaves the processor, and edges are
//    collected only in wait(), on the same thread, when no fiber runs. An edge for data already taken wakes in vain, and the
//    fiber tries again.
//  - A registration dies on its engine's thread only, or when its engine is gone; a batch of events being dealt with
//    forgets it (forget()).
//  - Who was parked when the descriptor was closed finds the closed mark in its waiter and touches the descriptor no more.

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <system_error>

#include "engine/descriptor.hpp"
#include "engine/engine.hpp"
#include "engine/file_pool.hpp"
#include "kernel/park.hpp"
#include "kernel/scheduler.hpp"

namespace weft::engine_layer {
namespace {

using detail::gate_lock;
using detail::wait_outcome;
using detail::waiter;

constexpr int batch_size = 256;
constexpr std::uintptr_t watch_tag = 1;   // in the low bit of an event's pointer; registrations have none

io_result failure() noexcept { return io_result(-errno); }

class epoll_engine final : public engine {
public:
    explicit epoll_engine(int doorbell)
        : scheduler_(*kernel::scheduler::current()), epoll_(::epoll_create1(EPOLL_CLOEXEC)), files_(scheduler_) {
        if (epoll_ < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1 for a loop");
        epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.ptr = nullptr}};
        if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, doorbell, &event) < 0) {
            const int error = errno;
            ::close(epoll_);
            throw std::system_error(error, std::generic_category(), "epoll_ctl for a loop's doorbell");
        }
    }

    ~epoll_engine() override {
        while (registration* r = registrations_) r->abandon();
        ::close(epoll_);
    }

    const char* name() const noexcept override { return "epoll"; }
    int fd() const noexcept override { return epoll_; }

    void wait(time_point deadline) noexcept override {
        batch_count_ = collect(deadline);
        for (batch_next_ = 0; batch_next_ < batch_count_;) {
            const epoll_event& event = batch_[batch_next_++];
            const auto tagged = event.data.u64;
            if (tagged == 0) continue;   // the doorbell, or forgotten
            if (tagged & watch_tag) {
                watch& w = *reinterpret_cast<watch*>(tagged & ~std::uint64_t{watch_tag});
                w.ready(w, event.events);
            } else {
                reinterpret_cast<registration*>(tagged)->ready(event.events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR),
                                                               event.events & (EPOLLOUT | EPOLLHUP | EPOLLERR));
            }
        }
        batch_count_ = 0;
    }

    io_result accept(descriptor& d, sockaddr* address, socklen_t* size, int flags, time_point deadline) noexcept override {
        return perform(d, direction::read, deadline, "accept",
                       [&](int fd) { return ::accept4(fd, address, size, flags | SOCK_NONBLOCK | SOCK_CLOEXEC); });
    }

    io_result connect(descriptor& d, const sockaddr* address, socklen_t size, time_point deadline) noexcept override {
        if (kernel::cancellation_deliverable()) return io_result::cancelled();
        for (;;) {
            if (d.file < 0) return io_result(-EBADF);
            if (::connect(d.file, address, size) == 0) return io_result(0);
            if (errno == EINPROGRESS || errno == EINTR || errno == EALREADY) break;   // the last: begun before, and given up
            if (errno != EAGAIN) return failure();
            // A Unix socket whose peer's queue is full: nothing tells when there is room, so it is asked again.
            waiter nap("connect", &d);
            const time_point again = std::min(deadline, detail::now() + std::chrono::milliseconds(1));
            if (detail::park(nap, again) == wait_outcome::cancelled) return io_result::cancelled();
            if (detail::now() >= deadline) return io_result::timed_out();
        }
        return perform_after_wait(d, direction::write, deadline, "connect", [](int fd) -> ssize_t {
            pollfd p{fd, POLLOUT, 0};
            if (::poll(&p, 1, 0) == 0) {
                errno = EAGAIN;
                return -1;
            }
            int error = 0;
            socklen_t length = sizeof error;
            if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0) return -1;
            if (error == 0) return 0;
            errno = error;
            return -1;
        });
    }

    io_result receive(descriptor& d, msghdr& message, int flags, time_point deadline) noexcept override {
        return perform(d, direction::read, deadline, "recv", [&](int fd) { return ::recvmsg(fd, &message, flags); });
    }

    io_result send(descriptor& d, const msghdr& message, int flags, time_point deadline) noexcept override {
        return perform(d, direction::write, deadline, "send",
                       [&](int fd) { return ::sendmsg(fd, &message, flags | MSG_NOSIGNAL); });
    }

    io_result read(descriptor& d, void* to, std::size_t size, time_point deadline) noexcept override {
        return perform(d, direction::read, deadline, "read", [=](int fd) { return ::read(fd, to, size); });
    }

    io_result write(descriptor& d, const void* from, std::size_t size, time_point deadline) noexcept override {
        return perform(d, direction::write, deadline, "write", [=](int fd) { return ::write(fd, from, size); });
    }

    io_result send_file(descriptor& to, int from, off_t* offset, std::size_t size, time_point deadline) noexcept override {
        return perform(to, direction::write, deadline, "sendfile",
                       [=](int fd) { return ::sendfile(fd, from, offset, size); });
    }

    io_result poll(descriptor& d, direction way, time_point deadline) noexcept override {
        return perform(d, way, deadline, "poll", [way](int fd) { return look(fd, way); });
    }

    io_result poll_fd(int fd, direction way, time_point deadline, const char* what) noexcept override {
        if (kernel::cancellation_deliverable()) return io_result::cancelled();
        if (const ssize_t events = look(fd, way); events >= 0) return io_result(events);
        if (errno != EAGAIN) return failure();
        struct one_wait : watch {
            waiter waiting;
            bool woken = false;
            one_wait(const char* what, const void* object) : waiting(what, object) {}
        } self(what, this);
        self.fd = fd;
        self.events = way == direction::read ? EPOLLIN | EPOLLRDHUP : EPOLLOUT;
        self.ready = [](watch& w, unsigned) noexcept {
            auto& self = static_cast<one_wait&>(w);
            if (std::exchange(self.woken, true)) return;
            detail::gate none;
            gate_lock lock(none);
            if (self.waiting.claim(lock)) waiter::wake(self.waiting);
        };
        int copy = -1;   // a file that is registered already cannot be registered again, its duplicate can
        int error = add(self);
        if (error == -EEXIST) {
            copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
            if (copy < 0) return failure();
            self.fd = copy;
            error = add(self);
        }
        wait_outcome outcome = wait_outcome::woken;
        if (error == 0) {
            outcome = detail::park(self.waiting, deadline);
            remove(self);
        }
        if (copy >= 0) ::close(copy);
        if (error < 0) return io_result(error);
        if (outcome == wait_outcome::cancelled) return io_result::cancelled();
        if (outcome == wait_outcome::timed_out) return io_result::timed_out();
        const ssize_t events = look(fd, way);
        return events >= 0 ? io_result(events) : io_result(way == direction::read ? POLLIN : POLLOUT);
    }

    io_result perform(const file_call& call, const char* what) noexcept override { return files_.perform(call, what); }

    int add(watch& w) noexcept override { return control(EPOLL_CTL_ADD, w); }
    int modify(watch& w) noexcept override { return control(EPOLL_CTL_MOD, w); }
    void remove(watch& w) noexcept override {
        control(EPOLL_CTL_DEL, w);
        forget(reinterpret_cast<std::uintptr_t>(&w) | watch_tag);
    }

    int attach(registration& r) noexcept override {
        epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.u64 = 0}};
        event.data.ptr = &r;
        if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, r.file, &event) < 0) return -errno;
        r.enter(registrations_);
        return 0;
    }

    void detach(registration& r) noexcept override {
        if (r.file >= 0) ::epoll_ctl(epoll_, EPOLL_CTL_DEL, r.file, nullptr);
        forget(reinterpret_cast<std::uintptr_t>(&r));
    }

    kernel::scheduler& home() noexcept override { return scheduler_; }

private:
    static ssize_t look(int fd, direction way) noexcept {
        pollfd p{fd, static_cast<short>(way == direction::read ? POLLIN | POLLRDHUP : POLLOUT), 0};
        const int count = ::poll(&p, 1, 0);
        if (count < 0) return -1;
        if (count == 0 || p.revents & POLLNVAL) {
            errno = count == 0 ? EAGAIN : EBADF;
            return -1;
        }
        return p.revents;
    }

    int control(int operation, watch& w) noexcept {
        epoll_event event{.events = w.events, .data = {.u64 = reinterpret_cast<std::uintptr_t>(&w) | watch_tag}};
        return ::epoll_ctl(epoll_, operation, w.fd, &event) < 0 ? -errno : 0;
    }

    void forget(std::uint64_t tagged) noexcept {
        for (int i = batch_next_; i < batch_count_; ++i)
            if (batch_[i].data.u64 == tagged) batch_[i].data.u64 = 0;
    }

    int collect(time_point deadline) noexcept {
        timespec wait{};
        const bool forever = deadline == time_point::max();
        if (!forever && deadline != time_point::min()) {
            const auto left = std::max(deadline - std::chrono::steady_clock::now(), std::chrono::steady_clock::duration::zero());
            const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
            wait.tv_sec = seconds.count();
            wait.tv_nsec = (left - seconds).count();
        }
        int count = -1;
        if (!no_pwait2_) {
            count = static_cast<int>(::syscall(SYS_epoll_pwait2, epoll_, batch_, batch_size, forever ? nullptr : &wait, nullptr, 0));
            if (count < 0 && errno == ENOSYS) no_pwait2_ = true;   // before Linux 5.11
        }
        if (no_pwait2_) {
            const long ms = forever ? -1 : std::min<long>(INT_MAX, wait.tv_sec * 1000 + (wait.tv_nsec + 999999) / 1000000);
            count = ::epoll_wait(epoll_, batch_, batch_size, static_cast<int>(ms));
        }
        return std::max(count, 0);   // EINTR: the loop makes another turn
    }

    template <class Attempt>
    io_result perform(descriptor& d, direction way, time_point deadline, const char* what, Attempt attempt) noexcept {
        if (kernel::cancellation_deliverable()) return io_result::cancelled();
        return perform_after_wait(d, way, deadline, what, attempt);
    }

    template <class Attempt>
    io_result perform_after_wait(descriptor& d, direction way, time_point deadline, const char* what, Attempt attempt) noexcept {
        for (;;) {
            if (d.file < 0) return io_result(-EBADF);
            const ssize_t result = attempt(d.file);
            if (result >= 0) {
                scheduler_.operation_done();
                return io_result(result);
            }
            if (errno == EINTR) continue;
            if (errno != EAGAIN && errno != EWOULDBLOCK) return failure();

            if (!d.registered || !d.registered->belongs_to(*this)) {
                if (const int error = d.move_to(*this); error < 0) return io_result(error);
                continue;   // what became ready before the registration is found by trying once more
            }
            waiter self(what, &d);
            registration& r = *d.registered;   // d may be gone after the wait
            if (!r.enter_waiter(way, self)) return io_result(-EALREADY);
            const wait_outcome outcome = detail::park(self, deadline);
            // SAFETY: not marked: then no close has reached r yet, and r is freed by this thread only, after it was.
            if (marked_closed(self) || !r.leave_waiter(way, self)) return io_result(-EBADF);
            if (outcome == wait_outcome::cancelled) return io_result::cancelled();
            if (outcome == wait_outcome::timed_out) return io_result::timed_out();
        }
    }

    kernel::scheduler& scheduler_;
    const int epoll_;
    file_pool files_;
    bool no_pwait2_ = false;
    registration* registrations_ = nullptr;
    int batch_count_ = 0;
    int batch_next_ = 0;
    epoll_event batch_[batch_size];
};

}  // namespace

std::unique_ptr<engine> make_epoll_engine(int doorbell) { return std::make_unique<epoll_engine>(doorbell); }

}  // namespace weft::engine_layer
