#pragma once

/// rounds: how often a test repeats what must go right every time; fewer times where each step costs a multiple.

#include <algorithm>

#include <weft/detail/config.hpp>

#include "weft_config.hpp"

#if WEFT_HAVE_VALGRIND
#include <valgrind/valgrind.h>
#endif

namespace weft_test {

inline bool on_valgrind() {
#if WEFT_HAVE_VALGRIND
    return RUNNING_ON_VALGRIND != 0;
#else
    return false;
#endif
}

constexpr bool on_asan = WEFT_ASAN;
constexpr bool on_tsan = WEFT_TSAN;

inline int rounds(int plain) {
    const int slower = on_valgrind() ? 100 : on_tsan ? 10 : on_asan ? 4 : 1;
    return std::max(1, plain / slower);
}

}  // namespace weft_test
