#pragma once

/// file_call: a system call on a file that may take long and cannot be made non-blocking, as a value that an engine performs
/// without blocking its thread. Regular files are always "ready", so there is nothing to wait for but the call itself.
///
/// Its buffers, path and status belong to the caller and stay until engine::perform() has returned.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>

namespace weft::engine_layer {

class whole_file;

struct file_call {
    enum class kind : std::uint8_t {
        open,        // path, flags, mode; relative to fd, which may be AT_FDCWD. O_CLOEXEC is always added. status, if it is not
                     // null, gets what is known when the file is open, and its stx_mask says what that is: perhaps nothing
        read,        // fd, buffer, size, offset
        write,       // fd, buffer (only read), size, offset
        sync,        // fd
        data_sync,   // fd
        stat,        // statx: fd, path, flags, status; path "" with AT_EMPTY_PATH: the file that fd is
        truncate,    // fd, offset: the new size
        close,       // fd
        load,        // whole: is read
        store,       // whole: is written
    };

    static file_call open(const char* path, int flags, mode_t mode = 0666) noexcept {
        return {.what = kind::open, .path = path, .flags = flags, .mode = mode};
    }
    static file_call read(int fd, void* to, std::size_t size, off_t offset = own_position) noexcept {
        return {.what = kind::read, .fd = fd, .buffer = to, .size = size, .offset = offset};
    }
    static file_call write(int fd, const void* from, std::size_t size, off_t offset = own_position) noexcept {
        // SAFETY: a write only reads through it.
        return {.what = kind::write, .fd = fd, .buffer = const_cast<void*>(from), .size = size, .offset = offset};
    }
    static file_call sync(int fd) noexcept { return {.what = kind::sync, .fd = fd}; }
    static file_call data_sync(int fd) noexcept { return {.what = kind::data_sync, .fd = fd}; }
    static file_call stat(int fd, struct statx& to) noexcept {
        return {.what = kind::stat, .fd = fd, .path = "", .flags = AT_EMPTY_PATH, .status = &to};
    }
    static file_call stat(const char* path, struct statx& to, int flags = 0) noexcept {
        return {.what = kind::stat, .path = path, .flags = flags, .status = &to};
    }
    static file_call truncate(int fd, off_t size) noexcept {
        return {.what = kind::truncate, .fd = fd, .offset = size};
    }
    static file_call close(int fd) noexcept { return {.what = kind::close, .fd = fd}; }
    static file_call load(whole_file& f) noexcept { return {.what = kind::load, .whole = &f}; }
    static file_call store(whole_file& f) noexcept { return {.what = kind::store, .whole = &f}; }

    static constexpr off_t own_position = -1;   // the file's own, which the call moves

    kind what;
    int fd = AT_FDCWD;
    const char* path = nullptr;
    void* buffer = nullptr;
    std::size_t size = 0;
    off_t offset = own_position;
    int flags = 0;
    mode_t mode = 0;
    bool past_cache = false;   // read and write: they go to the disk (O_DIRECT, O_DSYNC), so to try them would be to wait for it
    struct statx* status = nullptr;
    whole_file* whole = nullptr;
};

/// Makes the call on the calling thread, which it may block: what the system call returned, or -errno. EINTR is retried,
/// but for close, which has closed the file then.
ssize_t make_call(const file_call& call) noexcept;
/// Makes it if that needs no waiting: what the page cache holds, for reads and writes; an open for reading of a regular file
/// whose name is known. -EAGAIN: it would have to wait, or may.
ssize_t try_call(const file_call& call) noexcept;

/// Opens for reading if that opens a regular file, and tells its type and size. \param may_wait  false: only if that needs no
/// waiting. -EAGAIN: it would, or that is no regular file.
ssize_t open_regular(const file_call& call, bool may_wait, struct statx& status) noexcept;

}  // namespace weft::engine_layer
