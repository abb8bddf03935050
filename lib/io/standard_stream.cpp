// stdin_stream, stdout_stream, stderr_stream: streams over descriptors that other processes share.
//
// O_NONBLOCK belongs to the open file, and so to every process that has it: set on a terminal, it makes the shell's and its other
// programs' calls fail, also after this one has ended. So it is never set on them:
//  - A pipe, a FIFO, a terminal is opened again through /proc/self/fd, which gives an open file of our own.
//  - A socket cannot be, but takes MSG_DONTWAIT for each call.
//  - Whatever else, and what may not be opened again (a terminal of another user, no /proc), is asked with poll(2) first, and
//    then read from or written to, little at a time. That can hold the thread up only where another process takes the
//    bytes, or the room, in between.
//  - Files on disks have no readiness: the engine reads and writes them (file_call), at the position that the processes share.
//
// Rejected: setting O_NONBLOCK and putting it back at the end (a program that is killed does not); a thread that reads (it cannot
// be cancelled, and takes bytes that nobody will get); not opening pipes again (reading one that another process reads, too,
// may then block).

#include <fcntl.h>
#include <limits.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include <weft/pipe.hpp>

#include "engine/poll_now.hpp"
#include "io/file_state.hpp"
#include "io/one_way_transport.hpp"

namespace weft {
namespace {

using detail::throw_errno;
using engine_layer::direction;
using engine_layer::file_call;

bool ready(int fd, short event) noexcept {
    pollfd p{fd, event, 0};
    if (engine_layer::poll_now(p) != 0) return true;   // also if poll fails: then the call says why
    errno = EAGAIN;
    return false;
}

/// On a duplicate of the descriptor, so that closing the stream leaves that open.
class shared_socket_transport final : public detail::one_way_transport {
public:
    using one_way_transport::one_way_transport;

    std::size_t read(std::span<std::byte> to, const char* call) override {
        require(direction::read, call);
        return try_or_wait(call, [&](int fd) { return ::recv(fd, to.data(), to.size(), MSG_DONTWAIT); });
    }
    std::size_t write(std::span<const iovec> pieces, const char* call) override {
        require(direction::write, call);
        msghdr m{};
        m.msg_iov = const_cast<iovec*>(pieces.data());   // SAFETY: sendmsg only reads through it
        m.msg_iovlen = pieces.size();
        return try_or_wait(call, [&](int fd) { return ::sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL); });
    }
};

class shared_file_transport final : public detail::one_way_transport {
public:
    using one_way_transport::one_way_transport;

    std::size_t read(std::span<std::byte> to, const char* call) override {
        require(direction::read, call);
        return try_or_wait(call, [&](int fd) { return ready(fd, POLLIN) ? ::read(fd, to.data(), to.size()) : -1; });
    }
    std::size_t write(std::span<const iovec> pieces, const char* call) override {
        require(direction::write, call);
        // What a pipe that is ready takes without waiting.
        const iovec some{pieces.front().iov_base, std::min<std::size_t>(pieces.front().iov_len, PIPE_BUF)};
        return try_or_wait(call, [&](int fd) { return ready(fd, POLLOUT) ? detail::write_quietly(fd, {&some, 1}) : -1; });
    }
};

class disk_file_transport final : public detail::one_way_transport {
public:
    using one_way_transport::one_way_transport;

    std::size_t read(std::span<std::byte> to, const char* call) override {
        require(direction::read, call);
        return perform(file_call::read(engine_layer::fd_of(*file_), to.data(), to.size()), call);
    }
    std::size_t write(std::span<const iovec> pieces, const char* call) override {
        require(direction::write, call);
        const iovec& first = pieces.front();
        return perform(file_call::write(engine_layer::fd_of(*file_), first.iov_base, first.iov_len), call);
    }
    void close() override {
        closed_ = true;   // a call that is inside still uses the descriptor; it goes with this object
        if (inside_ == 0) one_way_transport::close();
    }

private:
    std::size_t perform(const file_call& c, const char* call) {
        if (closed_) throw_errno(EBADF, call, name_);
        ++inside_;
        const engine_layer::io_result r = engine_layer::current_engine(call).perform(c, call);
        --inside_;
        if (!r.ok()) detail::throw_failure(r, call, name_);
        return static_cast<std::size_t>(r.value());
    }

    bool closed_ = false;
    int inside_ = 0;
};

/// What an open file can be opened again as, with a mode of its own; else -1.
int open_again(int fd, mode_t kind, direction way) noexcept {
    unsigned number = 0;
    // Opening the controlling side of a terminal again would make another terminal.
    const bool terminal = S_ISCHR(kind) && ::isatty(fd) && ::ioctl(fd, TIOCGPTN, &number) < 0;
    if (!S_ISFIFO(kind) && !terminal) return -1;
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    const int flags = way == direction::read ? O_RDONLY : O_WRONLY;
    return ::open(path.c_str(), flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

stream standard_stream(int fd, direction way, std::size_t limit, const char* call, const char* name) {
    struct stat kind;
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0 || ::fstat(fd, &kind) < 0) throw_errno(errno, call, name);
    if ((flags & O_ACCMODE) == (way == direction::read ? O_WRONLY : O_RDONLY))
        throw_errno(EBADF, call, std::string(name) + (way == direction::read ? ", which is not open for reading"
                                                                              : ", which is not open for writing"));
    if (const int own = open_again(fd, kind.st_mode, way); own >= 0)
        return stream(detail::make_pipe_transport(engine_layer::adopt(own), way, name), limit);

    const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) throw_errno(errno, call, name);
    auto file = engine_layer::adopt_shared(copy);
    std::unique_ptr<detail::transport> below;
    if (S_ISSOCK(kind.st_mode)) below = std::make_unique<shared_socket_transport>(std::move(file), way, name);
    else if (!detail::has_readiness(copy)) below = std::make_unique<disk_file_transport>(std::move(file), way, name);
    else below = std::make_unique<shared_file_transport>(std::move(file), way, name);
    return stream(std::move(below), limit);
}

}  // namespace

stream stdin_stream(std::size_t limit) {
    return standard_stream(STDIN_FILENO, direction::read, limit, "stdin_stream", "standard input");
}

stream stdout_stream() {
    return standard_stream(STDOUT_FILENO, direction::write, 1, "stdout_stream", "standard output");
}

stream stderr_stream() {
    return standard_stream(STDERR_FILENO, direction::write, 1, "stderr_stream", "standard error");
}

}  // namespace weft
