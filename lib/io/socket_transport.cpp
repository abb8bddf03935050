#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "io/socket_state.hpp"
#include "io/transport.hpp"

namespace weft::detail {
namespace {

class socket_transport final : public transport {
public:
    explicit socket_transport(weft::socket s) noexcept : socket_(std::move(s)) {}

    std::size_t read(std::span<std::byte> to, const char* call) override {
        return receive_bytes(open(call), to, call);
    }

    std::size_t write(std::span<const iovec> pieces, const char* call) override {
        msghdr m{};
        m.msg_iov = const_cast<iovec*>(pieces.data());   // SAFETY: sendmsg only reads through it
        m.msg_iovlen = pieces.size();
        return send_message(open(call), m, 0, call);
    }

    std::ptrdiff_t write_now(std::span<const iovec> pieces) noexcept override {
        if (!socket_.is_open()) return -1;
        msghdr m{};
        m.msg_iov = const_cast<iovec*>(pieces.data());   // SAFETY: sendmsg only reads through it
        m.msg_iovlen = pieces.size();
        ssize_t count = 0;
        do count = ::sendmsg(socket_.native_handle(), &m, MSG_DONTWAIT | MSG_NOSIGNAL);
        while (count < 0 && errno == EINTR);
        return count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? 0 : count;
    }

    std::ptrdiff_t read_now(std::span<std::byte> to) noexcept override {
        if (!socket_.is_open()) return -1;
        ssize_t count = 0;
        do count = ::recv(socket_.native_handle(), to.data(), to.size(), MSG_DONTWAIT);
        while (count < 0 && errno == EINTR);
        return count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? 0 : count;
    }

    void write_eof(const char* call) override {
        socket_state& s = open(call);
        if (::shutdown(s.fd(), SHUT_WR) < 0) throw_errno(errno, call, s);
    }

    void close() override { socket_.close(); }
    endpoint local_endpoint() const override { return socket_.local_endpoint(); }
    endpoint remote_endpoint() const override { return socket_.remote_endpoint(); }
    weft::socket* get_socket() noexcept override { return &socket_; }

private:
    socket_state& open(const char* call) {
        if (!socket_.state()) throw_errno(EBADF, call, "closed socket");   // get_socket() gave it away
        return *socket_.state();
    }

    weft::socket socket_;
};

}  // namespace

std::unique_ptr<transport> make_socket_transport(weft::socket connected) {
    return std::make_unique<socket_transport>(std::move(connected));
}

}  // namespace weft::detail
