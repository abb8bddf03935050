#pragma once
// How this program writes values for people: sizes, times, and texts that came from outside.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace fetch {

std::string human_bytes(double bytes);                      ///< "512 B", "12.3 kB" (1000), "4.56 MB"
std::string human_time(std::chrono::nanoseconds duration);  ///< "0.4 ms", "12 ms", "3.46 s"

/// `text` with all that is not printable ASCII as \xNN, so that no answer can send commands to a terminal.
std::string printable(std::string_view text);

/// The printable text between single quotes.
std::string quoted(std::string_view text);

}  // namespace fetch
