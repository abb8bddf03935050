// The io_uring engine: an operation is an entry in the ring, on whose completion its fiber waits. What a turn of the loop
// asked for goes to the kernel in the one system call that also waits.
//
// Invariants
//  - The kernel's hands are off before a fiber leaves: an operation stands on the fiber's stack until its completion came.
//    A wait that ends otherwise asks the kernel to give the request up, and waits for what it says. If it was done after all
//    its result counts, and a cancellation stays pending: nothing that was transferred is lost.
//  - A request holds the file, not its number, from the moment it is submitted. So a file is closed only after what was
//    filled for it has been submitted and given up (detach()), on this thread: another thread's close leaves the file to it.
//  - in_flight of a registration counts the operations on its file, until each has left. It lives as long as one is there: also
//    when it is closed while the kernel gives an operation up.
//  - O_NONBLOCK means nothing to requests on sockets; of other files io_uring gives EAGAIN back where it cannot wait. Those
//    are tried and polled for, as epoll does it, but with a request.
//
// What is tried first, and what is submitted at once, is a guess from what came before: a receive that emptied the socket (a
// short read; the kernel says so by F_SOCK_NONEMPTY) will have to wait, so the next one is submitted and not tried. Of
// datagrams it says so not: the next one is always tried for, and where many peers send to one socket it is there.
// Sends nearly always succeed at once and are tried; so are accepts, because connections come in bursts. Watches are
// level-triggered in an epoll set, which the ring polls: a poll request reports the half-closed peer (EPOLLRDHUP) whether
// asked to or not, and would never come to rest.
//
// Rejected: receiving into provided buffers by multishot requests, of which a bare loop gained 3 to 6 % once. Built for streams, with
// all that it takes (what came ahead of its reader is out of sight of whoever uses the file otherwise, must be bounded, and must follow a
// socket to another loop, whose thread alone can disarm the request), it gained nothing: echoes of 64 bytes, microseconds of the
// processor compared with the bare epoll loop's in the same pass, medians of 30 passes at 1,000 connections:
//     single requests, each with its buffer                1.061
//     multishot, 256 buffers of 2 KiB for all; 32 of them  1.056; 1.129
//     the epoll engine; Asio                               1.088; 1.014
// and at 100 connections all of them the same. The kernel's part is no larger than the bare loop's in any of them (5.05 to 5.1 us);
// what differs is the 0.3 us that a connection's own stack and objects cost, as they cost Asio.
//
// Rejected: accepting by a multishot request. It is slower: microseconds of the server's processor for a connection that is
// made, echoes a byte and is closed, with 4, 50 and 500 clients at once on another processor, medians:
//     multishot, what came kept for the next accept           37.7   37.1   36.5
//     single requests, tried first only if one was left over  37.1   35.3   35.0
//     single requests, tried first always (what is done)      35.1   34.1   33.4
//     the epoll engine                                        35.0   34.0   34.0
// Each connection wakes the loop when it comes (it sleeps four times as often), where a try finds all that came while it was
// busy. The peer's address takes one more call, but it is no faster without. And the backlog would be the program's: one look
// takes all of 300 connections that wait before any bound can reach the kernel, though nobody asked for them,
// max_connections would leave them where they are, and another process or loop at the same listener could serve them.

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "engine/descriptor.hpp"
#include "engine/engine.hpp"
#include "engine/epoll_set.hpp"
#include "engine/file_pool.hpp"
#include "engine/ring.hpp"
#include "engine/trying_engine.hpp"
#include "kernel/park.hpp"
#include "kernel/scheduler.hpp"

namespace weft::engine_layer {
namespace {

using detail::wait_outcome;
using detail::waiter;

constexpr int restart_call = 512;             // the kernel's ERESTARTSYS: what a call made by one of its threads ends with
constexpr std::size_t longest = 0x7ffff000;   // what Linux transfers at most in one call

short events_of(direction way) noexcept { return way == direction::read ? POLLIN | POLLRDHUP : POLLOUT; }

/// What a request that has completed after all has done that must not be lost.
enum class transfer { nothing, bytes, file };

/// A request that a fiber waits for, on its stack.
struct operation : request {
    operation(waiter& w, registration* r) noexcept : waiting(&w), guard(r) { complete = &operation::completed; }

