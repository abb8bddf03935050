#pragma once

/// TLS as this layer and dns need it: to check what a caller asks for, and to begin. Both are lib/tls's, which stands above
/// and alone knows what a tls_context is; as with open_connection, what is declared here is defined there.
///
/// Rejected: an abstract class that tls_context derives from. Its pointer is in connect_options before the class is complete,
/// so it could only be converted with all of TLS's header in stream.hpp.

#include <memory>
#include <string>
#include <string_view>

#include <weft/stream.hpp>

#include "io/transport.hpp"

namespace weft::detail {

enum class tls_side { client, server, either };

/// Throws std::invalid_argument for a context or a name that cannot be used on that side.
void check_tls(const tls_context& context, tls_side side, std::string_view server_name, const char* call);

/// Puts TLS on the transport, in its place at once, so that closing it meets the handshake; then shakes hands. If that fails,
/// the transport is good for nothing but close().
///
/// \param received  what was read from the transport and belongs to TLS
/// Suspends:      until the handshake is done.
/// Cancellation:  while suspended.
/// Errors:        tls_error; timeout_error when the context's time for handshakes is over; what the transport throws.
void start_tls(std::unique_ptr<transport>& below, const tls_context& context, const std::string& server_name,
               std::string_view received, const char* call);

}  // namespace weft::detail
