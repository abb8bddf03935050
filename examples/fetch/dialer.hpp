#pragma once
// From a host name to a connection: through the system's resolver, or a name server that the user chose; plain,
// or with TLS.

#include <weft/dns.hpp>
#include <weft/stream.hpp>
#include <weft/tls.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace fetch {

class dialer {
public:
    /// Names are looked up as every program of this system does.
    explicit dialer(weft::tls_context tls = weft::tls_context::client());

    /// Names are looked up at `server`, "127.0.0.1:53" or "[::1]:53".
    /// \param retry_after  how long one question waits for its answer before it is asked again
    explicit dialer(const std::string& server,
                    std::chrono::milliseconds retry_after = std::chrono::seconds(2),
                    weft::tls_context tls = weft::tls_context::client());

    /// A connection to the first address of `host` that accepts one.
    ///
    /// Suspends:      for the name, for the connection and for the handshake.
    /// Cancellation:  while suspended.
    /// Errors:        std::system_error: in dns_category for the name, in tls_category for the certificate, else that
    ///                of the last address tried. fetch_error when it is not TLS that is spoken there.
    weft::stream connect(const std::string& host, std::uint16_t port, bool secure);

private:
    weft::stream connect_plain(const std::string& host, std::uint16_t port);

    weft::tls_context tls_;
    std::optional<weft::resolver> resolver_;
};

}  // namespace fetch
