#pragma once

/// Connecting to one of several addresses by "happy eyeballs" (RFC 8305), without asking where the addresses come from.

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <weft/endpoint.hpp>
#include <weft/socket.hpp>
#include <weft/stream.hpp>

namespace weft::detail {

/// The addresses in the order in which RFC 8305 section 4 tries them: families taken in turn, each in its own order, the
/// first one's first.
std::vector<endpoint> interleave_families(const std::vector<endpoint>& addresses);

/// Connects to the address whose connection stands first. An attempt begins when the one before it failed or has had
/// `delay` to itself; when one has won, the others are cancelled, and have ended when this returns or throws.
///
/// \param target  names them all in what is thrown: "example.org port 80"
/// Errors: std::system_error with the last attempt's code and every attempt's text.
socket connect_first(const std::vector<endpoint>& addresses, std::chrono::milliseconds delay,
                     const std::optional<endpoint>& local, const std::string& target);

/// Throws for options that no connection can have. \param host whom TLS expects where the options do not say
void check(const connect_options& options, std::string_view host, const char* call);

/// A stream on a connected socket, set up as every stream's socket is: small writes leave at once. With TLS: after the
/// handshake, which suspends and may fail; `call` is for its messages.
stream make_stream(socket connected, std::size_t limit, const tls_context* tls, const std::string& server_name,
                   const char* call);

}  // namespace weft::detail
