#pragma once
// `fetch` without URLs: serves the built-in site, fetches it one by one and then concurrently, and compares.

#include "options.hpp"

namespace fetch {

/// Runs inside weft::run. Returns the exit status: 0 if every page gave what its kind promises.
///
/// Cancellation:  while suspended; what has been fetched until then is printed.
int run_demo(const options& wanted);

}  // namespace fetch
