#pragma once

/// stream_state: what a stream owns, at an address that stays when the stream is moved.
///
/// Invariants
///  - below is never null. users and orphaned: as in socket_state.
///  - reading (writing) is true while one call that reads (writes) is inside; a second one is refused, because their
///    bytes would mix.
///  - Bytes go into input before anything else can happen to the fiber, so no cancellation loses one.
///  - The system reports a reset once, to whichever direction asks first, and an end of file from then on, behind what had
///    come before. If it was the writing direction the reset is kept in reset, so that reading never takes it for an end.

#include <exception>
#include <memory>

#include "io/input_buffer.hpp"
#include "io/transport.hpp"

namespace weft::detail {

struct alignas(64) stream_state {
    stream_state(std::unique_ptr<transport> carrier, std::size_t bound) noexcept
        : below(std::move(carrier)), limit(bound) {}

    // First what every call touches, on one line of the cache.
    std::unique_ptr<transport> below;
    std::exception_ptr failure;   // of reading
    unsigned users = 0;
    bool orphaned = false;
    bool reading = false;
    bool writing = false;
    bool at_end = false;          // the peer's end was read
    bool written_end = false;
    bool closed = false;
    input_buffer input;
    std::size_t limit;
    std::exception_ptr reset;     // a writer was told of it; reading throws it at what would else be the end

    /// Reads once into input; false at the end.
    bool fill(const char* call);
    /// Reads once to where the caller says.
    std::size_t receive(std::span<std::byte> to, const char* call);
    /// Fills until the separator is there: its place; npos at the end. Throws limit_overrun_error.
    std::size_t find(std::string_view separator, const char* call);
    /// Writes it all; changes the pieces.
    void send(std::span<iovec> pieces, const char* call);
    void close();
};

}  // namespace weft::detail
