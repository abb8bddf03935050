#include <atomic>

#include <weft/detail/waiter.hpp>

#include "kernel/clock.hpp"

namespace weft::kernel {

std::atomic<clock_function> installed_clock{nullptr};   // relaxed: installed before the loops that read it run
std::atomic<advance_function> installed_advance{nullptr};

}  // namespace weft::kernel

namespace weft::detail {

time_point now() noexcept {
    if (auto installed = kernel::installed_clock.load(std::memory_order_relaxed)) [[unlikely]] return installed();
    return std::chrono::steady_clock::now();
}

}  // namespace weft::detail
