#include <weft/file.hpp>

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <utility>

#include <weft/detail/task_core.hpp>
#include <weft/error.hpp>

#include "engine/whole_file.hpp"
#include "io/file_state.hpp"
#include "io/one_way_transport.hpp"
#include "io/socket_state.hpp"
#include "kernel/scheduler.hpp"

namespace weft {

using detail::file_state;
using detail::throw_errno;
using engine_layer::direction;
using engine_layer::file_call;
using engine_layer::io_result;

namespace detail {
namespace {

/// \param status  asked for what it does not hold yet
bool must_be_polled(int fd, struct statx& status) noexcept {
    // What the system knows without asking a server.
    if (!(status.stx_mask & STATX_TYPE) &&
        ::statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &status) < 0) return false;
    return S_ISFIFO(status.stx_mode) || S_ISSOCK(status.stx_mode) || S_ISCHR(status.stx_mode);
}

}  // namespace

bool has_readiness(int fd) noexcept {
    struct statx status;
    status.stx_mask = 0;
    return must_be_polled(fd, status);
}

namespace {

/// How long the file is, as far as the system knows without asking a server; 0: unknown.
off_t known_size(int fd) noexcept {
    struct statx status;
    const int result = ::statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_SIZE, &status);
    return result < 0 ? 0 : static_cast<off_t>(status.stx_size);
}

}  // namespace

file_state::file_state(engine_layer::descriptor_ptr f, std::string name, bool readiness)
    : file(std::move(f)), path(std::move(name)), has_readiness(readiness) {}

namespace {

/// Waits until the file is ready, then makes a call that may fail with EAGAIN all the same.
template <class Attempt>
io_result when_ready(file_state& s, direction way, const char* call, Attempt attempt) {
    engine_layer::engine& e = engine_layer::current_engine(call);
    for (;;) {
        if (!s.file) return io_result(-EBADF);   // given away
        if (const io_result ready = e.poll(*s.file, way, time_point::max()); !ready.ok()) return ready;
        const ssize_t result = attempt(s.fd());
        if (result >= 0) return io_result(result);
        if (errno != EINTR && errno != EAGAIN) return io_result(-errno);
    }
}

}  // namespace

io_result read_once(file_state& s, void* to, std::size_t size, off_t offset, const char* call) {
    if (!s.has_readiness) {
        file_call reading = file_call::read(s.fd(), to, size, offset);
        reading.past_cache = (s.flags & O_DIRECT) != 0;
        return engine_layer::current_engine(call).perform(reading, call);
    }
    return when_ready(s, direction::read, call, [=](int fd) {
        return offset == file_call::own_position ? ::read(fd, to, size) : ::pread(fd, to, size, offset);
    });
}

io_result write_once(file_state& s, const void* from, std::size_t size, off_t offset, const char* call) {
    if (!s.has_readiness) {
        file_call writing = file_call::write(s.fd(), from, size, offset);
        writing.past_cache = (s.flags & (O_DIRECT | O_DSYNC)) != 0;   // O_SYNC contains O_DSYNC
        return engine_layer::current_engine(call).perform(writing, call);
    }
    const std::size_t some = std::min<std::size_t>(size, PIPE_BUF);   // which a pipe that is ready takes without waiting
    return when_ready(s, direction::write, call, [=](int fd) {
        if (offset != file_call::own_position) return ::pwrite(fd, from, some, offset);
        const iovec piece{const_cast<void*>(from), some};   // SAFETY: it is only read through
        return write_quietly(fd, {&piece, 1});
    });
}

void file_state::end() noexcept {
    closed = true;
    if (file && has_readiness) engine_layer::close(*file);   // no thread uses such a file's number
}

void file_state_closer::operator()(file_state* s) const noexcept {
    s->end();
    if (s->users == 0) delete s;
    else s->orphaned = true;
}

}  // namespace detail

