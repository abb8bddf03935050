#include "io/socket_state.hpp"

#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "engine/sigpipe.hpp"
#include "kernel/scheduler.hpp"

namespace weft::detail {

using engine_layer::engine;
using engine_layer::io_result;

namespace {

[[noreturn]] WEFT_NOINLINE void refuse_without_loop(const char* call) { throw no_running_loop(call); }

/// The engine of this thread's loop; null in a loop callback, where only calls that need not wait work.
engine* engine_for(const char* call) {
    kernel::scheduler* s = kernel::scheduler::current();
    if (!s) [[unlikely]] refuse_without_loop(call);
    return s->may_park() ? s->engine : nullptr;
}

/// The system call itself, which the descriptor's non-blocking mode keeps from waiting.
template <class Attempt>
io_result at_once(int fd, Attempt attempt) {
    if (fd < 0) return io_result(-EBADF);
    for (;;) {
        const ssize_t result = attempt(fd);
        if (result >= 0) return io_result(result);
        if (errno != EINTR) return io_result(-errno);
    }
}

bool would_block(io_result r) noexcept { return r.error() == EAGAIN || r.error() == EWOULDBLOCK; }

endpoint name_of(int fd, int (*get)(int, sockaddr*, socklen_t*) noexcept) noexcept {
    endpoint result;
    socklen_t size = endpoint::capacity;
    if (fd < 0 || get(fd, result.data(), &size) < 0) return {};
    result.resize(size);
    return result;
}

[[noreturn]] WEFT_NOINLINE void refuse_waitall(const char* call) {
    throw std::invalid_argument(std::string(call) + ": MSG_WAITALL is not supported; see stream::read_exactly");
}

endpoint destination(const msghdr& m) noexcept {
    endpoint result;
    if (m.msg_namelen > endpoint::capacity) return result;
    std::memcpy(result.data(), m.msg_name, m.msg_namelen);
    result.resize(m.msg_namelen);
    return result;
}

[[noreturn]] WEFT_NOINLINE void send_failed(io_result r, const char* call, const socket_state& s, const msghdr& m) {
    throw_failure(r, call, m.msg_name ? destination(m).to_string() : s.where());
}

// In a loop callback, or with MSG_DONTWAIT. Apart, so that they take no room in the frame of a fiber that waits.

WEFT_NOINLINE std::size_t receive_at_once(socket_state& s, msghdr& m, int flags, const char* call) {
    check_cancelled();
    const io_result r = at_once(s.fd(), [&](int fd) { return ::recvmsg(fd, &m, flags); });
    if (would_block(r) && !(flags & MSG_DONTWAIT)) throw no_running_task(call);
    if (!r.ok()) throw_failure(r, call, s);
    return static_cast<std::size_t>(r.value());
}

WEFT_NOINLINE std::size_t receive_at_once(socket_state& s, std::span<std::byte> to, const char* call) {
    iovec one{to.data(), to.size()};
    msghdr m{};
    m.msg_iov = &one;
    m.msg_iovlen = 1;
    return receive_at_once(s, m, 0, call);
}

WEFT_NOINLINE std::size_t send_at_once(socket_state& s, const msghdr& m, int flags, const char* call) {
    check_cancelled();
    const io_result r = at_once(s.fd(), [&](int fd) { return ::sendmsg(fd, &m, flags); });
    if (would_block(r) && !(flags & MSG_DONTWAIT)) throw no_running_task(call);
    if (!r.ok()) send_failed(r, call, s, m);
    return static_cast<std::size_t>(r.value());
}

}  // namespace

void socket_state::end_connection() noexcept {
    if (auto ended = std::exchange(connection, nullptr)) ended->forget_descriptor();
}

int socket_state::close() noexcept {
    end_connection();
    return engine_layer::close(*file);
}

std::string socket_state::where() const {
    if (peer.size()) return peer.to_string();
    if (const endpoint remote = name_of(fd(), ::getpeername); remote.size()) return remote.to_string();
    if (const endpoint local = name_of(fd(), ::getsockname); local.size()) return local.to_string();
    return fd() < 0 ? "closed socket" : "descriptor " + std::to_string(fd());
}

void socket_state_closer::operator()(socket_state* s) const noexcept {
    s->close();
    if (s->users == 0) delete s;
    else s->orphaned = true;
}

void throw_errno(int error, const char* call, const std::string& where) {
    std::string text(call);
    if (!where.empty()) text.append(" ").append(where);
    throw std::system_error(error, std::generic_category(), text);
}

void throw_errno(int error, const char* call, const char* where) { throw_errno(error, call, std::string(where)); }
void throw_errno(int error, const char* call, const socket_state& s) { throw_errno(error, call, s.where()); }
void throw_errno(int error, const char* call, const endpoint& where) { throw_errno(error, call, where.to_string()); }

void throw_failure(io_result r, const char* call, const std::string& where) {
    if (r.is_cancelled()) throw_cancelled();
    if (r.is_timed_out()) throw timeout_error(call);
    if (r.error() == EALREADY)
        throw std::logic_error(std::string(call) + ' ' + where +
                               ": another task waits in this direction already; let one task read and one task write");
    throw_errno(r.error(), call, where);
}

void throw_failure(io_result r, const char* call, const socket_state& s) { throw_failure(r, call, s.where()); }

std::size_t receive_bytes(socket_state& s, std::span<std::byte> to, const char* call) {
    engine* e = engine_for(call);
    if (!e) [[unlikely]] return receive_at_once(s, to, call);
    const inside<socket_state> guard(s);
    const io_result r = e->receive_bytes(*s.file, to.data(), to.size(), time_point::max());
    if (!r.ok()) throw_failure(r, call, s);
    return static_cast<std::size_t>(r.value());
}

std::size_t receive_message(socket_state& s, msghdr& m, int flags, const char* call) {
    if (flags & MSG_WAITALL) [[unlikely]] refuse_waitall(call);
    flags |= MSG_CMSG_CLOEXEC;
    engine* e = engine_for(call);
    if (!e || flags & MSG_DONTWAIT) [[unlikely]] return receive_at_once(s, m, flags, call);
    const inside<socket_state> guard(s);
    const io_result r = e->receive(*s.file, m, flags, time_point::max());
    if (!r.ok()) throw_failure(r, call, s);
    return static_cast<std::size_t>(r.value());
}

std::size_t send_message(socket_state& s, const msghdr& m, int flags, const char* call) {
    flags |= MSG_NOSIGNAL;
    engine* e = engine_for(call);
    if (!e || flags & MSG_DONTWAIT) [[unlikely]] return send_at_once(s, m, flags, call);
    const inside<socket_state> guard(s);
    const io_result r = e->send(*s.file, m, flags, time_point::max());
    if (!r.ok()) send_failed(r, call, s, m);
    return static_cast<std::size_t>(r.value());
}

socket_state_ptr adopt_own(int fd) {
    engine_layer::descriptor_ptr file;
    try {
        file = engine_layer::adopt(fd);
    } catch (...) {
        ::close(fd);
        throw;
    }
    return socket_state_ptr(new socket_state(std::move(file)));
}

socket_state_ptr accept_connection(socket_state& listener, const char* call, time_point deadline) {
    engine* e = engine_for(call);
    const inside<socket_state> guard(listener);
    endpoint peer;
    socklen_t size = endpoint::capacity;
    io_result r = 0;
    if (e) {
        r = e->accept(*listener.file, peer.data(), &size, 0, deadline);
    } else {
        r = at_once(listener.fd(),
                    [&](int fd) { return ::accept4(fd, peer.data(), &size, SOCK_NONBLOCK | SOCK_CLOEXEC); });
        if (would_block(r)) throw no_running_task(call);
    }
    if (r.is_timed_out()) return nullptr;
    if (!r.ok()) throw_failure(r, call, listener);
    socket_state_ptr made = adopt_own(static_cast<int>(r.value()));
    peer.resize(size);
    made->peer = peer;
    return made;
}

std::size_t send_file(socket_state& s, int file, off_t* offset, std::size_t count, const char* call) {
    engine* e = engine_for(call);
    const inside<socket_state> guard(s);
    io_result r = 0;
    if (e) {
        r = e->send_file(*s.file, file, offset, count, time_point::max());
    } else {
        r = at_once(s.fd(), [&](int fd) {
            return engine_layer::without_sigpipe([&] { return ::sendfile(fd, file, offset, count); });
        });
        if (would_block(r)) throw no_running_task(call);
    }
    if (!r.ok()) throw_failure(r, call, s);
    return static_cast<std::size_t>(r.value());
}

void connect_to(socket_state& s, const endpoint& peer, const char* call) {
    engine* e = engine_for(call);
    const inside<socket_state> guard(s);
    // The system would go on with the attempt that was cancelled, and not look at the address.
    if (s.connecting && !(s.peer == peer)) throw_errno(EALREADY, call, s.peer);
    check_cancelled();   // before anything is under way
    const auto size = static_cast<socklen_t>(peer.size());
    const io_result r = e ? e->connect(*s.file, peer.data(), size, time_point::max())
                          : at_once(s.fd(), [&](int fd) { return ::connect(fd, peer.data(), size); });
    if (!e && would_block(r)) throw no_running_task(call);   // a Unix socket whose listener has no room: not begun
    const bool under_way = !e && (r.error() == EINPROGRESS || (r.error() == EALREADY && s.connecting));
    const bool another_waits = r.error() == EALREADY && !under_way;
    if (under_way || (r.is_cancelled() && peer.family() != AF_UNIX)) {   // a Unix socket connects at once, or has not begun
        s.connecting = true;
        s.peer = peer;
    } else if (s.connecting && !another_waits) {
        s.connecting = false;
        s.peer = {};
    }
    if (under_way) throw no_running_task(call);
    if (!r.ok()) throw_failure(r, call, peer.to_string());
    s.peer = peer;
}

}  // namespace weft::detail
