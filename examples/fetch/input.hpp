#pragma once
// The text of a file, of a pipe, or of what somebody types.

#include <string>

namespace fetch {

/// All of the file at `path`; "-" is standard input.
///
/// Suspends:      while there is nothing to read yet, which for a terminal or a pipe may be long.
/// Cancellation:  while suspended.
/// Errors:        usage_error naming the path.
std::string read_input(const std::string& path);

}  // namespace fetch
