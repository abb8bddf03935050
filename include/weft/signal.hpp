#pragma once

/// signal_set: waiting for signals (asyncio's add_signal_handler, trio's open_signal_receiver) as a call that returns one.

#include <initializer_list>
#include <memory>

#include <weft/detail/config.hpp>

namespace weft {

namespace engine_layer {
class signal_receiver;
}
namespace detail {
struct WEFT_API signal_receiver_closer {
    void operator()(engine_layer::signal_receiver* r) const noexcept;
};
}  // namespace detail

/// While it lives the process does not do what it did on its signals; each one is kept for wait(). When the last set with a
/// signal is gone, what the process did on it before is restored.
///
/// Any number of sets may have the same signal: each gets it. One set may be waited on by several tasks, on any loops: each
/// signal goes to one of them. As with the operating system, a signal that comes again before it was taken counts once.
class WEFT_API signal_set {
public:
    /// Errors: std::invalid_argument naming a number that is no signal, or one that cannot be waited for: SIGKILL and SIGSTOP, and
    /// SIGSEGV and its like, whose handler must not return; std::system_error. Needs no loop.
    signal_set(std::initializer_list<int> signals);
    signal_set(signal_set&&) noexcept;
    signal_set& operator=(signal_set&&) noexcept;
    ~signal_set();

    /// Waits for one of the signals and returns its number; of several that have come the lowest. The set must outlive the call.
    ///
    /// Suspends:      until one has come.
    /// Cancellation:  always checked; no signal is lost.
    /// Errors:        std::system_error; no_running_loop, no_running_task.
    /// Thread-safety: any thread that runs a loop.
    int wait();

private:
    std::unique_ptr<engine_layer::signal_receiver, detail::signal_receiver_closer> receiver_;
};

}  // namespace weft
