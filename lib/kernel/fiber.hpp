#pragma once

/// fiber: a stack with what belongs to it, and job: a piece of work that runs on one.
///
/// A worker fiber runs one job after the other and is kept between them, stack warm. Its control block stands at the top
/// of its own stack, so that a parked fiber touches one page. The Boost.Fiber context that switches it stands just
/// below; boost_bridge.hpp tells how the two know each other.

#include <cstddef>
#include <cstdint>

#include <weft/detail/waiter.hpp>

#include "kernel/run_queue.hpp"
#include "kernel/switch.hpp"

namespace boost::fibers {
class context;
}

namespace weft::kernel {

class scheduler;

/// What the C++ runtime keeps per thread for exceptions (Itanium C++ ABI 2.2.2, __cxa_eh_globals) and what belongs to
/// each fiber: exceptions being handled, and how many are on their way.
struct exception_state {
    void* caught = nullptr;
    unsigned uncaught = 0;
};

/// Where a stack lies. lowest is the guard page's address; size includes the guard page.
struct stack_span {
    char* lowest = nullptr;
    std::size_t size = 0;
    std::size_t guard = 0;   // bytes at the low end that fault; 0: unguarded
    char* top() const noexcept { return lowest + size; }
};

struct alignas(64) fiber : runnable {
    explicit fiber(scheduler& s, runnable_kind k = runnable_kind::fiber) noexcept : runnable(k), home(&s) {}
    fiber(const fiber&) = delete;
    fiber& operator=(const fiber&) = delete;

    // What every switch and every wait touches: one cache line, beginning with runnable's link and kind.
    bool cancel_deliverable = false;             // its job's
    bool retire = false;                         // return from the worker's function when next resumed
    bool foreign = false;                        // a fiber of Boost's own, not one of our workers
    bool cancellable = false;                    // a cancellation may end the wait it is parked in
    int saved_errno = 0;                         // while suspended
    void* stack_pointer = nullptr;               // while suspended by us; null: what Boost has in *boost_stack_pointer counts
    boost::fibers::context* context = nullptr;
    exception_state exceptions;                  // while suspended
    job* work = nullptr;                         // null: idle, the loop's own stack, or a foreign fiber
    detail::waiter* waiting = nullptr;           // what it is parked on

    // Places that it touches when it goes on, besides its frames: hints, perhaps of what is gone (scheduler::look_ahead).
    const void* touched_by_caller[3] = {};
    const void* touched_by_engine[3] = {};
    void** boost_stack_pointer = nullptr;        // where Boost keeps it: null there unless Boost suspended the fiber
    scheduler* home;
    stack_span stack;
    std::size_t stack_number = 0;                // of the pool, for giving back
    fiber* all_next = nullptr;                   // every worker of the scheduler, for diagnostics and shutdown
    fiber* all_previous = nullptr;
    void* fake_stack = nullptr;                  // AddressSanitizer's, while suspended
    void* tsan_fiber = nullptr;                  // ThreadSanitizer's
    unsigned valgrind_stack = 0;
#if defined(__aarch64__)
    control_words controls;                      // while suspended; elsewhere in the frame
#endif
    alignas(void*) unsigned char link_storage[32];   // boost_bridge's fiber_link
};

}  // namespace weft::kernel
