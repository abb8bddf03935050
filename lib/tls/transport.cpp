#include "tls/transport.hpp"

#include <cerrno>
#include <chrono>
#include <stdexcept>
#include <utility>

#include <weft/error.hpp>
#include <weft/task.hpp>
#include <weft/timeout.hpp>

#include "io/socket_state.hpp"
#include "io/start_tls.hpp"

namespace weft::tls_layer {
namespace {

// Plaintext that is encrypted before it is sent: few system calls for many records, and little memory.
constexpr std::size_t batch = 4 * SSL3_RT_MAX_PLAIN_LENGTH;
// What reading makes to be sent (answers to new keys, alerts) and the peer has not taken.
constexpr std::size_t most_answers = 64 * 1024;
// Memory that a connection keeps though nothing is under way.
constexpr std::size_t kept = 4096;
// How long a closed connection may take to tell its peer so (ssl_shutdown_timeout of asyncio).
constexpr std::chrono::seconds linger_time(30);

class flag {
public:
    explicit flag(bool& f) noexcept : flag_(f) { flag_ = true; }
    ~flag() { flag_ = false; }
    flag(const flag&) = delete;
    flag& operator=(const flag&) = delete;

private:
    bool& flag_;
};

void empty(std::string& buffer) noexcept {
    if (buffer.capacity() > kept) std::string().swap(buffer);
    else buffer.clear();
}

iovec piece(const std::string& text, std::size_t from) noexcept {
    return {const_cast<char*>(text.data()) + from, text.size() - from};   // SAFETY: it is only read through
}

// Closing a socket with something unread resets the connection, and what was written and is still on its way is lost. With TLS
// there may be such though the peer has written nothing: a server's tickets, the other end's end.
// True if there was something.
bool drop_what_came(detail::transport& below) noexcept {
    std::byte dropped[4096];
    for (int i = 0; i < 16; ++i) {   // a peer that goes on writing all the same may be reset
        const std::ptrdiff_t count = below.read_now(dropped);
        if (count < static_cast<std::ptrdiff_t>(sizeof dropped)) return count > 0 || i > 0;
    }
    return true;
}

}  // namespace

tls_transport::tls_transport(std::shared_ptr<context_state> context, const std::string& server_name, std::string peer,
                             const std::string& session_key, std::string_view received)
    : protocol_(std::move(context), server_name, std::move(peer), session_key) {
    while (!received.empty()) {
        const auto room = protocol_.input.prepare();
        const std::size_t count = std::min(room.size(), received.size());
        received.copy(reinterpret_cast<char*>(room.data()), count);
        protocol_.input.commit(count);
        received.remove_prefix(count);
    }
}

void tls_transport::require_open(const char* call) const {
    if (closed_) detail::throw_errno(EBADF, call, "closed stream");
}

// Receiving.

void tls_transport::receive(const char* call) {
    if (ended_below_) protocol_.throw_truncated(call);
    if (receiving_) {
        awaited_ = true;
        received_.clear();
        received_.wait();
        return require_open(call);
    }
    std::size_t count = 0;
    {
        struct telling {
            tls_transport& self;
            ~telling() {
                if (std::exchange(self.awaited_, false)) self.received_.set();
            }
        } const told{*this};
        const flag guard(receiving_);
        count = below_->read(protocol_.input.prepare(), call);
    }
    require_open(call);
    protocol_.input.commit(count);
    if (count > 0) return;
    ended_below_ = true;
    protocol_.throw_truncated(call);
}

std::size_t tls_transport::read(std::span<std::byte> to, const char* call) {
    for (;;) {
        require_open(call);
        std::size_t count = 0;
        auto step = protocol::step::ended;
        try {
            step = protocol_.read(to, count, call);
        } catch (const tls_error&) {
            send_what_goes();   // the alert
            throw;
        }
        send_what_goes();
        if (protocol_.output.size() > most_answers) protocol_.throw_flooded(call);
        if (step != protocol::step::needs_input) return count;
        receive(call);
    }
}

// Sending.

bool tls_transport::next_to_send() {
    if (sent_ == sending_.size()) {
        sent_ = 0;
        empty(sending_);
        std::swap(sending_, protocol_.output);
    }
    return !sending_.empty();
}

void tls_transport::sent(std::size_t count) noexcept {
    sent_ += count;
    if (sent_ < sending_.size()) return;
    sent_ = 0;
    empty(sending_);
}

void tls_transport::flush(const char* call) {
    const flag guard(flushing_);
    while (next_to_send()) {
        const iovec one = piece(sending_, sent_);
        try {
            sent(below_->write({&one, 1}, call));
        } catch (const std::system_error&) {
            broken_below_ = true;
            throw;
        }
        require_open(call);
    }
}

void tls_transport::send_what_goes() noexcept {
    if (flushing_) return;   // whoever does that sends all
    while (!broken_below_ && next_to_send()) {
        const iovec one = piece(sending_, sent_);
        const std::ptrdiff_t count = below_->write_now({&one, 1});
        broken_below_ = count < 0;
        if (count <= 0) return;
        sent(static_cast<std::size_t>(count));
    }
}

std::size_t tls_transport::write(std::span<const iovec> pieces, const char* call) {
    require_open(call);
    flush(call);   // what a cancelled call left: it would add up
    std::size_t count = 0;
    try {
        while ((count = protocol_.write(pieces, batch, call)) == 0) receive(call);
    } catch (const tls_error&) {
        send_what_goes();
        throw;
    }
    flush(call);
    return count;
}

void tls_transport::write_eof(const char* call) {
    require_open(call);
    protocol_.end();
    send_what_goes();
    if (sent_ < sending_.size()) flush(call);
}

// Beginning and end.

void tls_transport::shake_hands(const char* call) {
    for (;;) {
        auto step = protocol::step::ended;
        try {
            step = protocol_.handshake(call);
        } catch (const tls_error&) {
            send_what_goes();
            throw;
        }
        flush(call);
        if (step == protocol::step::done) break;
        receive(call);
    }
    established_ = true;
}

void tls_transport::handshake(const char* call) {
    timeout_scope limit(detail::deadline_after(protocol_.context().handshake_timeout), call,
                        detail::source_place::current());
    try {
        shake_hands(call);
        return;
    } catch (const cancelled&) {
        if (!limit.was_own()) throw;
    }
    const std::chrono::duration<double> seconds = protocol_.context().handshake_timeout;
    throw timeout_error(std::string(call) + ' ' + protocol_.peer() + ": the TLS handshake was not done within " +
                        std::to_string(seconds.count()) + " s");
}

void tls_transport::close() {
    if (std::exchange(closed_, true)) return;
    if (established_ && !flushing_) {
        protocol_.end();
        send_what_goes();
        const bool something_came = !receiving_ && drop_what_came(*below_);
        // Tickets that come to a closed socket reset the connection as well.
        const bool hear_out = !something_came && protocol_.awaits_tickets();
        const bool unsent = sent_ < sending_.size();
        const bool sound = !broken_below_ && !protocol_.failed();
        if ((unsent || hear_out) && sound && !receiving_ && linger(hear_out)) return;
    }
    below_->close();
}

// Without the end of TLS the peer would have to take the connection for one that was cut. Seldom needed: the end is short, and
// finds room below unless what was written before fills all of it.
bool tls_transport::linger(bool hear_out) noexcept {
    if (!kernel::this_thread().running) return false;
    try {
        create_task({.name = "TLS: closing " + protocol_.peer()},
                    [hear_out, below = std::move(below_), rest = sending_.substr(sent_) + protocol_.output] {
                        try {
                            timeout(linger_time, [&] {
                                for (std::size_t done = 0; done < rest.size();) {
                                    const iovec one = piece(rest, done);
                                    done += below->write({&one, 1}, "stream::close");
                                }
                                if (!hear_out) return;
                                below->write_eof("stream::close");
                                std::byte dropped[4096];
                                while (below->read(dropped, "stream::close") > 0) {}
                            });
                        } catch (const std::exception&) {
                            // The peer does not want to hear it.
                        }
                        drop_what_came(*below);
                        below->close();
                    });
        return true;
    } catch (...) {
        return below_ == nullptr;   // then it was closed with the task that could not be made
    }
}

endpoint tls_transport::local_endpoint() const {
    if (!below_) detail::throw_errno(EBADF, "stream::local_endpoint", "closed stream");
    return below_->local_endpoint();
}

endpoint tls_transport::remote_endpoint() const {
    if (!below_) detail::throw_errno(EBADF, "stream::remote_endpoint", "closed stream");
    return below_->remote_endpoint();
}

}  // namespace weft::tls_layer

