#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include <weft/detail/task_core.hpp>
#include <weft/socket.hpp>

#include "engine/descriptor.hpp"
#include "io/socket_state.hpp"

namespace weft {
namespace {

using detail::socket_state;
using detail::throw_errno;

socket_state& open_state(const std::unique_ptr<socket_state, detail::socket_state_closer>& s, const char* call) {
    if (!s) throw_errno(EBADF, call, "closed socket");
    return *s;
}

[[noreturn]] void option_failed(int error, const char* call, int level, int name, const socket_state& s) {
    throw_errno(error, call, std::to_string(level) + '/' + std::to_string(name) + " of " + s.where());
}

iovec piece(std::span<const std::byte> bytes) noexcept {
    return {const_cast<std::byte*>(bytes.data()), bytes.size()};   // SAFETY: sendmsg only reads through it
}

}  // namespace

socket::socket() noexcept = default;
socket::socket(socket&&) noexcept = default;
socket& socket::operator=(socket&&) noexcept = default;
socket::~socket() = default;

socket::socket(detail::socket_state* state) noexcept : state_(state) {}

socket::socket(int domain, int type, int protocol) {
    const int fd = ::socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    if (fd < 0) throw_errno(errno, "socket", "of domain " + std::to_string(domain) + ", type " + std::to_string(type));
    state_ = detail::adopt_own(fd);
}

socket::socket(int fd) {
    int type = 0;
    socklen_t size = sizeof type;
    if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
        throw_errno(errno, "socket", "from descriptor " + std::to_string(fd));
    auto made = std::make_unique<socket_state>();
    made->own(engine_layer::adopt(fd));   // if it throws, fd is still the caller's
    state_.reset(made.release());
}

void socket::bind(const endpoint& local) {
    socket_state& s = open_state(state_, "socket::bind");
    if (::bind(s.fd(), local.data(), static_cast<socklen_t>(local.size())) < 0)
        throw_errno(errno, "socket::bind", local);
}

void socket::listen(int backlog) {
    socket_state& s = open_state(state_, "socket::listen");
    if (::listen(s.fd(), backlog) < 0) throw_errno(errno, "socket::listen", s);
}

socket socket::accept(endpoint* peer) {
    detail::idle_region idle;
    auto made = detail::accept_connection(open_state(state_, "socket::accept"), "socket::accept");
    if (peer) *peer = made->peer;
    return socket(made.release());
}

void socket::connect(const endpoint& peer) {
    detail::connect_to(open_state(state_, "socket::connect"), peer, "socket::connect");
}

std::size_t socket::recv(std::span<std::byte> to, int flags) {
    socket_state& s = open_state(state_, "socket::recv");
    if (flags == 0) return detail::receive_bytes(s, to, "socket::recv");
    iovec one = piece(to);
    msghdr m{};
    m.msg_iov = &one;
    m.msg_iovlen = 1;
    return detail::receive_message(s, m, flags, "socket::recv");
}

std::pair<std::size_t, endpoint> socket::recv_from(std::span<std::byte> to, int flags) {
    socket_state& s = open_state(state_, "socket::recv_from");
    std::pair<std::size_t, endpoint> result;
    iovec one = piece(to);
    msghdr m{};
    m.msg_iov = &one;
    m.msg_iovlen = 1;
    m.msg_name = result.second.data();
    m.msg_namelen = endpoint::capacity;
    result.first = detail::receive_message(s, m, flags, "socket::recv_from");
    result.second.resize(m.msg_namelen);
    return result;
}

std::size_t socket::recv_msg(msghdr& message, int flags) {
    return detail::receive_message(open_state(state_, "socket::recv_msg"), message, flags, "socket::recv_msg");
}

std::size_t socket::send(std::span<const std::byte> from, int flags) {
    socket_state& s = open_state(state_, "socket::send");
    iovec one = piece(from);
    msghdr m{};
    m.msg_iov = &one;
    m.msg_iovlen = 1;
    return detail::send_message(s, m, flags, "socket::send");
}

std::size_t socket::send_to(std::span<const std::byte> from, const endpoint& peer, int flags) {
    socket_state& s = open_state(state_, "socket::send_to");
    iovec one = piece(from);
    msghdr m{};
    m.msg_iov = &one;
    m.msg_iovlen = 1;
    m.msg_name = const_cast<sockaddr*>(peer.data());   // SAFETY: sendmsg only reads through it
    m.msg_namelen = static_cast<socklen_t>(peer.size());
    return detail::send_message(s, m, flags, "socket::send_to");
}

std::size_t socket::send_msg(const msghdr& message, int flags) {
    return detail::send_message(open_state(state_, "socket::send_msg"), message, flags, "socket::send_msg");
}

std::size_t socket::sendfile(int file, off_t* offset, std::size_t count) {
    return detail::send_file(open_state(state_, "socket::sendfile"), file, offset, count, "socket::sendfile");
}

void socket::shutdown(int how) {
    socket_state& s = open_state(state_, "socket::shutdown");
    if (::shutdown(s.fd(), how) < 0) throw_errno(errno, "socket::shutdown", s);
}

void socket::close() {
    if (!state_ || state_->fd() < 0) return;
    const std::string where = state_->peer.to_string();   // afterwards nobody can tell
    if (const int error = state_->close(); error < 0) throw_errno(-error, "socket::close", where);
}

void socket::set_option(int level, int name, int value) { set_option(level, name, &value, sizeof value); }

void socket::set_option(int level, int name, const void* value, std::size_t size) {
    socket_state& s = open_state(state_, "socket::set_option");
    // From here on reads may end at the records of such a layer (TLS in the kernel), whatever the engine had found out.
    if (level == IPPROTO_TCP && name == TCP_ULP && s.file->registered) s.file->registered->short_read_empties = false;
    if (::setsockopt(s.fd(), level, name, value, static_cast<socklen_t>(size)) < 0)
        option_failed(errno, "socket::set_option", level, name, s);
}

int socket::get_option(int level, int name) const {
    int value = 0;
    get_option(level, name, &value, sizeof value);
    return value;
}

std::size_t socket::get_option(int level, int name, void* value, std::size_t size) const {
    socket_state& s = open_state(state_, "socket::get_option");
    auto length = static_cast<socklen_t>(size);
    if (::getsockopt(s.fd(), level, name, value, &length) < 0)
        option_failed(errno, "socket::get_option", level, name, s);
    return length;
}

endpoint socket::local_endpoint() const {
    socket_state& s = open_state(state_, "socket::local_endpoint");
    endpoint result;
    socklen_t size = endpoint::capacity;
    if (::getsockname(s.fd(), result.data(), &size) < 0) throw_errno(errno, "socket::local_endpoint", s);
    result.resize(size);
    return result;
}

endpoint socket::remote_endpoint() const {
    socket_state& s = open_state(state_, "socket::remote_endpoint");
    endpoint result;
    socklen_t size = endpoint::capacity;
    if (::getpeername(s.fd(), result.data(), &size) == 0) {
        result.resize(size);
        return result;
    }
    // The system forgets the peer of a connection that was reset; we have not.
    if (errno == ENOTCONN && s.peer.size() && !s.connecting) return s.peer;
    throw_errno(errno, "socket::remote_endpoint", s);
}

int socket::native_handle() const noexcept { return state_ ? state_->fd() : -1; }

int socket::release() noexcept {
    if (!state_ || state_->fd() < 0) return -1;
    state_->end_connection();
    if (state_->users > 0) {
        // Calls are inside: their descriptor is closed under them, and the caller gets another one of the same file.
        const int copy = ::fcntl(state_->fd(), F_DUPFD_CLOEXEC, 0);
        state_.reset();
        return copy;
    }
    const std::unique_ptr<socket_state> state(state_.release());
    return engine_layer::release(std::move(state->file));
}

namespace {

void wait_for(int fd, engine_layer::direction way, const char* call) {
    const auto r = engine_layer::current_engine(call).poll_fd(fd, way, detail::time_point::max(), call);
    if (!r.ok()) detail::throw_failure(r, call, "descriptor " + std::to_string(fd));
}

}  // namespace

void wait_readable(int fd) { wait_for(fd, engine_layer::direction::read, "wait_readable"); }
void wait_writable(int fd) { wait_for(fd, engine_layer::direction::write, "wait_writable"); }

}  // namespace weft
