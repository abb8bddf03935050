#include "engine/file_call.hpp"

#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

#include "engine/whole_file.hpp"

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
        case kind::load: case kind::store: break;
    }
    errno = EINVAL;
    return -1;
}

}  // namespace

ssize_t make_call(const file_call& call) noexcept {
    if (call.what == file_call::kind::load) return call.whole->load();
    if (call.what == file_call::kind::store) return call.whole->store();
    for (;;) {
        const ssize_t result = once(call);
        if (result >= 0) return result;
        if (errno != EINTR) return -errno;
        if (call.what == file_call::kind::close) return 0;
    }
}

namespace {

bool is_regular(int fd, struct statx& status) noexcept {
    return ::statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_SIZE, &status) == 0 && S_ISREG(status.stx_mode);
}

}  // namespace

// What the path leads to is looked up first, and opened only if it is a regular file: of others the open itself may wait (a
// FIFO's for the other end), or do something (a tape's). Both times the path is followed; should something else have come into
// its place in between, it is let go of. Rejected: opening what was found through /proc, which takes as long as all the rest.
ssize_t open_regular(const file_call& call, bool may_wait, struct statx& status) noexcept {
    ::open_how how{};
    how.resolve = may_wait ? 0 : RESOLVE_CACHED;   // all of the path is in the kernel's cache of names
    const auto open_as = [&](int flags) {
        if (may_wait) return ::openat(call.fd, call.path, flags | O_CLOEXEC);
        how.flags = static_cast<unsigned>(flags | O_CLOEXEC);
        return static_cast<int>(::syscall(SYS_openat2, call.fd, call.path, &how, sizeof how));
    };
    // Of what failed without waiting the call itself will know better, but a name that is known not to be there.
    const auto failed = [may_wait](int error) -> ssize_t { return may_wait || error == ENOENT ? -error : -EAGAIN; };
    const int found = open_as(O_PATH | (call.flags & (O_NOFOLLOW | O_DIRECTORY)));
    if (found < 0) return failed(errno);
    const bool regular = is_regular(found, status);
    ::close(found);
    if (!regular) return -EAGAIN;
    // O_NONBLOCK: whoever has a lease on the file is not waited for.
    const int opened = open_as(may_wait ? call.flags : call.flags | O_NONBLOCK);
    if (opened < 0) return failed(errno);
    const bool flags_are_right = may_wait || call.flags & O_NONBLOCK || ::fcntl(opened, F_SETFL, call.flags) == 0;
    if (is_regular(opened, status) && flags_are_right) return opened;
    ::close(opened);
    return -EAGAIN;
}

namespace {

/// Opens a regular file for reading at once. Files to be written are left to the call: an overlay copies them first.
ssize_t open_cached(const file_call& call) noexcept {
    constexpr int unlike = O_CREAT | O_TRUNC | O_PATH | O_ASYNC | (O_TMPFILE & ~O_DIRECTORY);
    if ((call.flags & O_ACCMODE) != O_RDONLY || (call.flags & unlike)) return -EAGAIN;
    struct statx own;
    return open_regular(call, false, call.status ? *call.status : own);
}

}  // namespace

ssize_t try_call(const file_call& call) noexcept {
    if (call.what == file_call::kind::open) return open_cached(call);
    if (call.what == file_call::kind::load) return call.whole->try_load();
    const bool reads = call.what == file_call::kind::read;
    if (!reads && call.what != file_call::kind::write) return -EAGAIN;
    if (call.past_cache) return -EAGAIN;
    // preadv2 takes -1 for the file's own position, as file_call does.
    const iovec whole{call.buffer, call.size};
    const ssize_t result = reads ? ::preadv2(call.fd, &whole, 1, call.offset, RWF_NOWAIT)
                                 : ::pwritev2(call.fd, &whole, 1, call.offset, RWF_NOWAIT);
    if (result >= 0) return result;
    // Of EOPNOTSUPP and the like the call itself will know better.
    return errno == EBADF || errno == EFAULT ? -errno : -EAGAIN;
}

}  // namespace weft::engine_layer
