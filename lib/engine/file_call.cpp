#include "engine/file_call.hpp"

#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

namespace weft::engine_layer {
namespace {

ssize_t once(const file_call& c) noexcept {
    using kind = file_call::kind;
    const bool at_position = c.offset == file_call::own_position;
    switch (c.what) {
        case kind::open: return ::openat(c.fd, c.path, c.flags | O_CLOEXEC, c.mode);
        case kind::read: return at_position ? ::read(c.fd, c.buffer, c.size) : ::pread(c.fd, c.buffer, c.size, c.offset);
        case kind::write: return at_position ? ::write(c.fd, c.buffer, c.size) : ::pwrite(c.fd, c.buffer, c.size, c.offset);
        case kind::sync: return ::fsync(c.fd);
        case kind::data_sync: return ::fdatasync(c.fd);
        case kind::stat: return ::statx(c.fd, c.path, c.flags, STATX_BASIC_STATS | STATX_BTIME, c.status);
        case kind::truncate: return ::ftruncate(c.fd, c.offset);
        case kind::close: return ::close(c.fd);
    }
    errno = EINVAL;
    return -1;
}

}  // namespace

ssize_t make_call(const file_call& call) noexcept {
    for (;;) {
        const ssize_t result = once(call);
        if (result >= 0) return result;
        if (errno != EINTR) return -errno;
        if (call.what == file_call::kind::close) return 0;
    }
}

ssize_t try_call(const file_call& call) noexcept {
    const bool reads = call.what == file_call::kind::read;
    if (!reads && call.what != file_call::kind::write) return -EAGAIN;
    // preadv2 takes -1 for the file's own position, as file_call does.
    const iovec whole{call.buffer, call.size};
    const ssize_t result = reads ? ::preadv2(call.fd, &whole, 1, call.offset, RWF_NOWAIT)
                                 : ::pwritev2(call.fd, &whole, 1, call.offset, RWF_NOWAIT);
    if (result >= 0) return result;
    // Of EOPNOTSUPP and the like the call itself will know better.
    return errno == EBADF || errno == EFAULT ? -errno : -EAGAIN;
}

}  // namespace weft::engine_layer
