#pragma once
// From a host name to a connection: through the system's resolver, or a name server that the user chose.

#include <weft/dns.hpp>
#include <weft/stream.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace fetch {

class dialer {
public:
    /// Names are looked up as every program of this system does.
    dialer() = default;

    /// Names are looked up at `server`, "127.0.0.1:53" or "[::1]:53".
    /// \param retry_after  how long one question waits for its answer before it is asked again
    explicit dialer(const std::string& server,
                    std::chrono::milliseconds retry_after = std::chrono::seconds(2));

    /// A connection to the first address of `host` that accepts one.
    ///
    /// Suspends:      for the name and for the connection.
    /// Cancellation:  while suspended.
    /// Errors:        std::system_error: in dns_category for the name, else that of the last address tried.
    weft::stream connect(const std::string& host, std::uint16_t port);

private:
    std::optional<weft::resolver> resolver_;
};

}  // namespace fetch
