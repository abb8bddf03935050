#pragma once
// The part of RFC 3986 that a fetcher of web pages needs: absolute http and https URLs, and references
// relative to one (the Location of a redirect). Every error names the value and what is wrong with it.
//
// Boost.URL was tried: in 1.81 it keeps a leading "/.." when it resolves a reference (RFC 3986, 5.2.4 drops
// it), knows no range for ports and says only "leftover" of an illegal character.

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace fetch {

/// A URL that cannot be used; what() names it.
class url_error : public std::invalid_argument {
public:
    using std::invalid_argument::invalid_argument;
};

struct url {
    std::string scheme;  ///< "http" or "https"
    std::string host;    ///< a name in lower case or an address; an IPv6 address without its brackets
    std::uint16_t port = 0;
    std::string target;  ///< path and query as they stand in the request line; never empty

    /// What the Host header says: the port only where it is not the scheme's own.
    std::string authority() const;
    std::string to_string() const;
};

/// Throws url_error.
url parse_url(std::string_view text);

/// The URL that `reference` means when it stands in the page `base` (RFC 3986, 5.2). Throws url_error.
url resolve(const url& base, std::string_view reference);

/// Throws url_error unless `host` is a name that DNS can hold or an address (IPv6 without brackets).
void check_host(std::string_view host);

/// The port that `text` says, 1 to 65535. Throws url_error.
std::uint16_t parse_port(std::string_view text);

}  // namespace fetch