namespace weft::detail {

void check_tls(const tls_context& context, tls_side side, std::string_view server_name, const char* call) {
    const auto refuse = [&](const char* what) { throw std::invalid_argument(std::string(call) + ": " + what); };
    if (!context.state()) refuse("tls: the context was moved elsewhere");
    const tls_layer::context_state& state = *context.state();
    if (side == tls_side::client && state.is_server)
        refuse("tls: this is a server's context; tls_context::client() makes a client's");
    if (side == tls_side::server && !state.is_server)
        refuse("tls: this is a client's context; tls_context::server() makes a server's");
    if (state.is_server) return;
    if (server_name.empty() && state.mode != verify_mode::none && state.check_host)
        refuse("server_name: it is empty, so nobody can tell whether the certificate is the right one");
    std::string_view host = server_name.substr(0, server_name.find('%'));
    if (host.ends_with('.')) host.remove_suffix(1);
    // Of some nothing is left to compare; to OpenSSL ".example.org" means every host below.
    const bool no_host = !server_name.empty() && (host.empty() || host.starts_with('.'));
    if (no_host || server_name.find('\0') != server_name.npos || server_name.size() > 255)
        refuse("server_name: it is not the name of a host");
}

void start_tls(std::unique_ptr<transport>& below, const tls_context& context, const std::string& server_name,
               std::string_view received, const char* call) {
    const endpoint remote = below->remote_endpoint();
    std::string peer = remote.to_string();
    if (!server_name.empty()) peer += " (" + tls_layer::printable(server_name) + ')';
    const std::string host = server_name.empty() ? remote.host() : server_name;
    auto secured = std::make_unique<tls_layer::tls_transport>(context.state(), server_name, std::move(peer),
                                                              host + ' ' + std::to_string(remote.port()), received);
    secured->attach(std::move(below));
    tls_layer::tls_transport& t = *secured;
    below = std::move(secured);
    t.handshake(call);
}

}  // namespace weft::detail
