#include "engine/file_call.hpp"

#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

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

namespace {

/// Opens a regular file for reading if all of its path is in the kernel's cache of names.
///
/// What the path leads to is looked up first, and opened only if it is a regular file: of others the open itself may wait (a
/// FIFO's for the other end), or do something (a tape's). It is opened through /proc, so that it is the same file. Files to be
/// written are left to the call: an overlay copies them first.
ssize_t open_cached(const file_call& call) noexcept {
    constexpr int unlike = O_CREAT | O_TRUNC | O_PATH | O_ASYNC | (O_TMPFILE & ~O_DIRECTORY);
    if ((call.flags & O_ACCMODE) != O_RDONLY || (call.flags & unlike)) return -EAGAIN;
    ::open_how how{};
    how.flags = O_PATH | O_CLOEXEC | static_cast<unsigned>(call.flags & (O_NOFOLLOW | O_DIRECTORY));
    how.resolve = RESOLVE_CACHED;
    const int found = static_cast<int>(::syscall(SYS_openat2, call.fd, call.path, &how, sizeof how));
    if (found < 0) return errno == ENOENT ? -ENOENT : -EAGAIN;   // of other failures the call itself will know better
    struct statx status;
    int opened = -1;
    if (::statx(found, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &status) == 0 && S_ISREG(status.stx_mode)) {
        char path[40];
        std::snprintf(path, sizeof path, "/proc/thread-self/fd/%d", found);
        // O_NONBLOCK: whoever has a lease on the file is not waited for.
        opened = ::open(path, (call.flags & ~O_NOFOLLOW) | O_CLOEXEC | O_NONBLOCK);
    }
    ::close(found);
    if (opened < 0) return -EAGAIN;
    if (call.flags & O_NONBLOCK || ::fcntl(opened, F_SETFL, call.flags) == 0) return opened;
    ::close(opened);
    return -EAGAIN;
}

}  // namespace

ssize_t try_call(const file_call& call) noexcept {
    if (call.what == file_call::kind::open) return open_cached(call);
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
