#pragma once

/// call_site: where in the program a task was created, in one word: what the compiler knows of the call, file and line, or,
/// where it was not asked, an address in the code. Costs a constant to make; all work is in describe().

#include <bit>
#include <cstdint>
#include <source_location>
#include <string>

#include <weft/detail/config.hpp>

namespace weft::detail {

#ifdef __cpp_lib_source_location
using source_location = std::source_location;
#else
/// For compilers that cannot tell: nothing is known, and the address has to do.
struct source_location {
    static constexpr source_location current() noexcept { return {}; }
};
#endif

class WEFT_API call_site {
public:
    constexpr call_site() noexcept = default;
    static call_site of([[maybe_unused]] const source_location& where) noexcept {
#ifdef __cpp_lib_source_location
        static_assert(sizeof where == sizeof(std::uintptr_t));   // a pointer to what the compiler laid down
        return call_site(std::bit_cast<std::uintptr_t>(where));
#else
        return {};
#endif
    }
    /// \param address  where a call returns to
    static call_site of(const void* address) noexcept { return call_site(reinterpret_cast<std::uintptr_t>(address) | is_address); }

    explicit operator bool() const noexcept { return bits_ != 0; }

    /// "file:line", or "function+offset (object+offset)" as far as the program's symbols tell; empty if nothing is known.
    std::string describe() const;

private:
    explicit call_site(std::uintptr_t bits) noexcept : bits_(bits) {}

    static constexpr std::uintptr_t is_address = ~(UINTPTR_MAX >> 1);   // SAFETY: no address of a user's program has this bit

    std::uintptr_t bits_ = 0;   // 0: unknown
};

}  // namespace weft::detail
