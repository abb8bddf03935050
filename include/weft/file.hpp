#pragma once

/// file, read_file, write_file: files on disks, without blocking the loop's thread.
///
/// A file on a disk is always "ready", and yet the call may take long. So the engine makes it where it holds nobody up: in the
/// kernel (io_uring) or in a thread (epoll). Names, flags and modes are POSIX's, from <fcntl.h>, which this includes.

#include <fcntl.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <weft/detail/config.hpp>

namespace weft {

namespace detail {
struct file_state;
struct WEFT_API file_state_closer {
    void operator()(file_state* s) const noexcept;
};
}  // namespace detail

/// An open file; move-only. Destroying it closes it, and drops what close() would report.
///
/// The position is the open file's own, as POSIX has it: duplicates and children share it. read and write move it, pread and
/// pwrite do not. Several tasks may use one file at once; of those that move the position, use one at a time, or what goes where is
/// left to chance.
///
/// A FIFO, a terminal, a socket can be a file, too: calls then wait until it is ready. Streams suit them better (<weft/pipe.hpp>).
///
/// All calls that may wait:
///
/// Suspends:      while the system is at it; not always for what it has in memory.
/// Cancellation:  before and while suspended. A call that the system has begun is waited for, since it uses the caller's memory: if
///                it has done its work by then, it returns as if nothing had been, and the cancellation waits for the next
///                call. So after `cancelled` nothing was read and no position has moved; a write may have written a part, and
///                the position is behind it.
/// Errors:        std::system_error with errno, naming the call and the path; bad_file_descriptor once it is closed.
///                no_running_loop, no_running_task.
/// Thread-safety: loop-local, for one loop at a time.
class WEFT_API file {
public:
    static constexpr std::size_t npos = static_cast<std::size_t>(-1);

    /// A closed one.
    file() noexcept;
    /// Takes over an open file; if it throws, fd still belongs to the caller. Needs no loop.
    explicit file(int fd);
    file(file&&) noexcept;
    file& operator=(file&&) noexcept;
    ~file();

    /// Opens a file. \param flags O_RDONLY, O_WRONLY or O_RDWR, with O_CREAT, O_EXCL, O_TRUNC, O_APPEND … as open(2) has them;
    /// O_CLOEXEC is added. \param mode of a file that is made, less the umask.
    ///
    /// A FIFO without O_NONBLOCK waits for its other end, and no cancellation may end that.
    static file open(const std::string& path, int flags = O_RDONLY, mode_t mode = 0666);

    /// Reads from the position on: all of `to`, or what is left of the file; 0 at its end. (Of a FIFO, a terminal …: what there is.)
    std::size_t read(std::span<std::byte> to);
    /// Reads at most n bytes; npos: up to the end. Cancelled, or failed, it leaves the position where it was.
    std::string read(std::size_t n = npos);
    /// Writes all of it at the position; with O_APPEND at the end.
    void write(std::span<const std::byte> data);
    void write(std::string_view data);

    /// The same at an offset. Errors: std::invalid_argument if it is negative; ESPIPE for what has no positions.
    std::size_t pread(std::span<std::byte> to, off_t offset) const;
    /// With O_APPEND Linux appends, whatever the offset says.
    void pwrite(std::span<const std::byte> data, off_t offset);
    void pwrite(std::string_view data, off_t offset);

    /// Moves the position, as lseek(2), and returns it. Does not wait. \param whence SEEK_SET, SEEK_CUR, SEEK_END,
    /// SEEK_DATA, SEEK_HOLE
    off_t seek(off_t offset, int whence = SEEK_SET);
    /// The position. Does not wait.
    off_t tell() const;

    /// How many bytes the file has.
    off_t size() const;
    /// Makes it that long: cuts it off, or adds zeros. The position stays. Errors: std::invalid_argument if it is negative.
    void truncate(off_t size);
    /// Returns when all that was written is on the disk (fsync).
    void sync();
    /// The same without what only times and the like need (fdatasync).
    void data_sync();

    /// Closes it, and says if something that was written could not be kept: some file systems say so only now. A closed file may be
    /// closed again. Calls that are under way end first, and the file is closed after them.
    ///
    /// Suspends:      while the system is at it.
    /// Cancellation:  none: the file is closed in any case.
    /// Errors:        std::system_error.
    /// Thread-safety: loop-local; works without a loop, too, and then blocks.
    void close();
    bool is_open() const noexcept { return native_handle() >= 0; }

    /// What it was opened as, or "descriptor N"; "" if it was moved away.
    std::string path() const;
    /// -1 when closed.
    int native_handle() const noexcept;
    /// Gives the descriptor to the caller and leaves this closed; -1 if it was.
    int release() noexcept;

private:
    detail::file_state& state(const char* call) const;

    std::unique_ptr<detail::file_state, detail::file_state_closer> state_;
};

/// All of a file. As file::open and file::read.
WEFT_API std::string read_file(const std::string& path);
/// Makes a file of these bytes, in the place of what it was. Cancelled, or failed, it may leave a part. As file::open, write
/// and close. \param mode of a file that is made, less the umask
WEFT_API void write_file(const std::string& path, std::string_view data, mode_t mode = 0666);

}  // namespace weft