    static void completed(request& r, int result, unsigned flags) noexcept {
        auto& self = static_cast<operation&>(r);
        self.result = result;
        self.flags = flags;
        self.finished = true;
        if (!self.waiting) return;
        // SAFETY: of a registration that is gone, or about to go, the waiter is marked and has been decided.
        if (self.guard) {
            if (!marked_closed(*self.waiting)) self.guard->ready(*self.waiting);
            return;
        }
        detail::gate none;   // nobody else wakes it
        detail::gate_lock lock(none);
        if (self.waiting->claim(lock)) waiter::wake(*self.waiting);
    }

    waiter* waiting;       // null: nobody waits just now
    registration* guard;   // whose gate decides about the waiter; null: of a file that is not ours
    int result = 0;
    unsigned flags = 0;
    bool finished = false;
};

/// A request that comes again and again for as long as the engine lives.
struct standing_poll : request {
    int file = -1;
    bool armed = false;
};

class io_uring_engine final : public trying_engine {
public:
    explicit io_uring_engine(int doorbell) : files_(home()) {
        doorbell_.file = doorbell;
        doorbell_.complete = [](request& r, int, unsigned flags) noexcept {
            static_cast<standing_poll&>(r).armed = (flags & IORING_CQE_F_MORE) != 0;
        };
        watched_.file = watches_.fd();
        watched_.complete = [](request& r, int, unsigned) noexcept { static_cast<standing_poll&>(r).armed = false; };
    }
    ~io_uring_engine() override {
        while (registration* r = registrations_) r->abandon();
    }

    const char* name() const noexcept override { return "io_uring"; }
    int fd() noexcept override { return ring_.event_fd(); }

    void wait(time_point deadline) noexcept override {
        // One poll for each ring of the bell; one at a time for the watches, which are asked again as long as they are ready.
        if (!doorbell_.armed && ring_.has_room()) {
            ::io_uring_prep_poll_multishot(&prepare(doorbell_), doorbell_.file, POLLIN);
        }
        if (!watched_.armed && ring_.has_room()) {
            ::io_uring_prep_poll_add(&prepare(watched_), watched_.file, POLLIN);
        }
        ring_.wait(doorbell_.armed && watched_.armed ? deadline : time_point::min());   // never deaf
        if (watched_.armed) return;
        watches_.dispatch(time_point::min());
        if (!ring_.has_room()) return;
        // What is ready still must show in fd().
        ::io_uring_prep_poll_add(&prepare(watched_), watched_.file, POLLIN);
        ring_.submit_now();
    }

    io_result accept(descriptor& d, sockaddr* address, socklen_t* size, int flags, time_point deadline) noexcept override {
        if (kernel::cancellation_deliverable()) return io_result::cancelled();
        flags |= SOCK_NONBLOCK | SOCK_CLOEXEC;
        for (;;) {
            if (d.file < 0) return io_result(-EBADF);
            const int fd = ::accept4(d.file, address, size, flags);
            if (fd >= 0) {
                home().operation_done();
                return io_result(fd);
            }
            if (errno == EINTR) continue;
            if (errno != EAGAIN) return io_result(-errno);
            const io_result r = submit(d, direction::read, deadline, "accept", [&](io_uring_sqe& e, int fd) {
                ::io_uring_prep_accept(&e, fd, address, size, flags);
            }, transfer::file);
            if (r.error() != EAGAIN) return r;
        }
    }

