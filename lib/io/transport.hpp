#pragma once

/// transport: what carries a stream's bytes: a socket here, a pipe, TLS or a test's memory elsewhere.
///
/// Calls suspend the fiber and throw what the public call named by `call` has to throw. One task reads and one writes at a
/// time; close() may come in between from a third, and wakes them with bad_file_descriptor. The stream keeps the
/// transport alive while a call is inside.
///
/// Rejected: results as values, as the engine gives them. Above the engine every caller wants the exception.

#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <span>

#include <weft/endpoint.hpp>
#include <weft/socket.hpp>

namespace weft::detail {

class transport {
public:
    virtual ~transport() = default;

    /// At least one byte; 0 at the end. If it throws `cancelled`, no byte was taken.
    virtual std::size_t read(std::span<std::byte> to, const char* call) = 0;
    /// At least one byte of the pieces, of which at least one is not empty.
    virtual std::size_t write(std::span<const iovec> pieces, const char* call) = 0;
    /// As much of the pieces as goes without waiting; 0: nothing does; -1: it failed. Not while write() is inside.
    virtual std::ptrdiff_t write_now(std::span<const iovec>) noexcept { return 0; }
    /// What has come already; 0: nothing, or the end; -1: it failed. Not while read() is inside.
    virtual std::ptrdiff_t read_now(std::span<std::byte>) noexcept { return 0; }
    /// Ends the writing direction. Waits only where something must be sent for that, and there is no room for it.
    virtual void write_eof(const char* call) = 0;
    virtual void close() = 0;

    virtual endpoint local_endpoint() const { return {}; }
    virtual endpoint remote_endpoint() const { return {}; }
    /// Null if it is not on a socket.
    virtual weft::socket* get_socket() noexcept { return nullptr; }
};

std::unique_ptr<transport> make_socket_transport(weft::socket connected);

}  // namespace weft::detail
