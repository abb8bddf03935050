#pragma once
// What became of one URL.

#include "outcome.hpp"

#include <chrono>
#include <cstdint>
#include <string>

namespace fetch {

struct result {
    outcome how = outcome::unfinished;
    int status = 0;  ///< 0: no answer came
    std::uint64_t body_bytes = 0;
    std::chrono::nanoseconds duration{};
    int redirects = 0;
    std::string detail;  ///< what to say beside the outcome; may be empty
};

}  // namespace fetch
