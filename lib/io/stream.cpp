#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

#include <weft/detail/task_core.hpp>
#include <weft/error.hpp>
#include <weft/stream.hpp>

#include "io/socket_state.hpp"
#include "io/start_tls.hpp"
#include "io/stream_state.hpp"
#include "kernel/fiber.hpp"

namespace weft {
namespace {

using detail::stream_state;
using state_pointer = std::unique_ptr<stream_state, detail::stream_state_closer>;

/// One call that reads, or writes: keeps the state alive and all others out.
class exclusive {
public:
    exclusive(const state_pointer& s, bool stream_state::*busy, const char* call) : exclusive(checked(s, call), busy, call) {
        kernel::fiber* running = kernel::this_thread().parkable;
        if (!running) return;
        running->touched_by_caller[0] = &s;
        running->touched_by_caller[1] = s.get();
        running->touched_by_caller[2] = s->below.get();
    }
    ~exclusive() { state_.*busy_ = false; }

private:
    exclusive(stream_state& s, bool stream_state::*busy, const char* call) : alive_(s), state_(s), busy_(busy) {
        if (state_.*busy_) [[unlikely]] refuse(call);
        detail::check_cancelled();
        state_.*busy_ = true;
    }
    [[noreturn]] WEFT_NOINLINE static void refuse(const char* call) {
        throw std::logic_error(std::string(call) + ": another task is doing that with this stream already; let one task "
                                                   "read and one task write");
    }
    static stream_state& checked(const state_pointer& s, const char* call) {
        detail::require_loop(call);
        if (!s || s->closed) detail::throw_errno(EBADF, call, "closed stream");
        return *s;
    }

