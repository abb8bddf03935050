#include "loop/core.hpp"

#include <utility>

#include "kernel/clock.hpp"

namespace weft::loop_layer {
namespace {

std::unique_ptr<engine_layer::engine> make_engine(kernel::scheduler& s, engine_choice choice) {
    switch (choice) {
        case engine_choice::epoll:
            break;
    }
    s.enter();
    try {
        auto made = engine_layer::make_epoll_engine(s.mailbox().doorbell());
        s.engine = made.get();
        s.leave();
        return made;
    } catch (...) {
        s.leave();
        throw;
    }
}

}  // namespace

core::core(std::size_t stack_size, engine_choice choice)
    : scheduler(stack_size), engine(make_engine(scheduler, choice)) {
    scheduler.loop = this;
}

core::~core() { close(); }

void core::close() noexcept {
    if (!engine) return;
    scheduler.enter();
    scheduler.close_notify();
    engine.reset();                   // from here on nobody finds the engine, and so the mailbox, through a descriptor
    scheduler.engine = nullptr;
    scheduler.mailbox().deliver();    // registrations that other threads retired
    scheduler.leave();
}

void core::turn(detail::time_point latest) noexcept {
    scheduler.mailbox().deliver();
    detail::time_point now = detail::time_point::min();
    if (scheduler.next_deadline() != detail::time_point::max()) scheduler.fire_timers(now = detail::now());
    scheduler.run_ready(turn_budget);
    scheduler.serve_boost(now);
    if (std::exchange(awake_, false) || scheduler.anything_ready()) engine->wait(detail::time_point::min());
    else sleep(latest);
}

void core::sleep(detail::time_point latest) noexcept {
    detail::time_point until = std::min(latest, scheduler.next_deadline());
    if (auto advance = kernel::installed_advance.load(std::memory_order_relaxed); advance && until != detail::time_point::max()) {
        // Virtual time: what the system has to say comes first, then the clock jumps.
        engine->wait(detail::time_point::min());
        if (!scheduler.anything_ready() && !scheduler.mailbox().full()) advance(until);
        scheduler.serve_boost(until);
        return;
    }
    scheduler.trim();
    if (until <= detail::now()) {
        engine->wait(detail::time_point::min());
        scheduler.serve_boost(detail::now());
        return;
    }
    if (!scheduler.mailbox().fall_asleep()) return;
    engine->wait(until);
    scheduler.mailbox().wake_up();
    if (scheduler.next_deadline() != detail::time_point::max()) scheduler.serve_boost(detail::now());
}

}  // namespace weft::loop_layer
