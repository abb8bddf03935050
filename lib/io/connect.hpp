#pragma once

/// Connecting to one of several addresses by "happy eyeballs" (RFC 8305), without asking where the addresses come from.

#include <sys/socket.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <weft/endpoint.hpp>
#include <weft/socket.hpp>
#include <weft/stream.hpp>

namespace weft::detail {

/// The addresses of one host, as they become known.
class address_source {
public:
    virtual ~address_source() = default;

    /// Waits until there are some; the best of them first. May bring none.
    ///
    /// Errors: the first time, when there are none at all. Later: what went wrong with some of them.
    virtual std::vector<endpoint> next() = 0;
    /// Whether next() may bring more.
    virtual bool more() const noexcept = 0;
};

/// Addresses in the order in which RFC 8305 section 4 tries them: families taken in turn, each in its own order, the first
/// one's first. What is added while they are being tried joins the turns.
class untried_addresses {
public:
    void add(const std::vector<endpoint>& addresses) { waiting_.insert(waiting_.end(), addresses.begin(), addresses.end()); }
    std::size_t size() const noexcept { return waiting_.size(); }
    endpoint take();   // one there must be

private:
    std::vector<endpoint> waiting_;
    int last_family_ = AF_UNSPEC;
};

/// Connects to the address whose connection stands first. An attempt begins when the one before it failed or has had
/// `delay` to itself; when one has won, the others are cancelled, and have ended when this returns or throws. Waiting for
/// further addresses holds nothing up.
///
/// \param target  names them all in what is thrown: "example.org port 80"
/// Errors: what the source throws the first time; std::system_error with the last attempt's code and every attempt's text.
socket connect_first(address_source& source, std::chrono::milliseconds delay, const std::optional<endpoint>& local,
                     const std::string& target);

/// Throws for options that no connection can have. \param host whom TLS expects where the options do not say
void check(const connect_options& options, std::string_view host, const char* call);

/// A stream on a connected socket, set up as every stream's socket is: small writes leave at once. With TLS: after the
/// handshake, which suspends and may fail; `call` is for its messages.
stream make_stream(socket connected, std::size_t limit, const tls_context* tls, const std::string& server_name,
                   const char* call);

}  // namespace weft::detail