    detail::inside<stream_state> alive_;   // first: it is left last
    stream_state& state_;
    bool stream_state::*busy_;
};

void require_limit(std::size_t limit, const char* call) {
    if (limit == 0) throw std::invalid_argument(std::string(call) + ": limit: 0 bytes is no limit that a line could keep");
}

iovec piece(std::string_view bytes) noexcept {
    return {const_cast<char*>(bytes.data()), bytes.size()};   // SAFETY: it is only read through
}

// From here on reading into the caller's memory saves more than the buffer does.
constexpr std::size_t direct_size = 4096;

}  // namespace

stream::stream() noexcept = default;
stream::stream(stream&&) noexcept = default;
stream& stream::operator=(stream&&) noexcept = default;
stream::~stream() = default;

stream::stream(std::unique_ptr<detail::transport> below, std::size_t limit) {
    require_limit(limit, "stream");
    state_.reset(new stream_state(std::move(below), limit));
}

stream::stream(weft::socket connected, std::size_t limit)
    : stream(detail::make_socket_transport(std::move(connected)), limit) {}

std::size_t stream::read_some(std::span<std::byte> to) {
    constexpr const char* call = "stream::read_some";
    const exclusive guard(state_, &stream_state::reading, call);
    stream_state& s = *state_;
    if (to.empty()) return 0;
    if (s.input.empty()) {
        if (to.size() >= direct_size) return s.receive(to, call);
        if (!s.fill(call)) return 0;
    }
    const std::size_t count = std::min(to.size(), s.input.size());
    std::memcpy(to.data(), s.input.view().data(), count);
    s.input.consume(count);
    return count;
}

std::string stream::read(std::size_t n) {
    constexpr const char* call = "stream::read";
    const exclusive guard(state_, &stream_state::reading, call);
    stream_state& s = *state_;
    if (n == 0) return {};
    if (n == npos)
        while (s.fill(call)) {}
    else if (s.input.empty())
        s.fill(call);
    return s.input.take(n);
}

std::string stream::read_exactly(std::size_t n) {
    constexpr const char* call = "stream::read_exactly";
    const exclusive guard(state_, &stream_state::reading, call);
    stream_state& s = *state_;
    while (s.input.size() < n)
        if (!s.fill(call)) throw incomplete_read_error(s.input.take_all(), n);
    return s.input.take(n);
}

std::string stream::read_line() {
    constexpr const char* call = "stream::read_line";
    const exclusive guard(state_, &stream_state::reading, call);
    stream_state& s = *state_;
    const std::size_t found = s.find("\n", call);
    return found == npos ? s.input.take_all() : s.input.take(found + 1);
}

std::string stream::read_until(std::string_view separator) {
    constexpr const char* call = "stream::read_until";
    if (separator.empty()) throw std::invalid_argument("stream::read_until: separator: it is empty");
    const exclusive guard(state_, &stream_state::reading, call);
    stream_state& s = *state_;
    const std::size_t found = s.find(separator, call);
    if (found == npos) throw incomplete_read_error(s.input.take_all(), npos);
    return s.input.take(found + separator.size());
}

bool stream::at_eof() const noexcept {
    return !state_ || state_->closed || (state_->at_end && state_->input.empty());
}

void stream::set_limit(std::size_t limit) {
    require_limit(limit, "stream::set_limit");
    if (state_) state_->limit = limit;
}

void stream::write(std::string_view data) {
    const exclusive guard(state_, &stream_state::writing, "stream::write");
    if (state_->written_end) throw invalid_state("stream::write: after write_eof nothing can be written");
    iovec one = piece(data);
    state_->send({&one, 1}, "stream::write");
}

void stream::write(std::span<const std::byte> data) {
    write(std::string_view(reinterpret_cast<const char*>(data.data()), data.size()));
}

void stream::writev(std::span<const std::string_view> pieces) {
    const exclusive guard(state_, &stream_state::writing, "stream::writev");
    stream_state& s = *state_;
    if (s.written_end) throw invalid_state("stream::writev: after write_eof nothing can be written");
    constexpr std::size_t batch = 64;
    iovec some[batch];
    while (!pieces.empty()) {
        const std::size_t count = std::min(batch, pieces.size());
        for (std::size_t i = 0; i < count; ++i) some[i] = piece(pieces[i]);
        s.send({some, count}, "stream::writev");
        pieces = pieces.subspan(count);
    }
}

void stream::write_eof() {
    if (!state_ || state_->closed) detail::throw_errno(EBADF, "stream::write_eof", "closed stream");
    if (state_->writing) throw std::logic_error("stream::write_eof: another task is writing to this stream");
    if (state_->written_end) return;
    const detail::inside<stream_state> alive(*state_);
    stream_state& s = *state_;
    s.writing = true;
    const struct leaving {
        bool& writing;
        ~leaving() { writing = false; }
    } guard{s.writing};
    s.below->write_eof("stream::write_eof");
    s.written_end = true;
}

void stream::close() {
    if (state_ && !state_->closed) state_->close();
}

void stream::start_tls(tls_context& context, std::string server_name) {
    constexpr const char* call = "stream::start_tls";
    const exclusive reading(state_, &stream_state::reading, call);
    const exclusive writing(state_, &stream_state::writing, call);
    stream_state& s = *state_;
    if (s.written_end) throw invalid_state("stream::start_tls: after write_eof nothing can be written");
    detail::check_tls(context, detail::tls_side::either, server_name, call);
    const std::string received = s.input.take_all();
    try {
        detail::start_tls(s.below, context, server_name, received, call);
    } catch (...) {
        s.close();
        throw;
    }
}

endpoint stream::local_endpoint() const {
    if (!state_) detail::throw_errno(EBADF, "stream::local_endpoint", "closed stream");
    return state_->below->local_endpoint();
}

endpoint stream::remote_endpoint() const {
    if (!state_) detail::throw_errno(EBADF, "stream::remote_endpoint", "closed stream");
    return state_->below->remote_endpoint();
}

weft::socket& stream::get_socket() {
    weft::socket* s = state_ ? state_->below->get_socket() : nullptr;
    if (!s) throw invalid_state("stream::get_socket: this stream is closed or not on a socket");
    return *s;
}

}  // namespace weft