namespace {

/// One call: keeps the state, and the descriptor, while it is inside.
class inside_file {
public:
    explicit inside_file(file_state& s) noexcept : state_(s) { ++s.users; }
    ~inside_file() {
        if (--state_.users > 0) return;
        if (state_.orphaned) delete &state_;
        else if (state_.closed) state_.file.reset();
    }
    inside_file(const inside_file&) = delete;
    inside_file& operator=(const inside_file&) = delete;

private:
    file_state& state_;
};

io_result perform(file_state& s, const file_call& c, const char* call) {
    const inside_file guard(s);
    const io_result r = engine_layer::current_engine(call).perform(c, call);
    if (!r.ok()) detail::throw_failure(r, call, s.path);
    return r;
}

void require_not_negative(off_t value, const char* call, const char* argument) {
    if (value < 0)
        throw std::invalid_argument(std::string(call) + ": " + argument + ": " + std::to_string(value) + " is negative");
}

void require_path(const std::string& path, const char* call) {
    if (path.find('\0') != path.npos)
        throw std::invalid_argument(std::string(call) + ": path: a zero byte in '" + path.c_str() + "…'");
}

/// Fills `to` unless the file ends before. offset: own_position, or from where.
std::size_t read_into(file_state& s, std::span<std::byte> to, off_t offset, const char* call) {
    std::size_t count = 0;
    while (count < to.size()) {
        const off_t from = offset < 0 ? offset : offset + static_cast<off_t>(count);
        const io_result r = detail::read_once(s, to.data() + count, to.size() - count, from, call);
        if (!r.ok() && count == 0) detail::throw_failure(r, call, s.path);
        if (!r.ok() || r.value() == 0) break;   // a failure, or a cancellation, is found again by the next call
        count += static_cast<std::size_t>(r.value());
        if (s.has_readiness) break;
    }
    return count;
}

void write_from(file_state& s, std::span<const std::byte> data, off_t offset, const char* call) {
    const inside_file guard(s);
    detail::require_loop(call);
    detail::check_cancelled();
    while (!data.empty()) {
        const io_result r = detail::write_once(s, data.data(), data.size(), offset, call);
        if (!r.ok()) detail::throw_failure(r, call, s.path);
        data = data.subspan(static_cast<std::size_t>(r.value()));
        if (offset >= 0) offset += static_cast<off_t>(r.value());
    }
}

/// Reads up to the end, from `offset` on; own_position: of a file without positions, whose bytes are kept if it is cut off.
std::string read_to_end(file_state& s, off_t offset, std::size_t expected, const char* call) {
    std::string text;
    try {
        text.reserve(std::max<std::size_t>(expected + 1, 4096));   // the one finds that it is the end
        for (;;) {
            const std::size_t before = text.size();
            const std::size_t step = text.capacity() > before ? text.capacity() - before : before;
            text.resize(before + step);
            const off_t from = offset < 0 ? offset : offset + static_cast<off_t>(before);
            const io_result r = detail::read_once(s, text.data() + before, step, from, call);
            text.resize(before + static_cast<std::size_t>(r.ok() ? r.value() : 0));
            if (!r.ok()) detail::throw_failure(r, call, s.path);
            if (r.value() == 0 || text.size() == expected) return text;   // it was asked for one more
        }
    } catch (...) {
        if (offset < 0) s.unread = std::move(text);
        throw;
    }
}

std::span<const std::byte> bytes_of(std::string_view text) noexcept { return std::as_bytes(std::span(text)); }

}  // namespace

file::file() noexcept = default;
file::file(file&&) noexcept = default;
file& file::operator=(file&&) noexcept = default;
file::~file() = default;

file::file(int fd) {
    std::string name = "descriptor " + std::to_string(fd);
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0) throw_errno(errno, "file", name);
    auto made = std::make_unique<file_state>(nullptr, std::move(name), detail::has_readiness(fd));
    made->flags = flags;
    made->file = engine_layer::adopt_shared(fd);
    state_.reset(made.release());
}

file file::open(const std::string& path, int flags, mode_t mode) {
    constexpr const char* call = "file::open";
    require_path(path, call);
    struct statx status;
    status.stx_mask = 0;
    file_call opening = file_call::open(path.c_str(), flags, mode);
    opening.status = &status;
    const io_result r = engine_layer::current_engine(call).perform(opening, call);
    if (!r.ok()) detail::throw_failure(r, call, path);
    engine_layer::descriptor_ptr opened = engine_layer::adopt_shared(static_cast<int>(r.value()));
    const bool readiness = detail::must_be_polled(static_cast<int>(r.value()), status);
    file result;
    result.state_.reset(new file_state(std::move(opened), path, readiness));
    result.state_->flags = flags;
    return result;
}

file_state& file::state(const char* call) const {
    if (!state_) throw_errno(EBADF, call, "closed file");
    if (state_->closed) throw_errno(EBADF, call, state_->path);
    return *state_;
}

std::size_t file::read(std::span<std::byte> to) {
    constexpr const char* call = "file::read";
    file_state& s = state(call);
    const inside_file guard(s);
    detail::require_loop(call);
    detail::check_cancelled();
    if (!s.unread.empty()) {
        const std::size_t count = s.unread.copy(reinterpret_cast<char*>(to.data()), to.size());
        s.unread.erase(0, count);
        return count;
    }
    return read_into(s, to, file_call::own_position, call);
}

