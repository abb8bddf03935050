#pragma once

/// tls_transport: carries a stream's bytes through TLS, over the transport below.
///
/// Invariants
///  - The protocol never suspends; the transport below does, and only outside of it.
///  - What must be sent goes from protocol_.output to sending_ and from there to the transport below, by one fiber at a time:
///    the one that writes, or shakes hands. Who reads, or closes, sends only what needs no waiting, and only while nobody
///    else sends. So records stay in order, also when a cancelled write leaves a part of one in sending_: whoever sends next
///    begins there.
///  - A cancelled read has taken nothing: what came is in protocol_.input, or still below.
///  - One fiber receives from the transport below: as a rule the one that reads, else a writer that cannot go on before more
///    has come. Who needs that, too, waits for received_.
///  - While the transport below reads (receiving_) or writes (flushing_) its memory stays where it is.
///
/// Rejected: a task of its own for each direction. It would send what reading makes (alerts) also while nobody writes, but
/// costs two stacks and two switches for each record, for records that nobody waits for.

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <weft/event.hpp>

#include "io/transport.hpp"
#include "tls/protocol.hpp"

namespace weft::tls_layer {

class tls_transport final : public detail::transport {
public:
    /// \param received  what the transport below has given already
    tls_transport(std::shared_ptr<context_state> context, const std::string& server_name, std::string peer,
                  const std::string& session_key, std::string_view received);
    /// Takes the transport below; once, before all else.
    void attach(std::unique_ptr<detail::transport> below) noexcept { below_ = std::move(below); }

    /// Errors: tls_error, timeout_error, what the transport below throws; then it is good for nothing but close().
    void handshake(const char* call);
    tls_info info() const { return protocol_.info(); }

    std::size_t read(std::span<std::byte> to, const char* call) override;
    std::size_t write(std::span<const iovec> pieces, const char* call) override;
    /// Waits while what was written before is on its way.
    void write_eof(const char* call) override;
    void close() override;
    endpoint local_endpoint() const override;
    endpoint remote_endpoint() const override;
    weft::socket* get_socket() noexcept override { return below_ ? below_->get_socket() : nullptr; }

private:
    void require_open(const char* call) const;
    void shake_hands(const char* call);
    void receive(const char* call);
    bool next_to_send();
    void sent(std::size_t count) noexcept;
    void flush(const char* call);
    void send_what_goes() noexcept;
    bool linger(bool hear_out) noexcept;

    std::unique_ptr<detail::transport> below_;   // null once close() has left it to a task
    protocol protocol_;
    std::string sending_;                        // records under way
    std::size_t sent_ = 0;                       // so much of it is sent
    bool established_ = false;
    bool flushing_ = false;
    bool receiving_ = false;
    bool awaited_ = false;                       // somebody waits for received_, or did
    event received_;                             // receiving_ has ended
    bool ended_below_ = false;
    bool broken_below_ = false;                  // it failed to send: nothing more will go
    bool closed_ = false;
};

}  // namespace weft::tls_layer
