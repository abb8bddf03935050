#pragma once

/// context_state: what the copies of a tls_context share, and the connections that were made with it keep.
///
/// Written only while it is set up; then read by any thread, but for the sessions, which have a mutex of their own, and what
/// OpenSSL itself keeps in its SSL_CTX.

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <weft/tls.hpp>

#include "tls/certificate.hpp"
#include "tls/openssl.hpp"
#include "tls/session_cache.hpp"

namespace weft::tls_layer {

struct context_state {
    bool is_server = false;
    ssl_ctx_ptr context;
    verify_mode mode = verify_mode::none;
    bool check_host = true;
    std::chrono::nanoseconds handshake_timeout = std::chrono::seconds(60);
    std::string alpn;                      // each protocol behind a byte that says how long it is (RFC 7301)
    struct host {
        std::string name;                  // lower case; "*.example.org" covers one label
        identity shown;
    };
    std::vector<host> hosts;               // beside the context's own certificate
    session_cache sessions;                // a client's
    unsigned rules = 0;                    // how often they changed: a server's tickets are good for connections under the same ones

    /// Whom it trusts, or what it shows, has changed: sessions that were begun before are not gone on with.
    void rules_changed();
    /// What is shown to clients that ask for this name; null: the context's own certificate.
    const identity* identity_for(std::string_view server_name) const;
};

}  // namespace weft::tls_layer