std::string file::read(std::size_t n) {
    constexpr const char* call = "file::read";
    file_state& s = state(call);
    const inside_file guard(s);
    const off_t start = ::lseek(s.fd(), 0, SEEK_CUR);
    const bool positions = start >= 0 && !s.has_readiness;
    constexpr std::size_t unasked = 64 * 1024;   // as much is made room for without knowing how long the file is
    // What the file is said to have; one in /proc says 0, and one that grows has more.
    const off_t said = !positions || n <= unasked ? 0 : n == npos ? detail::known_size(s.fd()) : size();
    const off_t left = std::max<off_t>(said - start, 0);
    if (n != npos) {
        std::string text(std::min(n, left > 0 ? static_cast<std::size_t>(left) : unasked), '\0');
        text.resize(read(std::as_writable_bytes(std::span(text))));
        return text;
    }
    detail::require_loop(call);
    detail::check_cancelled();
    if (!positions) {
        std::string text = std::exchange(s.unread, {});
        try {
            return text + read_to_end(s, file_call::own_position, 0, call);
        } catch (...) {
            s.unread.insert(0, text);
            throw;
        }
    }
    std::string text = read_to_end(s, start, static_cast<std::size_t>(left), call);
    ::lseek(s.fd(), start + static_cast<off_t>(text.size()), SEEK_SET);
    return text;
}

void file::write(std::span<const std::byte> data) {
    write_from(state("file::write"), data, file_call::own_position, "file::write");
}
void file::write(std::string_view data) { write(bytes_of(data)); }

std::size_t file::pread(std::span<std::byte> to, off_t offset) const {
    constexpr const char* call = "file::pread";
    file_state& s = state(call);
    require_not_negative(offset, call, "offset");
    const inside_file guard(s);
    detail::require_loop(call);
    detail::check_cancelled();
    return read_into(s, to, offset, call);
}

void file::pwrite(std::span<const std::byte> data, off_t offset) {
    file_state& s = state("file::pwrite");
    require_not_negative(offset, "file::pwrite", "offset");
    write_from(s, data, offset, "file::pwrite");
}
void file::pwrite(std::string_view data, off_t offset) { pwrite(bytes_of(data), offset); }

off_t file::seek(off_t offset, int whence) {
    file_state& s = state("file::seek");
    const off_t result = ::lseek(s.fd(), offset, whence);
    if (result < 0) throw_errno(errno, "file::seek", s.path);
    return result;
}

off_t file::tell() const {
    file_state& s = state("file::tell");
    const off_t result = ::lseek(s.fd(), 0, SEEK_CUR);
    if (result < 0) throw_errno(errno, "file::tell", s.path);
    return result;
}

off_t file::size() const {
    file_state& s = state("file::size");
    struct statx status;
    perform(s, file_call::stat(s.fd(), status), "file::size");
    return static_cast<off_t>(status.stx_size);
}

void file::truncate(off_t size) {
    file_state& s = state("file::truncate");
    require_not_negative(size, "file::truncate", "size");
    perform(s, file_call::truncate(s.fd(), size), "file::truncate");
}

void file::sync() {
    file_state& s = state("file::sync");
    perform(s, file_call::sync(s.fd()), "file::sync");
}

void file::data_sync() {
    file_state& s = state("file::data_sync");
    perform(s, file_call::data_sync(s.fd()), "file::data_sync");
}

void file::close() {
    constexpr const char* call = "file::close";
    if (!state_ || state_->closed) return;
    file_state& s = *state_;
    s.end();
    if (s.users > 0 || s.fd() < 0) return;   // else the last one that leaves closes it
    const inside_file guard(s);
    const int fd = engine_layer::release(std::move(s.file));
    kernel::scheduler* here = kernel::scheduler::current();
    const io_result r = here && here->may_park() ? here->engine->perform(file_call::close(fd), call)
                                                 : io_result(engine_layer::make_call(file_call::close(fd)));
    if (!r.ok()) throw_errno(r.error(), call, s.path);
}

std::string file::path() const { return state_ ? state_->path : std::string(); }
int file::native_handle() const noexcept { return state_ && !state_->closed ? state_->fd() : -1; }

int file::release() noexcept {
    if (native_handle() < 0) return -1;
    state_->closed = true;
    return engine_layer::release(std::move(state_->file));
}

std::string read_file(const std::string& path) {
    require_path(path, "file::open");
    engine_layer::whole_file whole(path.c_str());
    const io_result r = engine_layer::current_engine("file::open").perform(file_call::load(whole), "read_file");
    if (!r.ok()) detail::throw_failure(r, whole.failed_in(), path);
    return whole.left_to_others() ? file::open(path).read() : std::move(whole.text());
}

void write_file(const std::string& path, std::string_view data, mode_t mode) {
    require_path(path, "file::open");
    engine_layer::whole_file whole(path.c_str(), data, mode);
    const io_result r = engine_layer::current_engine("file::open").perform(file_call::store(whole), "write_file");
    if (!r.ok()) detail::throw_failure(r, whole.failed_in(), path);
    if (!whole.left_to_others()) return;
    file to = file::open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
    to.write(data);
    to.close();
}

}  // namespace weft
