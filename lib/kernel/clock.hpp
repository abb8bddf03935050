#pragma once

/// The replaceable clock: virtual time for tests. While one is installed the loop does not sleep for a timer; it asks
/// `advance` to move the clock to the next deadline when nothing else can happen.

#include <atomic>

#include <weft/detail/waiter.hpp>

namespace weft::kernel {

using clock_function = detail::time_point (*)() noexcept;
using advance_function = void (*)(detail::time_point to) noexcept;

extern WEFT_API std::atomic<clock_function> installed_clock;
extern WEFT_API std::atomic<advance_function> installed_advance;

}  // namespace weft::kernel
