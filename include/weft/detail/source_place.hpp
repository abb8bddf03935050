#pragma once

/// source_place: where in a program a call stands. std::source_location, which Clang 14 does not have, without its function.

#include <cstdint>
#include <string>

#if __has_include(<source_location>)
#include <source_location>
#endif

#include <weft/detail/config.hpp>

namespace weft::detail {

struct source_place {
    const char* file = "";
    std::uint32_t line = 0;

    /// As a default argument: the place of the call.
    static constexpr source_place current(const char* f = __builtin_FILE(), std::uint32_t l = __builtin_LINE()) noexcept {
        return {f, l};
    }
    constexpr source_place() noexcept = default;
    constexpr source_place(const char* f, std::uint32_t l) noexcept : file(f), line(l) {}
#ifdef __cpp_lib_source_location
    constexpr source_place(const std::source_location& where) noexcept : file(where.file_name()), line(where.line()) {}
#endif
    /// "name.cpp:12", without the folders.
    WEFT_API std::string text() const;
};

}  // namespace weft::detail
