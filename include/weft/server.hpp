#pragma once

/// start_server, start_unix_server, server: a task for each connection that comes in (asyncio.start_server).

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <weft/detail/config.hpp>
#include <weft/endpoint.hpp>
#include <weft/stream.hpp>

namespace weft {

class loop;

namespace detail {
struct server_state;
}

struct server_options {
    int backlog = 1024;                 // connections that the system keeps waiting for accept
    bool reuse_port = false;            // other sockets may listen on the same port, and share its connections
    std::size_t max_connections = 0;    // at a time; further ones wait in the backlog. 0: no bound
    std::size_t limit = 64 * 1024;      // the streams' (stream::set_limit)
    // A server's (<weft/tls.hpp>), and as long-lived as this one: TLS begins in each connection's task, before the handler;
    // a connection where that fails is closed, and in debug mode reported. Null: no TLS.
    tls_context* tls = nullptr;
    // Other loops (of a loop_group, say) that run the handlers: a connection goes to the one with the fewest. They must outlive
    // the server, which accepts on its own loop, and the handler is then called on several threads at once. One that is closed gets
    // no more; when all are, so is the server. None: its own.
    std::vector<loop*> loops = {};
};

/// A server that is listening; move-only. Dropping it is close(): it does not wait, and connections go on.
///
/// A connection lasts until its handler has ended and its stream is closed, wherever the handler may have moved that.
/// Loop-local.
class WEFT_API server {
public:
    /// One that is closed.
    server() noexcept;
    server(server&&) noexcept;
    server& operator=(server&&) noexcept;
    ~server();

    /// Waits until the server is closed. (It serves without this, too.)
    ///
    /// Suspends:      until close().
    /// Cancellation:  always checked; then the server is closed. Its connections are not waited for.
    void serve_forever();
    /// Stops listening; connections that were accepted go on. A Unix socket's file is removed. Once is enough.
    void close();
    /// Waits until the server is closed and its last connection has ended.
    ///
    /// Suspends:      until then.
    /// Cancellation:  while suspended; nothing is changed.
    void wait_closed();
    /// Ends every connection, in both directions: handlers read the end of their stream, their writes fail. What they throw
    /// because of that is not reported.
    void close_clients();
    /// Where it listens, with the actual port; still known when it is closed.
    std::vector<endpoint> endpoints() const;

    /// For weft itself.
    explicit server(std::shared_ptr<detail::server_state> state) noexcept;

private:
    std::shared_ptr<detail::server_state> state_;
};

namespace detail {

using connection_handler = std::function<void(stream)>;

WEFT_API server start_server(connection_handler handler, std::string_view host, std::uint16_t port,
                             const server_options& options);
WEFT_API server start_server(connection_handler handler, const std::vector<endpoint>& where, const server_options& options);
WEFT_API server start_unix_server(connection_handler handler, const std::string& path, const server_options& options);

/// One handler for all connections, also one that can only be moved.
template <class Handler>
connection_handler shared_handler(Handler&& handler) {
    auto shared = std::make_shared<std::decay_t<Handler>>(std::forward<Handler>(handler));
    return [shared](stream s) { std::invoke(*shared, std::move(s)); };
}

}  // namespace detail

/// Listens on every address of the host ("": all of this machine, IPv4 and IPv6) and runs handler(stream) in a task of this
/// loop for each connection. Port 0: any free one, the same for all the addresses.
///
/// The handler is one object; its calls run concurrently. What it throws goes to the loop's exception handler, and its connection
/// is closed; the server goes on. It also goes on when descriptors or memory run out: that is reported, once a minute at most, and
/// accepting is tried again, at least every second.
///
/// Suspends:      while the name is resolved.
/// Cancellation:  then; an address in digits needs no resolving.
/// Errors:        std::system_error naming the address; of getaddrinfo; std::invalid_argument; no_running_loop.
/// Thread-safety: any loop; the server belongs to this one.
template <class Handler>
    requires std::is_invocable_v<std::decay_t<Handler>&, stream>
server start_server(Handler&& handler, std::string_view host, std::uint16_t port, server_options options = {}) {
    return detail::start_server(detail::shared_handler(std::forward<Handler>(handler)), host, port, options);
}

/// The same on each of these addresses, IPv4 and IPv6; all of them, or it fails. Those with port 0 get one free port.
///
/// Errors: std::invalid_argument also for no address, or one of another family.
template <class Handler>
    requires std::is_invocable_v<std::decay_t<Handler>&, stream>
server start_server(Handler&& handler, const std::vector<endpoint>& where, server_options options = {}) {
    return detail::start_server(detail::shared_handler(std::forward<Handler>(handler)), where, options);
}

/// The same on a Unix socket. A socket that is there already is replaced; '@' in front of the path: an abstract name.
template <class Handler>
    requires std::is_invocable_v<std::decay_t<Handler>&, stream>
server start_unix_server(Handler&& handler, const std::string& path, server_options options = {}) {
    return detail::start_unix_server(detail::shared_handler(std::forward<Handler>(handler)), path, options);
}

}  // namespace weft
