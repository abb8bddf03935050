#include "kernel/order.hpp"

#include <weft/detail/waiter.hpp>

#include "kernel/scheduler.hpp"

namespace weft::kernel {

std::atomic<order_function> installed_order{nullptr};   // relaxed: installed before the loops that read it run

void scheduler::choose_next(order_function choose) noexcept {
    runnable* const first = queue_.front();
    if (!first || first == started_eagerly_) return;
    std::size_t count = 0;
    // Callbacks stay in order, and are not overtaken: call_soon promises it.
    for (const runnable* r = first; r && r->kind != runnable_kind::callback && count < order_window; r = r->next) ++count;
    if (count < 2) return;
    const std::size_t chosen = choose(count);
    if (chosen >= count) detail::program_error("an order_function chose an entry that is not there; return less than `ready`");
    queue_.bring_forward(chosen);
}

}  // namespace weft::kernel
