#pragma once
// The command line. Everything in `options` has been checked; what cannot be used is a usage_error that names
// the value.

#include "url.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace fetch {

/// The user has to change the call: exit status 2.
class usage_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

struct host_and_port {
    std::string host;
    std::uint16_t port;
};

struct options {
    bool help = false;
    std::vector<url> urls;
    std::optional<std::string> input;   ///< a file with URLs, "-" for standard input
    std::optional<std::string> output;  ///< the directory for the bodies
    std::optional<host_and_port> dns;   ///< the name server to ask in place of the system's
    std::optional<std::string> cacert;  ///< a file of authorities to trust beside the system's
    bool insecure = false;              ///< https without looking at the certificate
    std::optional<std::size_t> concurrency;
    std::chrono::nanoseconds timeout = std::chrono::seconds(30);
    std::optional<std::chrono::nanoseconds> total_timeout;
    std::uint64_t max_body = 1'000'000'000;

    /// Nothing to fetch was named: the program serves its own site.
    bool demonstration() const { return urls.empty() && !input; }
};

/// Throws usage_error. `arguments` are those after the program's name.
options parse_options(const std::vector<std::string_view>& arguments);

/// The URLs in `text`, one a line; blank lines and lines that begin with '#' are left out. `source` is for
/// messages. Throws usage_error.
std::vector<url> parse_url_list(std::string_view text, const std::string& source);

std::string_view help_text();

}  // namespace fetch
