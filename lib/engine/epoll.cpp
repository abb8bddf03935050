// The epoll engine: every operation tries first and parks on EAGAIN. A descriptor is registered once, edge-triggered, for
// both directions; no wait costs an epoll_ctl.
//
// Invariants
//  - No edge is lost: a fiber that saw EAGAIN enters itself as a waiter before it leaves the processor, and edges are
//    collected only in wait(), on the same thread, when no fiber runs. An edge for data already taken wakes in vain, and the
//    fiber tries again.
//  - A registration dies on its engine's thread only, or when its engine is gone; a batch of events being dealt with
//    forgets it (epoll_set).
//  - A receive that emptied its socket (a short read of TCP without a layer upon it) is not followed by one in vain: until the next edge the socket is
//    known to be empty, and the next receive parks at once.
//  - Who was parked when the descriptor was closed finds the closed mark in its waiter and touches the descriptor no more.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <system_error>

#include "engine/descriptor.hpp"
#include "engine/engine.hpp"
#include "engine/epoll_set.hpp"
#include "engine/file_pool.hpp"
#include "engine/trying_engine.hpp"
#include "kernel/park.hpp"
#include "kernel/scheduler.hpp"

namespace weft::engine_layer {
namespace {

using detail::wait_outcome;
using detail::waiter;

/// TCP whose bytes nobody else takes out of the socket: where TLS in the kernel does, or another such layer, reads end at its
/// records, and more may lie behind them.
bool is_plain_tcp(int fd) noexcept {
    int protocol = 0;
    socklen_t size = sizeof protocol;
    if (::getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) < 0 || protocol != IPPROTO_TCP) return false;
    char layer[16] = {};
    size = sizeof layer;
    return ::getsockopt(fd, IPPROTO_TCP, TCP_ULP, layer, &size) < 0 || size == 0 || layer[0] == '\0';
}

class epoll_engine final : public trying_engine {
public:
    explicit epoll_engine(int doorbell) : files_(home()) {
        if (const int error = set_.add_doorbell(doorbell); error < 0)
            throw std::system_error(-error, std::generic_category(), "epoll_ctl for a loop's doorbell");
    }
    ~epoll_engine() override {
        while (registration* r = registrations_) r->abandon();
    }

    const char* name() const noexcept override { return "epoll"; }
    int fd() noexcept override { return set_.fd(); }
    void wait(time_point deadline) noexcept override { set_.dispatch(deadline); }

    io_result perform(const file_call& call, const char* what) noexcept override { return files_.perform(call, what); }

    io_result receive(descriptor& d, msghdr& message, int flags, time_point deadline) noexcept override {
        constexpr int consuming = MSG_CMSG_CLOEXEC | MSG_NOSIGNAL;
        if ((flags & ~consuming) != 0 || !emptied_by_short_reads(d)) return trying_engine::receive(d, message, flags, deadline);
        std::size_t room = 0;
        for (std::size_t i = 0; i < message.msg_iovlen; ++i) room += message.msg_iov[i].iov_len;
        return receive_by(d, room, deadline, [&message, flags](int fd, std::size_t) { return receive_now(fd, message, flags); });
    }
    io_result receive_bytes(descriptor& d, void* to, std::size_t room, time_point deadline) noexcept override {
        if (!emptied_by_short_reads(d)) return trying_engine::receive_bytes(d, to, room, deadline);
        return receive_by(d, room, deadline, [to](int fd, std::size_t size) { return ::recv(fd, to, size, 0); });
    }

    int add(watch& w) noexcept override { return set_.add(w); }
    int modify(watch& w) noexcept override { return set_.modify(w); }
    void remove(watch& w) noexcept override { set_.remove(w); }

    int attach(registration& r) noexcept override {
        if (const int error = set_.add(r); error < 0) return error;
        r.short_read_empties = is_plain_tcp(r.file);
        r.enter(registrations_);
        return 0;
    }
    bool detach(registration& r) noexcept override {
        set_.remove(r);
        if (kernel::scheduler::current() == &home()) set_.forget(r);   // else it lives until the turn is over
        return true;
    }

protected:
    io_result wait_ready(descriptor& d, direction way, time_point deadline, const char* what) noexcept override {
        if (!d.registered || !d.registered->belongs_to(*this)) {
            const int error = d.move_to(*this);
            return io_result(error);   // what became ready before the registration is found by trying once more
        }
        waiter self(what, &d);
        registration& r = *d.registered;   // d may be gone after the wait
        if (!r.enter_waiter(way, self)) return io_result(-EALREADY);
        will_touch(d, r);
        const wait_outcome outcome = detail::park(self, deadline);
        home().look_ahead();
        // SAFETY: not marked: then no close has reached r yet, and r is freed by this thread only, after it was.
        if (marked_closed(self) || !r.leave_waiter(way, self)) return io_result(-EBADF);
        if (outcome == wait_outcome::cancelled) return io_result::cancelled();
        if (outcome == wait_outcome::timed_out) return io_result::timed_out();
        return io_result(0);
    }

private:
    bool emptied_by_short_reads(const descriptor& d) const noexcept {
        return d.registered && d.registered->short_read_empties && d.registered->belongs_to(*this);
    }

    /// \param now  receives without waiting: now(file, room)
    template <class Receive>
    io_result receive_by(descriptor& d, std::size_t room, time_point deadline, Receive now) noexcept {
        if (kernel::cancellation_deliverable()) return io_result::cancelled();
        for (;;) {
            if (d.file < 0) return io_result(-EBADF);
            if (d.registered->expects_data) {
                const ssize_t size = now(d.file, room);
                if (size >= 0) {
                    d.registered->expects_data = size == 0 || static_cast<std::size_t>(size) >= room;
                    home().operation_done();
                    return io_result(size);
                }
                if (errno == EINTR) continue;
                if (errno != EAGAIN) return io_result(-errno);
                d.registered->expects_data = false;
            }
            if (const io_result waited = wait_ready(d, direction::read, deadline, "recv"); !waited.ok()) return waited;
        }
    }

    epoll_set set_;
    file_pool files_;
    registration* registrations_ = nullptr;
};

}  // namespace

std::unique_ptr<engine> make_epoll_engine(int doorbell) { return std::make_unique<epoll_engine>(doorbell); }

}  // namespace weft::engine_layer
