#pragma once
// One HTTP/1.1 GET, redirects included. The protocol is Boost.Beast's; what is here is the order of the steps
// and the meaning of each way to fail.

#include "outcome.hpp"
#include "url.hpp"

#include <weft/stream.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace fetch {

struct answer {
    int status = 0;
    std::string reason;            ///< as the server sent it: "Not Found"
    std::uint64_t body_bytes = 0;  ///< after chunked coding was taken off
    int redirects = 0;
    url address;  ///< where it came from, after the redirects
};

/// Gets the body of the final answer piece by piece, if its status is below 300. What it throws ends the
/// fetch.
using body_sink = std::function<void(std::string_view)>;

/// Opens a connection to an address's host and port, with TLS for https; what it throws ends the fetch.
using dial = std::function<weft::stream(const url& address)>;

class http_client {
public:
    static constexpr int max_redirects = 10;

    http_client(dial connect, std::uint64_t max_body) : connect_(std::move(connect)), max_body_(max_body) {}

    /// Suspends:      yes.
    /// Cancellation:  while suspended; the connection is closed.
    /// Errors:        fetch_error, and what dial and sink throw. A status of 400 or above is an answer.
    answer get(const url& address, const body_sink& sink) const;

private:
    struct exchange;  // the answer and, of a redirect, its Location
    exchange get_once(const url& address, const body_sink& sink) const;

    dial connect_;
    std::uint64_t max_body_;
};

}  // namespace fetch
