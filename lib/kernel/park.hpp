#pragma once

/// What the task layer needs of park beyond weft/detail/waiter.hpp.

#include "kernel/fiber.hpp"

namespace weft::kernel {

/// Whether a request may be delivered to the running fiber, which runs `work`: not while it unwinds.
bool may_deliver(const job& work) noexcept;

/// Whether the running fiber would be cancelled now if it waited. False in a loop callback.
bool cancellation_deliverable() noexcept;

/// Ends the wait that f is parked on, if that may be cancelled and nobody else has decided it. On f's loop.
/// work.cancel_deliverable is set already.
void cancel_wait(fiber& f) noexcept;

}  // namespace weft::kernel
