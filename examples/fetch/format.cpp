#include "format.hpp"

#include <array>
#include <cstdio>

namespace fetch {
namespace {

std::string with_unit(double value, int digits, const char* unit) {
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%.*f %s", digits, value, unit);
    return text.data();
}

// Three figures that mean something: 1.23, 12.3, 123.
int digits_for(double value) {
    return value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
}

}  // namespace

std::string human_bytes(double bytes) {
    if (bytes < 999.5)
        return with_unit(bytes, 0, "B");
    for (const char* unit : {"kB", "MB", "GB"}) {
        bytes /= 1000;
        if (bytes < 999.5)
            return with_unit(bytes, digits_for(bytes), unit);
    }
    return with_unit(bytes / 1000, 2, "TB");
}

std::string human_time(std::chrono::nanoseconds duration) {
    const double milliseconds = std::chrono::duration<double, std::milli>(duration).count();
    if (milliseconds >= 999.5)
        return with_unit(milliseconds / 1000, 2, "s");
    return with_unit(milliseconds, milliseconds < 9.95 ? 1 : 0, "ms");
}

std::string printable(std::string_view text) {
    std::string result;
    for (char c : text) {
        if (c >= ' ' && c < 0x7f) {
            result += c;
        } else {
            std::array<char, 8> escaped{};
            std::snprintf(escaped.data(), escaped.size(), "\\x%02X", static_cast<unsigned char>(c));
            result += escaped.data();
        }
    }
    return result;
}

std::string quoted(std::string_view text) {
    return std::string("'").append(printable(text)).append("'");
}

}  // namespace fetch