    io_result receive(descriptor& d, msghdr& message, int flags, time_point deadline) noexcept override {
        constexpr int understood = MSG_CMSG_CLOEXEC | MSG_NOSIGNAL | MSG_PEEK | MSG_TRUNC;
        if (flags & ~understood) return trying_engine::receive(d, message, flags, deadline);
        std::size_t room = 0;
        for (std::size_t i = 0; i < message.msg_iovlen; ++i) room += message.msg_iov[i].iov_len;
        bool plain = false;
        const auto now = [&](int fd) { return ::recvmsg(fd, &message, flags | MSG_DONTWAIT); };
        const io_result r = receive_by(d, room, deadline, now, [&](io_uring_sqe& e, int fd) {
            plain = d.registered->stream && message.msg_iovlen == 1 && !message.msg_control;   // flags say nothing then
            if (plain) ::io_uring_prep_recv(&e, fd, message.msg_iov->iov_base, std::min(room, longest), flags);
            else ::io_uring_prep_recvmsg(&e, fd, &message, static_cast<unsigned>(flags));
        });
        if (r.error() == EAGAIN) return trying_engine::receive(d, message, flags, deadline);
        if (r.ok() && plain) {
            message.msg_flags = 0;
            message.msg_namelen = 0;
        }
        return r;
    }

    io_result receive_bytes(descriptor& d, void* to, std::size_t room, time_point deadline) noexcept override {
        const auto now = [=](int fd) { return ::recv(fd, to, room, MSG_DONTWAIT); };
        const io_result r = receive_by(d, room, deadline, now, [=](io_uring_sqe& e, int fd) {
            ::io_uring_prep_recv(&e, fd, to, std::min(room, longest), 0);
        });
        return r.error() == EAGAIN ? trying_engine::receive_bytes(d, to, room, deadline) : r;
    }

    io_result poll_fd(int fd, direction way, time_point deadline, const char* what) noexcept override {
        if (kernel::cancellation_deliverable()) return io_result::cancelled();
        if (const ssize_t events = look(fd, way); events >= 0) return io_result(events);
        if (errno != EAGAIN) return io_result(-errno);
        io_result r(-EAGAIN);
        while (r.error() == EAGAIN) {
            make_room();
            waiter self(what, this);
            operation op(self, nullptr);
            ::io_uring_prep_poll_add(&prepare(op), fd, static_cast<unsigned>(events_of(way)));
            const wait_outcome outcome = detail::park(self, deadline);
            settle(op, what, this);
            r = result_of(op, outcome, transfer::nothing);
        }
        if (r.ok() && !(r.value() & (events_of(way) | POLLERR | POLLHUP)))   // half-closed, and nobody asked
            return trying_engine::poll_fd(fd, way, deadline, what);
        return r;
    }

    io_result perform(const file_call& call, const char* what) noexcept override {
        using kind = file_call::kind;
        if (!is_request(call)) return files_.perform(call, what);
        const bool closes = call.what == kind::close;   // who is cancelled must be able to let go of the file
        if (!closes && kernel::cancellation_deliverable()) return io_result::cancelled();
        if (const ssize_t n = try_call(call); n != -EAGAIN) {   // what is cached costs less than a request does
            home().operation_done();
            return io_result(n);
        }
        for (;;) {
            make_room();
            waiter self(what, this);
            operation op(self, nullptr);
            fill(prepare(op), call);
            const wait_outcome outcome = closes ? detail::park_uncancellable(self) : detail::park(self);
            settle(op, what, this);
            // Interrupted or not, the number is free, and may be somebody else's by now.
            if (closes && op.result != -ECANCELED)
                return io_result(op.result == -EINTR || op.result == -restart_call ? 0 : op.result);
            const io_result r = result_of(op, outcome);
            if (r.error() != EAGAIN || op.result == -EAGAIN) return r;
        }
    }

    int add(watch& w) noexcept override { return watches_.add(w); }
    int modify(watch& w) noexcept override { return watches_.modify(w); }
    void remove(watch& w) noexcept override { watches_.remove(w); }

