#include <weft/detail/thread_state.hpp>

#include <atomic>

namespace weft::kernel {

constinit thread_local thread_state current_thread;

std::uint32_t assign_thread_id() noexcept {
    static std::atomic<std::uint32_t> last{0};   // ids only need to differ: relaxed
    return this_thread().id = last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace weft::kernel
