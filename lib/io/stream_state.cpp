#include "io/stream_state.hpp"

#include <cerrno>
#include <system_error>

#include <weft/error.hpp>
#include <weft/stream.hpp>

#include "io/socket_state.hpp"

namespace weft::detail {

std::size_t stream_state::receive(std::span<std::byte> to, const char* call) {
    if (at_end) return 0;
    if (failure) std::rethrow_exception(failure);
    std::size_t count = 0;
    try {
        count = below->read(to, call);
    } catch (const std::system_error&) {
        if (!closed) failure = std::current_exception();
        throw;
    }
    if (closed) throw_errno(EBADF, call, "closed stream");
    if (count > 0) return count;
    if (reset) {
        failure = reset;
        std::rethrow_exception(failure);
    }
    at_end = true;
    return 0;
}

bool stream_state::fill(const char* call) {
    const std::size_t count = receive(input.prepare(), call);
    input.commit(count);
    return count > 0;
}

std::size_t stream_state::find(std::string_view separator, const char* call) {
    const auto overrun = [&](const char* what, std::size_t looked_through) {
        throw limit_overrun_error(std::string(call) + ": " + what + " the limit of " + std::to_string(limit) + " bytes",
                                  looked_through);
    };
    std::size_t searched = 0;   // no separator begins before this
    for (;;) {
        const std::string_view have = input.view();
        if (have.size() >= searched + separator.size()) {
            const std::size_t found = have.find(separator, searched);
            if (found != have.npos) {
                if (found > limit) overrun("the separator is found, but behind", found);
                return found;
            }
            searched = have.size() + 1 - separator.size();
            if (searched > limit) overrun("the separator is not found within", searched);
        }
        if (!fill(call)) return stream::npos;
    }
}

void stream_state::send(std::span<iovec> pieces, const char* call) {
    for (;;) {
        while (!pieces.empty() && pieces.front().iov_len == 0) pieces = pieces.subspan(1);
        if (pieces.empty()) return;
        std::size_t count = 0;
        try {
            count = below->write(pieces, call);
        } catch (const std::system_error& error) {
            // EPIPE alone says that the peer has ended properly, or that a reset was reported before.
            const bool told = error.code() == std::errc::broken_pipe || error.code() == std::errc::bad_file_descriptor;
            if (!told && !closed && !failure) reset = std::current_exception();
            throw;
        }
        while (count > 0) {
            iovec& first = pieces.front();
            const std::size_t part = std::min(count, first.iov_len);
            first.iov_base = static_cast<char*>(first.iov_base) + part;
            first.iov_len -= part;
            count -= part;
            if (first.iov_len == 0) pieces = pieces.subspan(1);
        }
    }
}

void stream_state::close() {
    closed = true;
    if (!reading) input.clear();   // else the system may still be writing into it
    at_end = false;   // whoever reads now is told that it is closed
    failure = reset = nullptr;
    below->close();
}

void stream_state_closer::operator()(stream_state* s) const noexcept {
    try {
        s->close();
    } catch (...) {
        // The descriptor is closed, whatever the system has to say about it.
    }
    if (s->users == 0) delete s;
    else s->orphaned = true;
}

}  // namespace weft::detail
