#pragma once

/// signal_receiver: somebody who wants to know of signals; and the process's one handler that tells all of them. The
/// handler marks the signal in every receiver that wants it and makes that receiver's eventfd readable: an atomic operation
/// and a write, both async-signal-safe. Tasks, and loops for their signal handlers, wait for the eventfd.
///
/// Invariants
///  - The handler walks a list without a lock. A receiver is linked completely before it is published, and freed only after
///    it was unlinked and no handler was running: handlers_inside was seen at 0 after the unlinking. Whoever comes later does
///    not find it. All of this is sequentially consistent, for the two sides look at each other's variables: an unlinking
///    that a handler does not see yet implies that the unlinker sees the handler.
///  - A signal is marked before the eventfd is written; who finds no mark drains the eventfd and looks once more before
///    it waits; who takes one mark of several writes the eventfd again. So while a mark is there, the eventfd is readable or
///    somebody is about to look.
///  - The mutex of the registry is never taken by the handler.
///
/// Rejected: signalfd (the signal must be blocked in every thread, also those that exist already, and stays blocked in
/// programs that are executed); a thread that reads a pipe (a thread, and a fork loses it).

#include <atomic>
#include <cstdint>
#include <span>

namespace weft::engine_layer {

class signal_receiver {
public:
    /// From here on the process does not do what it did on these signals. `call` names the caller in errors.
    ///
    /// Errors: std::invalid_argument naming a number that is no signal, or one that cannot be handled; std::system_error.
    signal_receiver(std::span<const int> signals, const char* call);
    /// When the last receiver of a signal goes, what the process did on it before is restored, unless somebody else has put
    /// a handler of his own in the place of ours.
    ~signal_receiver();
    signal_receiver(const signal_receiver&) = delete;
    signal_receiver& operator=(const signal_receiver&) = delete;

    // Any thread.
    /// Readable while something may have come.
    int fd() const noexcept { return wakeup_; }
    /// The lowest signal that has come, taken; 0: none.
    int take() noexcept;
    /// Makes fd() unreadable. True if it was readable: then look once more before waiting.
    bool drain() noexcept;

private:
    static void on_signal(int signo) noexcept;
    static void install(int signo);
    static void restore(int signo) noexcept;
    friend void forget_previous_handler(int signo, void (*handler)(int)) noexcept;
    void ring() noexcept;
    void unpublish() noexcept;

    std::uint64_t wanted_ = 0;                  // bit number - 1; constant once published
    std::atomic<std::uint64_t> come_{0};        // those that came and were not taken
    int wakeup_ = -1;                           // an eventfd, readable while something may be in come_
    std::atomic<signal_receiver*> next_{nullptr};
};

/// For who installed `handler` by himself and takes it away now: where it stands as what to restore once the last receiver
/// of the signal is gone, the default action is restored in its place.
void forget_previous_handler(int signo, void (*handler)(int)) noexcept;

}  // namespace weft::engine_layer