    int attach(registration& r) noexcept override {
        int type = 0;
        socklen_t size = sizeof type;
        r.stream = ::getsockopt(r.file, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
        r.enter(registrations_);
        return 0;
    }
    bool detach(registration& r) noexcept override {
        if (kernel::scheduler::current() != &home()) return false;
        if (r.in_flight > 0 && r.file >= 0) {
            if (ring_.has_room()) {
                io_uring_sqe& e = ring_.entry(nullptr);
                ::io_uring_prep_cancel_fd(&e, r.file, IORING_ASYNC_CANCEL_ALL);
            }
            ring_.submit_now();   // also if there was no room: what stands in the ring holds numbers, not files
        }
        return true;
    }

protected:
    io_result wait_ready(descriptor& d, direction way, time_point deadline, const char* what) noexcept override {
        const int file = d.file;
        const io_result r = submit(d, way, deadline, what, [way](io_uring_sqe& e, int fd) {
            ::io_uring_prep_poll_add(&e, fd, static_cast<unsigned>(events_of(way)));
        }, transfer::nothing);
        if (!r.ok()) return r.error() == EAGAIN ? io_result(0) : r;
        d.registered->expects_data = true;
        if (r.value() & (events_of(way) | POLLERR | POLLHUP)) return io_result(0);
        return wait_watched(file, way, deadline, what);   // half-closed, and nobody asked
    }

private:
    /// An entry for r, to be filled at once. prep functions leave what is set here alone.
    io_uring_sqe& prepare(request& r) noexcept { return ring_.entry(&r); }
    io_uring_sqe& prepare(standing_poll& p) noexcept {
        p.armed = true;
        return ring_.entry(&p);
    }

    /// Until the ring has room for an entry. The kernel takes entries at once but when it is short of memory.
    void make_room() noexcept {
        while (!ring_.has_room()) home().yield();
    }

    /// Receives as the last receive lets expect: at once by now(file), or by a request that fill makes. -EAGAIN: the kernel would
    /// not wait.
    template <class Now, class Fill>
    io_result receive_by(descriptor& d, std::size_t room, time_point deadline, Now now, Fill fill) noexcept {
        if (kernel::cancellation_deliverable()) return io_result::cancelled();
        for (;;) {
            if (d.file < 0) return io_result(-EBADF);
            bool seen_empty = false;
            if (!d.registered || d.registered->expects_data) {
                const ssize_t n = now(d.file);
                if (n >= 0) {
                    if (d.registered) d.registered->expects_data = !d.registered->stream || static_cast<std::size_t>(n) >= room;
                    home().operation_done();
                    return io_result(n);
                }
                if (errno == EINTR) continue;
                if (errno != EAGAIN) return io_result(-errno);
                seen_empty = true;
            }
            return submit(d, direction::read, deadline, "recv", [&](io_uring_sqe& e, int fd) {
                fill(e, fd);
                if (seen_empty) e.ioprio |= IORING_RECVSEND_POLL_FIRST;
            });
        }
    }

    /// Submits what `fill` makes of an entry and waits for it. -EAGAIN: the kernel would not wait, or it was taken from
    /// us; try again. d may be gone if it fails otherwise.
    template <class Fill>
    io_result submit(descriptor& d, direction way, time_point deadline, const char* what, Fill fill,
                     transfer moves = transfer::bytes) noexcept {
        make_room();
        if (d.file < 0) return io_result(-EBADF);
        if (!d.registered || !d.registered->belongs_to(*this))
            if (const int error = d.move_to(*this); error < 0) return io_result(error);
        registration& r = *d.registered;
        waiter self(what, &d);
        if (!r.enter_waiter(way, self)) return io_result(-EALREADY);
        operation op(self, &r);
        fill(prepare(op), d.file);
        ++r.in_flight;
        will_touch(d, r);
        const wait_outcome outcome = detail::park(self, deadline);
        home().look_ahead();
        // SAFETY: r is there as long as this operation is.
        const bool closed = marked_closed(self) || !r.leave_waiter(way, self);
        settle(op, what, closed ? nullptr : &d);
        if (way == direction::read)
            r.expects_data = !r.stream || op.result == -EAGAIN || (op.flags & IORING_CQE_F_SOCK_NONEMPTY) != 0;
        const bool closed_by_now = closed || r.retired();
        r.operation_over();   // r may be gone
        if (closed) {
            if (moves == transfer::file && op.result >= 0) ::close(op.result);
            return io_result(-EBADF);
        }
        if (closed_by_now && op.result == -EAGAIN) return io_result(-EBADF);   // to be tried again no more
        return result_of(op, outcome, moves);
    }

    /// Has the kernel give op up, if it has it still. Nobody else may decide about op's waiter any more.
    void settle(operation& op, const char* what, const void* object) noexcept {
        op.waiting = nullptr;
        op.guard = nullptr;
        if (!op.finished) [[unlikely]] give_up(op, what, object);
    }
    /// Apart, so that it takes no room in the frame of a fiber that waits.
    WEFT_NOINLINE void give_up(operation& op, const char* what, const void* object) noexcept {
        make_room();
        if (op.finished) return;
        io_uring_sqe& e = ring_.entry(nullptr);
        ::io_uring_prep_cancel(&e, &op, 0);
        e.flags |= IOSQE_CQE_SKIP_SUCCESS;
        waiter again(what, object);
        op.waiting = &again;
        detail::park_uncancellable(again);
    }

    static io_result result_of(const operation& op, wait_outcome outcome, transfer moves = transfer::bytes) noexcept {
        const bool given_up = op.result == -ECANCELED || op.result == -EINTR || op.result == -restart_call ||
                              (moves == transfer::nothing && outcome != wait_outcome::woken);
        if (!given_up) return io_result(op.result);
        if (outcome == wait_outcome::cancelled) return io_result::cancelled();
        if (outcome == wait_outcome::timed_out) return io_result::timed_out();
        return io_result(-EAGAIN);
    }

    /// What the kernel does without a thread, or can be interrupted. The rest io_uring would make on threads of the kernel's,
    /// which are slower to wake than the pool's: a write of 4 KiB to the page cache of ext4 took 45 us and takes 1.5, one that
    /// is brought to the disk 180 and 100, 64 of those at a time 34 each and 22. (Truncating it can do since Linux 6.9 only;
    /// whole files are more calls than one.)
    static bool is_request(const file_call& c) noexcept {
        using kind = file_call::kind;
        return c.what == kind::read || (c.what == kind::write && c.past_cache) || c.what == kind::open || c.what == kind::close;
    }

    static void fill(io_uring_sqe& e, const file_call& c) noexcept {
        using kind = file_call::kind;
        const auto size = static_cast<unsigned>(std::min(c.size, longest));
        const auto offset = static_cast<__u64>(c.offset);   // -1: the file's own position, here as there
        switch (c.what) {
            case kind::open:
                ::io_uring_prep_openat(&e, c.fd, c.path, c.flags | O_CLOEXEC, c.mode);
                e.flags |= IOSQE_ASYNC;   // tried at once it would open a pipe that nobody writes to as if non-blocking
                return;
            case kind::read: return ::io_uring_prep_read(&e, c.fd, c.buffer, size, offset);
            case kind::write: return ::io_uring_prep_write(&e, c.fd, c.buffer, size, offset);
            case kind::close: return ::io_uring_prep_close(&e, c.fd);
            default: break;
        }
        ::io_uring_prep_nop(&e);
    }

    ring ring_;
    standing_poll doorbell_;
    standing_poll watched_;
    epoll_set watches_;
    file_pool files_;
    registration* registrations_ = nullptr;
};

}  // namespace

std::unique_ptr<engine> make_io_uring_engine(int doorbell) { return std::make_unique<io_uring_engine>(doorbell); }

}  // namespace weft::engine_layer
