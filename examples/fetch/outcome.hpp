#pragma once
// How the fetch of one URL ended. Every failure a user can act upon differently is an outcome of its own.

#include <stdexcept>
#include <string>

namespace fetch {

enum class outcome {
    ok,               // the body came whole, and the status is below 400
    http_error,       // a whole answer with a status of 400 or above
    no_such_name,     // DNS says that there is no such name, or no address under it
    name_unresolved,  // DNS did not say: its server is silent, refuses or fails
    refused,          // nobody listens there
    unreachable,      // no way to that address
    connection_lost,  // reset in the middle
    no_answer,        // closed before the first byte of an answer
    truncated,        // the answer ended before its end
    malformed,        // what came is not HTTP
    too_large,        // the body is beyond the limit
    too_many_redirects,
    untrusted,    // the certificate does not show that this is the host
    no_tls,       // https, and the two ends came to no terms
    timed_out,
    not_written,  // the page came, the file could not be written
    unfinished,   // the whole run was stopped first
    failed,       // anything else
};

/// "no such name", "connection refused", ...
const char* to_string(outcome value);

/// A failure whose outcome is known where it happens. what() is the detail, and may be empty.
class fetch_error : public std::runtime_error {
public:
    fetch_error(outcome kind, const std::string& detail) : std::runtime_error(detail), kind_(kind) {}
    outcome kind() const noexcept { return kind_; }

private:
    outcome kind_;
};

struct failure {
    outcome kind;
    std::string detail;
};

/// What the exception being handled means. Call it in a catch block for std::exception; weft::cancelled is
/// none and passes.
failure current_failure();

}  // namespace fetch
