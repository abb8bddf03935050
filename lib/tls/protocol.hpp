#pragma once

/// protocol: one side of a TLS connection, between two buffers: OpenSSL takes what came from `input` and leaves in `output`
/// what must be sent. It knows nothing of sockets and fibers: no call suspends.
///
/// Invariants
///  - One fiber may read while another writes: each call is whole, since none suspends, and each takes from input or appends
///    to output in the order in which OpenSSL makes it. So records are never mixed.
///  - A write never stops half-way, since output grows as needed; so OpenSSL need never be given the same piece again.
///  - input may be being filled (a transport reads into its room) while a call runs: that happens only when it is empty, and
///    then OpenSSL takes nothing from it.
///  - After a failure only `output` is of use: it holds the alert for the peer.

#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "io/input_buffer.hpp"
#include "tls/context_state.hpp"
#include "tls/openssl.hpp"

namespace weft::tls_layer {

class protocol {
public:
    enum class step { done, needs_input, ended };

    /// \param server_name  whom a client expects; \param peer  whom messages name, and with whom a session is gone on with
    protocol(std::shared_ptr<context_state> context, const std::string& server_name, std::string peer,
             const std::string& session_key);
    protocol(const protocol&) = delete;
    protocol& operator=(const protocol&) = delete;

    // Errors of these: tls_error naming the call and the peer; std::bad_alloc.

    /// done or needs_input.
    step handshake(const char* call);
    /// done: `count` bytes, at least one, are in `to`; ended: the peer has ended its direction.
    step read(std::span<std::byte> to, std::size_t& count, const char* call);
    /// Encrypts the beginning of the pieces; at least one byte, and at most `most`. Returns how much; 0: a message of the peer's
    /// TLS (a ticket, say) has come in part, and what is missing must be read first.
    std::size_t write(std::span<const iovec> pieces, std::size_t most, const char* call);
    /// Leaves the end of this direction in output; nothing the second time, before the handshake is done and after a failure.
    void end() noexcept;
    /// The peer's connection ended without an end of TLS.
    [[noreturn]] void throw_truncated(const char* call) const;
    /// The peer makes this side answer and does not take the answers.
    [[noreturn]] void throw_flooded(const char* call);

    tls_info info() const;
    /// A client of TLS 1.3 that has had no ticket yet: most servers send some behind the handshake.
    bool awaits_tickets() const noexcept;
    bool failed() const noexcept { return failed_; }
    const context_state& context() const noexcept { return *context_; }
    const std::string& peer() const noexcept { return peer_; }

    detail::input_buffer input;
    std::string output;

    /// Of a new context.
    static void set_callbacks(context_state& state);
    static int on_verify(int good, X509_STORE_CTX* verified) noexcept;

private:
    static int on_bio_write(BIO* bio, const char* data, std::size_t size, std::size_t* written) noexcept;
    static int on_bio_read(BIO* bio, char* to, std::size_t size, std::size_t* count) noexcept;
    static long on_bio_control(BIO* bio, int command, long, void*) noexcept;
    static const BIO_METHOD* bio_method();
    static int on_session(SSL* ssl, SSL_SESSION* session) noexcept;
    static int on_certificate(SSL* ssl, void*) noexcept;
    static int on_alpn(SSL* ssl, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
                       unsigned offered_size, void*) noexcept;

    void expect_host(const std::string& server_name);
    /// After a call that failed: throws, unless more input is all that it needs, or it is the end.
    step judge(int result, const openssl_call& guard, const char* call);
    [[noreturn]] void fail(const openssl_call& guard, const char* call);
    [[noreturn]] void raise(tls_errc code, const std::string& detail, const std::string& openssl_text, const char* call) const;
    void write_piece(std::string_view piece, const char* call);
    tls_errc classify(const error_report& report) const;

    std::shared_ptr<context_state> context_;   // first: the SSL refers to it
    const std::string peer_;
    const std::string session_key_;            // empty: sessions are not kept
    const unsigned session_generation_;        // of the context's cache when this began
    std::string expected_host_;
    std::string certificate_fault_;            // what is wrong with the peer's certificate, in words
    bool out_of_memory_ = false;               // in a callback, which cannot throw
    bool failed_ = false;
    bool ticket_came_ = false;
    ssl_ptr ssl_;
};

}  // namespace weft::tls_layer
