#pragma once

/// The replaceable order of ready fibers: seeded interleavings for tests. While one is installed the loop makes its switches
/// one by one from its own stack, and asks before each of them which of the first ready entries goes next.

#include <atomic>
#include <cstddef>

#include <weft/detail/config.hpp>

namespace weft::kernel {

/// Returns less than `ready`, the number of entries to choose from, oldest first: fibers, and tasks that have not begun. It
/// is at least 2 and at most order_window. On the loop's thread, on the loop's own stack.
using order_function = std::size_t (*)(std::size_t ready) noexcept;

extern WEFT_API std::atomic<order_function> installed_order;

inline constexpr std::size_t order_window = 64;

}  // namespace weft::kernel
