#pragma once

/// socket: POSIX's sockets, blocking the fiber where those would block the thread; wait_readable, wait_writable for
/// descriptors of any kind.
///
/// Every call means what the system call of its name means; see the manual page. The differences: what would block suspends,
/// failures are thrown, SIGPIPE is never raised, and descriptors are closed in programs that are executed.
///
/// Loop-local: a socket is used on one loop at a time. It may move to another loop, and there be used, while no call is
/// inside it.

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

#include <weft/detail/config.hpp>
#include <weft/endpoint.hpp>
#include <weft/socket_option.hpp>

struct msghdr;

namespace weft {

namespace detail {
struct socket_state;
struct WEFT_API socket_state_closer {
    void operator()(socket_state* s) const noexcept;
};
}  // namespace detail

/// An open socket; move-only. Destroying it closes it, as close() does.
///
/// All calls that may wait:
///
/// Suspends:      while the operating system would block.
/// Cancellation:  before and while suspended; then nothing was sent, received, accepted.
/// Errors:        std::system_error with errno, whose what() names the call and the endpoint; bad_file_descriptor when
///                the socket is closed, also by close() while the call waits. std::logic_error when another task waits in
///                the same direction already. no_running_loop; in a loop callback calls work as long as they need not wait,
///                else no_running_task.
/// Thread-safety: loop-local.
class WEFT_API socket {
public:
    /// A closed one.
    socket() noexcept;
    /// \param domain AF_INET, AF_INET6, AF_UNIX … \param type SOCK_STREAM, SOCK_DGRAM … (non-blocking and close-on-exec
    /// are added). Needs no loop.
    socket(int domain, int type, int protocol = 0);
    /// Takes over an open socket and makes it non-blocking; if it throws, fd still belongs to the caller.
    explicit socket(int fd);
    socket(socket&&) noexcept;
    socket& operator=(socket&&) noexcept;
    ~socket();

    void bind(const endpoint& local);
    void listen(int backlog = 1024);
    /// Waits for a connection. Where `peer` is given, it gets the address that connected.
    socket accept(endpoint* peer = nullptr);
    /// One that was cancelled, or would have had to wait in a loop callback, is still under way: connecting to the same place
    /// again goes on with it; to another one fails with connection_already_in_progress.
    void connect(const endpoint& peer);

    /// Receives at least one byte, or one datagram; 0 at the end of a stream. MSG_DONTWAIT: fails instead of waiting.
    /// Errors: std::invalid_argument for MSG_WAITALL, which could lose bytes to a cancellation: stream::read_exactly.
    std::size_t recv(std::span<std::byte> to, int flags = 0);
    /// Also says who sent the datagram.
    std::pair<std::size_t, endpoint> recv_from(std::span<std::byte> to, int flags = 0);
    /// Descriptors that come along are close-on-exec.
    std::size_t recv_msg(msghdr& message, int flags = 0);
    /// Sends at least one byte, perhaps not all: returns how many.
    std::size_t send(std::span<const std::byte> from, int flags = 0);
    std::size_t send_to(std::span<const std::byte> from, const endpoint& peer, int flags = 0);
    std::size_t send_msg(const msghdr& message, int flags = 0);
    /// Sends at most `count` bytes of an open file, from *offset on, and advances *offset; null: the file's own position,
    /// which advances. Returns how many; 0 at the end of the file. Reading the file may block the thread.
    std::size_t sendfile(int file, off_t* offset, std::size_t count);

    /// \param how SHUT_RD, SHUT_WR, SHUT_RDWR. Whoever waits finds out by the end of the stream, or by a failure.
    void shutdown(int how);
    /// Calls waiting in it fail with bad_file_descriptor; so do all later ones. A closed socket may be closed again.
    void close();
    bool is_open() const noexcept { return native_handle() >= 0; }

    void set_option(int level, int name, int value);
    void set_option(int level, int name, const void* value, std::size_t size);
    int get_option(int level, int name) const;
    /// Fills `value`; returns how many bytes of it the system filled.
    std::size_t get_option(int level, int name, void* value, std::size_t size) const;
    /// With its type: set_option(socket_options::no_delay, true).
    template <class T>
    void set_option(socket_option<T> option, const std::type_identity_t<T>& value) {
        const auto raw = socket_option_value<T>::to_system(value);
        set_option(option.level, option.name, &raw, sizeof raw);
    }
    template <class T>
    T get_option(socket_option<T> option) const {
        typename socket_option_value<T>::type raw{};
        get_option(option.level, option.name, &raw, sizeof raw);
        return socket_option_value<T>::from_system(raw);
    }

    endpoint local_endpoint() const;
    endpoint remote_endpoint() const;
    /// -1 when closed. TCP_ULP (TLS in the kernel) is for set_option to set, not for setsockopt here, once a call has waited.
    int native_handle() const noexcept;
    /// Gives the descriptor, which stays non-blocking, to the caller, and leaves this closed; -1 if it was. Waiting calls fail
    /// as by close().
    int release() noexcept;

    /// For weft itself.
    explicit socket(detail::socket_state* state) noexcept;
    detail::socket_state* state() const noexcept { return state_.get(); }

private:
    std::unique_ptr<detail::socket_state, detail::socket_state_closer> state_;
};

/// Waits until a descriptor is ready to be read (or is at its end, or failed). It may be of any kind that poll(2) takes,
/// and remains the caller's, who must not close it meanwhile.
///
/// Suspends:      while it is not ready.
/// Cancellation:  before and while suspended.
/// Errors:        std::system_error; no_running_loop, no_running_task.
/// Thread-safety: any loop.
WEFT_API void wait_readable(int fd);
/// The same until it is ready to be written to.
WEFT_API void wait_writable(int fd);

}  // namespace weft
