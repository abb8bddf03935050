#include "engine/trying_engine.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "engine/descriptor.hpp"
#include "engine/poll_now.hpp"
#include "engine/sigpipe.hpp"
#include "kernel/park.hpp"
#include "kernel/scheduler.hpp"

namespace weft::engine_layer {

using detail::gate_lock;
using detail::wait_outcome;
using detail::waiter;

namespace {

io_result failure() noexcept { return io_result(-errno); }

}  // namespace

trying_engine::trying_engine() : scheduler_(*kernel::scheduler::current()) {}

template <class Attempt>
io_result trying_engine::perform(descriptor& d, direction way, time_point deadline, const char* what, Attempt attempt) noexcept {
    if (kernel::cancellation_deliverable()) return io_result::cancelled();
    return go_on(d, way, deadline, what, attempt);
}

template <class Attempt>
io_result trying_engine::go_on(descriptor& d, direction way, time_point deadline, const char* what, Attempt attempt) noexcept {
    for (;;) {
        if (d.file < 0) return io_result(-EBADF);
        const ssize_t result = attempt(d.file);
        if (result >= 0) {
            scheduler_.operation_done();
            return io_result(result);
        }
        if (errno == EINTR) continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK) return failure();
        // If it did not go well d may be gone.
        if (const io_result waited = wait_ready(d, way, deadline, what); !waited.ok()) return waited;
    }
}

io_result trying_engine::accept(descriptor& d, sockaddr* address, socklen_t* size, int flags, time_point deadline) noexcept {
    return perform(d, direction::read, deadline, "accept",
                   [&](int fd) { return ::accept4(fd, address, size, flags | SOCK_NONBLOCK | SOCK_CLOEXEC); });
}

io_result trying_engine::connect(descriptor& d, const sockaddr* address, socklen_t size, time_point deadline) noexcept {
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
    return go_on(d, direction::write, deadline, "connect", [](int fd) -> ssize_t {
        pollfd p{fd, POLLOUT, 0};
        if (poll_now(p) == 0) {
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

io_result trying_engine::receive(descriptor& d, msghdr& message, int flags, time_point deadline) noexcept {
    return perform(d, direction::read, deadline, "recv", [&](int fd) { return ::recvmsg(fd, &message, flags); });
}

io_result trying_engine::receive_bytes(descriptor& d, void* to, std::size_t room, time_point deadline) noexcept {
    return perform(d, direction::read, deadline, "recv", [=](int fd) { return ::recv(fd, to, room, 0); });
}

io_result trying_engine::send(descriptor& d, const msghdr& message, int flags, time_point deadline) noexcept {
    return perform(d, direction::write, deadline, "send",
                   [&](int fd) { return send_now(fd, message, flags | MSG_NOSIGNAL); });
}

io_result trying_engine::read(descriptor& d, void* to, std::size_t size, time_point deadline) noexcept {
    return perform(d, direction::read, deadline, "read", [=](int fd) { return ::read(fd, to, size); });
}

io_result trying_engine::write(descriptor& d, const void* from, std::size_t size, time_point deadline) noexcept {
    return perform(d, direction::write, deadline, "write", [=](int fd) { return ::write(fd, from, size); });
}

io_result trying_engine::send_file(descriptor& to, int from, off_t* offset, std::size_t size, time_point deadline) noexcept {
    return perform(to, direction::write, deadline, "sendfile", [=](int fd) {
        return without_sigpipe([=] { return ::sendfile(fd, from, offset, size); });   // it has no flag for that
    });
}

io_result trying_engine::poll(descriptor& d, direction way, time_point deadline) noexcept {
    return perform(d, way, deadline, "poll", [way](int fd) { return look(fd, way); });
}

io_result trying_engine::poll_fd(int fd, direction way, time_point deadline, const char* what) noexcept {
    if (kernel::cancellation_deliverable()) return io_result::cancelled();
    if (const ssize_t events = look(fd, way); events >= 0) return io_result(events);
    if (errno != EAGAIN) return failure();
    if (const io_result waited = wait_watched(fd, way, deadline, what); !waited.ok()) return waited;
    const ssize_t events = look(fd, way);
    return events >= 0 ? io_result(events) : io_result(way == direction::read ? POLLIN : POLLOUT);
}

ssize_t trying_engine::receive_now(int fd, msghdr& message, int flags) noexcept {
    if (message.msg_iovlen != 1 || message.msg_name || message.msg_control) return ::recvmsg(fd, &message, flags);
    const ssize_t size = ::recv(fd, message.msg_iov->iov_base, message.msg_iov->iov_len, flags & ~MSG_CMSG_CLOEXEC);
    message.msg_flags = 0;
    return size;
}

ssize_t trying_engine::send_now(int fd, const msghdr& message, int flags) noexcept {
    if (message.msg_iovlen != 1 || message.msg_name || message.msg_control) return ::sendmsg(fd, &message, flags);
    return ::send(fd, message.msg_iov->iov_base, message.msg_iov->iov_len, flags);
}

ssize_t trying_engine::look(int fd, direction way) noexcept {
    pollfd p{fd, static_cast<short>(way == direction::read ? POLLIN | POLLRDHUP : POLLOUT), 0};
    const int count = poll_now(p);
    if (count < 0) return -1;
    if (count == 0 || p.revents & POLLNVAL) {
        errno = count == 0 ? EAGAIN : EBADF;
        return -1;
    }
    return p.revents;
}

io_result trying_engine::wait_watched(int fd, direction way, time_point deadline, const char* what) noexcept {
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
    return io_result(0);
}

}  // namespace weft::engine_layer
