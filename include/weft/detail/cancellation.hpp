#pragma once

/// Requests to cancel, and who holds them back.
///
/// A task has a stack of frames. Requests from outside (task_handle::cancel) count in the bottom frame; a scope (a
/// timeout, a task group) counts its request in the frame that was on top when the scope was opened. Only requests of the
/// top frame are delivered. uncancellable pushes a frame: what lies below is held back until it is popped, while scopes
/// opened inside work as ever and do not see the requests held back.
///
/// A scope that is opened while the fiber unwinds (in a destructor run by an exception) pushes a frame, too: below it
/// nothing is delivered during unwinding, but the scope's own deadline is.
///
/// Invariants: frames are pushed and popped by the task's own fiber; their counters are guarded by the task's gate,
/// because other threads may cancel. undelivered <= requests. job::cancel_deliverable() is (top frame's undelivered > 0),
/// kept on the task's loop.

#include <string>

#include <weft/detail/config.hpp>

namespace weft::detail {

class task_core;

struct cancel_frame {
    cancel_frame* outer = nullptr;
    int requests = 0;              // asked for and not taken back: cancelling()
    int undelivered = 0;           // of those, how many no blocking call has thrown for yet
    unsigned deliveries = 0;       // how often requests of this frame have been delivered
    unsigned uncaught_floor = 0;   // delivered only while no more exceptions than this are in flight
};

/// Holds requests back while it lives. Does nothing on a plain thread and in a loop callback.
class WEFT_API cancellation_hold {
public:
    cancellation_hold() noexcept;
    ~cancellation_hold();
    cancellation_hold(const cancellation_hold&) = delete;
    cancellation_hold& operator=(const cancellation_hold&) = delete;

private:
    task_core* task_;
    cancel_frame frame_;
};

/// A scope's own request to cancel the running task, and what tells it from everybody else's.
class WEFT_API request_scope {
public:
    /// Throws no_running_loop or no_running_task naming `what`.
    explicit request_scope(const char* what);
    ~request_scope();
    request_scope(const request_scope&) = delete;
    request_scope& operator=(const request_scope&) = delete;

    /// Asks once; on the task's loop, also from a callback or a timer.
    void raise() noexcept;
    bool raised() const noexcept { return raised_; }
    /// Takes the request back. True if nobody else has asked since the scope was opened: then a `cancelled` that left the
    /// scope's body is the scope's own.
    bool withdraw() noexcept;
    /// Somebody else's request that was delivered inside the scope, and must not be lost, is made pending again.
    void redeliver(std::string message);
    /// True if somebody else has asked since the scope was opened.
    bool others_asked() const noexcept;

    task_core& task() const noexcept { return *task_; }

private:
    task_core* task_;
    cancel_frame own_;       // pushed only when opened during unwinding
    cancel_frame* frame_;    // where this scope's request counts
    int baseline_;           // requests in it that had been delivered when the scope was opened
    unsigned raised_at_ = 0;   // frame_->deliveries when raised: the same still means undelivered
    bool raised_ = false;
};

}  // namespace weft::detail
