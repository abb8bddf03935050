#pragma once

/// stream: a buffered connection (asyncio's StreamReader and StreamWriter in one); open_connection, open_unix_connection;
/// and, in <weft/server.hpp>, which this includes, start_server.
///
/// Reading goes through a buffer that holds what has come and was not asked for yet. Writing has none: write() returns
/// when the operating system has taken everything, so there is no drain() to forget.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <weft/detail/asio_buffers.hpp>
#include <weft/detail/config.hpp>
#include <weft/endpoint.hpp>
#include <weft/socket.hpp>

namespace weft {

class tls_context;
struct tls_info;

namespace detail {
class transport;
struct stream_state;
struct WEFT_API stream_state_closer {
    void operator()(stream_state* s) const noexcept;
};
}  // namespace detail

/// An open connection; move-only. Destroying it closes it, as close() does; what the peer sent and nobody read is lost.
///
/// One task may read while another one writes. All calls that read or write:
///
/// Suspends:      reading: while the buffer does not hold what is asked for; writing: while the peer does not take it.
/// Cancellation:  before and while suspended. A cancelled read leaves all that came in the buffer for the next one; a
///                cancelled write may have written a part.
/// Errors:        std::system_error with errno, naming the call and the peer; bad_file_descriptor once it is closed, also
///                by close() while the call waits. A failure of reading is thrown again by every later read that needs more
///                than the buffer holds. std::logic_error while another task reads (or writes). no_running_loop.
/// Thread-safety: loop-local.
class WEFT_API stream {
public:
    static constexpr std::size_t npos = static_cast<std::size_t>(-1);

    /// A closed one.
    stream() noexcept;
    /// On a connected socket. \param limit see set_limit
    explicit stream(weft::socket connected, std::size_t limit = 64 * 1024);
    stream(stream&&) noexcept;
    stream& operator=(stream&&) noexcept;
    ~stream();

    /// Reads at least one byte and at most to.size(); 0 at the end (and for an empty span).
    std::size_t read_some(std::span<std::byte> to);
    /// Reads what there is, at least one byte and at most n; "" at the end. npos: everything up to the end.
    std::string read(std::size_t n = npos);
    /// Reads n bytes, however many that are.
    ///
    /// Errors: incomplete_read_error, with all that came, when the stream ends before.
    std::string read_exactly(std::size_t n);
    /// Reads up to and including '\n'; at the end what is left without one, then "".
    ///
    /// Errors: limit_overrun_error as read_until; nothing is lost.
    std::string read_line();
    /// Reads up to and including the separator.
    ///
    /// Errors: limit_overrun_error when more than the limit would come before the separator: it all stays in the buffer,
    ///         to be read by other calls. incomplete_read_error, with all that came, when the stream ends before.
    ///         std::invalid_argument for an empty separator.
    std::string read_until(std::string_view separator);
    /// True when the end was reached and everything was read. Does not look at the network.
    bool at_eof() const noexcept;
    /// How many bytes read_line and read_until let come before the separator. Errors: std::invalid_argument for 0.
    void set_limit(std::size_t limit);

    /// Writes all of it.
    ///
    /// Errors: invalid_state after write_eof().
    void write(std::string_view data);
    void write(std::span<const std::byte> data);
    /// Writes all the pieces, in order, with as few system calls as may be.
    void writev(std::span<const std::string_view> pieces);
    /// Ends this direction: the peer reads to the end, and may go on writing. Once is enough.
    ///
    /// Suspends:      only where TLS has to send its end and there is no room for it. Cancellation: then; to be called again.
    void write_eof();

    /// Ends both directions at once; calls waiting in it fail with bad_file_descriptor. A closed stream may be closed again.
    void close();

    /// Begins TLS on this connection, as the side that the context is for; what was read ahead belongs to TLS. From here on
    /// reading and writing are encrypted, close() and write_eof() tell the peer TLS's own end, and a connection that ends
    /// without it gives readers a tls_error(truncated) in place of an end. \param server_name whom a client expects there
    ///
    /// Suspends:      until the handshake is done.
    /// Cancellation:  as all calls; but the stream is closed then, and whenever the handshake fails.
    /// Errors:        tls_error, timeout_error (tls_context::set_handshake_timeout); std::invalid_argument for a name or
    ///                context that cannot be used, and then nothing has happened; std::logic_error while another task is
    ///                reading or writing.
    void start_tls(tls_context& context, std::string server_name = {});
    /// What TLS negotiated; #include <weft/tls.hpp>. Errors: invalid_state on a stream without TLS.
    tls_info get_tls_info() const;

    /// Boost.Asio's SyncReadStream and SyncWriteStream, for its algorithms and Boost.Beast's. Who calls them includes
    /// <weft/boost_asio.hpp>, which says what becomes an error code; write_some writes all of it.
    template <detail::asio_buffers Buffers>
    std::size_t read_some(const Buffers& buffers) { return detail::asio_bridge<Buffers>::read_some(*this, buffers); }
    template <detail::asio_buffers Buffers, class ErrorCode>
    std::size_t read_some(const Buffers& buffers, ErrorCode& error) {
        return detail::asio_bridge<Buffers>::read_some(*this, buffers, error);
    }
    template <detail::asio_buffers Buffers>
    std::size_t write_some(const Buffers& buffers) { return detail::asio_bridge<Buffers>::write_some(*this, buffers); }
    template <detail::asio_buffers Buffers, class ErrorCode>
    std::size_t write_some(const Buffers& buffers, ErrorCode& error) {
        return detail::asio_bridge<Buffers>::write_some(*this, buffers, error);
    }

    endpoint local_endpoint() const;
    endpoint remote_endpoint() const;
    /// What is below: for its options. Reading from it passes the buffer by. Errors: invalid_state if it is no socket.
    weft::socket& get_socket();

    /// For weft itself: on whatever carries bytes.
    stream(std::unique_ptr<detail::transport> below, std::size_t limit);

private:
    std::unique_ptr<detail::stream_state, detail::stream_state_closer> state_;
};

/// How open_connection connects.
struct connect_options {
    tls_context* tls = nullptr;     // a client's (<weft/tls.hpp>): TLS begins before the stream is returned; null: no TLS
    std::string server_name = {};   // whom TLS expects there; empty: the host that was given
    // How long an attempt has to itself before the next address is tried beside it: 0 tries all at once, milliseconds::max()
    // one after another.
    std::chrono::milliseconds happy_eyeballs_delay = std::chrono::milliseconds(250);
    std::optional<endpoint> local = {};   // where to connect from; addresses of other families are not tried
    std::size_t limit = 64 * 1024;  // the stream's (stream::set_limit)
};

/// Connects to a host by name or address, trying its addresses in the order of RFC 8305, overlapping: the first connection
/// wins, the other attempts are undone before this returns. It begins with the first family that a name server answers for,
/// giving IPv6 50 ms when IPv4 was first; what comes later joins in.
///
/// Suspends:      while the name is resolved, and until the first connection stands or the last attempt failed.
/// Cancellation:  always checked; every attempt is undone.
/// Errors:        std::system_error naming the host and every address's failure; of getaddrinfo. std::invalid_argument.
///                no_running_loop, no_running_task.
/// Thread-safety: any loop; the stream belongs to this one.
WEFT_API stream open_connection(std::string_view host, std::uint16_t port, connect_options options = {});

/// Connects to a Unix socket; '@' in front of the path: an abstract name. As open_connection.
WEFT_API stream open_unix_connection(const std::string& path, connect_options options = {});

}  // namespace weft

#include <weft/server.hpp>
