#include "loop/core.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

#include "kernel/clock.hpp"
#include "kernel/order.hpp"
#include "kernel/spin.hpp"
#include "loop/embedding.hpp"

namespace weft::loop_layer {
namespace {

using namespace std::chrono_literals;

constexpr auto longest_look = 50us;
constexpr auto short_sleep = 100us;   // a wake-up by the system is a part of it
constexpr auto look_at_engine = 10us;

/// What `automatic` is where the kernel allows it; else, and if it is not io_uring, epoll.
///
/// io_uring is to be it once it is nowhere the dearer one. Microseconds of the server's processor, least of alternating runs:
///                                                      epoll  io_uring
///     an echo, 1 connection                            29.0   29.6
///     an echo, 100 connections                          5.65   5.70
///     an echo, 1,000 connections                        6.03   5.87
///     an echo, 10,000 connections                       7.96   7.80
///     a connection made, served and closed, 4 at once  28.6   27.9
///     ... 50 at once                                   28.6   27.8
///     ... 500 at once                                  29.1   28.8
///     a datagram sent back, one peer                   29.2   28.6
///     a datagram sent back, 50 peers                    4.13   3.87
///     4 KiB of a cached file, one read at a time        0.825  0.835
///     a TLS handshake, one at a time                  924    937
///     a TLS handshake, 64 at a time                   386    375
/// What is left is a connection that has the loop to itself. (And more hosts refuse io_uring than epoll: that is no cost, but
/// then the same program runs on different engines.)
constexpr engine_choice preferred = engine_choice::epoll;

std::unique_ptr<engine_layer::engine> make(engine_choice choice, int doorbell) {
    if (choice == engine_choice::io_uring) return engine_layer::make_io_uring_engine(doorbell);
    if (choice == engine_choice::automatic && preferred == engine_choice::io_uring) {
        try {
            return engine_layer::make_io_uring_engine(doorbell);
        } catch (const std::system_error&) {   // refused, or too old: nobody asked for it by name
        }
    }
    return engine_layer::make_epoll_engine(doorbell);
}

std::unique_ptr<engine_layer::engine> make_engine(kernel::scheduler& s, engine_choice choice) {
    s.enter();
    try {
        auto made = make(choice, s.mailbox().doorbell());
        if (auto wrap = installed_engine_wrapper.load(std::memory_order_relaxed)) made = wrap(std::move(made));
        s.engine = made.get();
        s.leave();
        return made;
    } catch (...) {
        s.leave();
        throw;
    }
}

}  // namespace

std::atomic<engine_wrapper> installed_engine_wrapper{nullptr};

core::core(std::size_t stack_size, engine_choice choice)
    : scheduler(stack_size), engine(make_engine(scheduler, choice)) {
    scheduler.loop = this;
}

core::~core() { close(); }

void core::close() noexcept {
    if (!engine) return;
    scheduler.enter();
    scheduler.close_notify();
    host.reset();
    engine.reset();                   // from here on nobody finds the engine, and so the mailbox, through a descriptor
    scheduler.engine = nullptr;
    scheduler.mailbox().deliver();    // registrations that other threads retired
    scheduler.leave();
}

bool core::turn(detail::time_point latest) noexcept {
    scheduler.mailbox().deliver();
    detail::time_point now = detail::time_point::min();
    if (scheduler.next_deadline() != detail::time_point::max()) scheduler.fire_timers(now = detail::now());
    const bool found = scheduler.anything_ready();
    if (observer || kernel::installed_order.load(std::memory_order_relaxed)) [[unlikely]] run_stepwise();
    else scheduler.run_ready(turn_budget);
    scheduler.serve_boost(now);
    if (std::exchange(awake_, false) || scheduler.anything_ready()) engine->wait(detail::time_point::min());
    else sleep(latest);
    return found;
}

void core::run_stepwise() noexcept {
    for (int step = 0; step < turn_budget && scheduler.anything_ready(); ++step) {
        if (auto order = kernel::installed_order.load(std::memory_order_relaxed)) scheduler.choose_next(order);
        step_observer* told = observer;   // what runs may take it away
        if (told) told->before(*told, *scheduler.next_ready());
        scheduler.run_ready(1);
        if (told) told->after(*told);
    }
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
    // Threads that never stop sending do not keep the loop from its descriptors.
    if (answers_fast_ && look_out(until)) {
        if (++turns_without_look_ % 16 == 0) engine->wait(detail::time_point::min());
        return;
    }
    if (!scheduler.mailbox().fall_asleep()) {
        engine->wait(detail::time_point::min());
        return;
    }
    const detail::time_point start = detail::now();
    engine->wait(until);
    scheduler.mailbox().wake_up();
    answers_fast_ = scheduler.mailbox().full() && detail::now() - start < short_sleep;
    if (scheduler.next_deadline() != detail::time_point::max()) scheduler.serve_boost(detail::now());
}

/// A thread that must be woken by the system comes tens of microseconds late. So a loop that another thread woke from a short
/// sleep looks for that thread's next message a while before it sleeps again; one that looked in vain does so no more until
/// it is woken early again. True: there is something to do.
bool core::look_out(detail::time_point until) noexcept {
    if (!kernel::several_processors()) return false;
    const detail::time_point start = detail::now();
    const detail::time_point end = std::min(until, start + longest_look);
    detail::time_point next_look = start + look_at_engine;
    for (;;) {
        for (int i = 0; i < 32; ++i) {
            if (scheduler.mailbox().called()) return true;
            kernel::relax();
        }
        const detail::time_point now = detail::now();
        if (now >= end) break;
        if (now < next_look) continue;
        engine->wait(detail::time_point::min());
        if (scheduler.anything_ready()) return true;
        next_look = now + look_at_engine;
    }
    answers_fast_ = false;
    return false;
}

}  // namespace weft::loop_layer
