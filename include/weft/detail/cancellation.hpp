#pragma once

/// Requests to cancel, and who holds them back.
///
/// A task has a stack of frames. Requests from outside (task_handle::cancel) count in the bottom frame; a scope (a
/// timeout, a task group, a cancel_scope) counts its request in the frame that was on top when the scope was opened. Only
/// requests of the top frame are delivered. uncancellable, and a scope that shields, push a frame: what lies below is held
/// back until it is popped, while scopes opened inside work as ever and do not see the requests held back.
///
/// A scope that is opened while the fiber unwinds (in a destructor run by an exception) pushes a frame, too: below it
/// nothing is delivered during unwinding, but the scope's own deadline is.
///
/// A cancel_scope may ask before it cancels. An ask ends idle waits only: those inside an idle_region. It is a state, not an
/// event: it ends each idle region's wait, once each, until the scope is left. It reaches the children of the groups and
/// gathers that are open in the scope, because those end before the scope does; their frames then point to the scope.
///
/// Invariants: frames are pushed and popped by the task's own fiber; their counters and `latest` are guarded by the task's
/// gate, because other threads may cancel; what is nested in them, and who has asked, is of the task's loop alone.
/// undelivered <= requests. job::cancel_deliverable() is (top frame's undelivered > 0, or somebody has asked in it and the
/// fiber is in an idle region), kept on the task's loop.

#include <string>

#include <weft/detail/config.hpp>
#include <weft/detail/source_place.hpp>

namespace weft {
class cancelled;
}

namespace weft::detail {

class nested;
class request_scope;
class task_core;

struct cancel_frame {
    cancel_frame* outer = nullptr;
    int requests = 0;              // asked for and not taken back: cancelling()
    int undelivered = 0;           // of those, how many no blocking call has thrown for yet
    unsigned deliveries = 0;       // how often requests of this frame have been delivered
    unsigned uncaught_floor = 0;   // delivered only while no more exceptions than this are in flight
    nested* innermost = nullptr;            // scopes and groups that are open in this frame
    const request_scope* latest = nullptr;  // names what is undelivered; null: a request from outside
    request_scope* asker = nullptr;         // has asked for the end of idle waits, and heads a list; null: nobody has
};

/// What is open in a frame: a list in the order of nesting. Opened and closed by the task's own fiber, last in, first out.
class WEFT_API nested {
public:
    nested() noexcept = default;
    nested(const nested&) = delete;
    nested& operator=(const nested&) = delete;

    /// A scope around this one asks for the end of idle waits: to be told to children.
    virtual void asked_by(request_scope& scope) noexcept;

protected:
    ~nested() = default;
    void open(task_core& t) noexcept;
    void close() noexcept;
    task_core* task() const noexcept { return task_; }
    cancel_frame& frame() const noexcept { return *frame_; }

private:
    friend class request_scope;
    friend class task_core;
    virtual const request_scope* undelivered() const noexcept;   // itself, if it has a request that is not delivered yet

    task_core* task_ = nullptr;
    cancel_frame* frame_ = nullptr;
    nested* outer_ = nullptr;
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

/// The waits in it are idle: for work to come, with none in hand. Does nothing on a plain thread and in a loop callback.
///
/// The first cancellation that is delivered inside ends the region: code that catches it, and goes on waiting for what must be
/// waited for, is not asked again.
class WEFT_API idle_region {
public:
    idle_region() noexcept;
    /// Where the running task is known already; null: none.
    explicit idle_region(task_core* running) noexcept;   // this and the end of it: task_core.hpp
    ~idle_region();
    idle_region(const idle_region&) = delete;
    idle_region& operator=(const idle_region&) = delete;

private:
    task_core* task_;
    bool outer_ = false;   // whether this one stands in another one that still counts
};

/// A scope's own request to cancel the running task, and what tells it from everybody else's.
class WEFT_API request_scope : public nested {
public:
    /// Throws no_running_loop or no_running_task naming `what`. \param shield  hold back what comes from outside of it
    request_scope(const char* what, source_place where, bool shield = false);
    ~request_scope();

    /// Asks to cancel, once; on the task's loop, also from a callback or a timer.
    void raise() noexcept;
    /// Asks once more, if what was asked before has been delivered.
    void raise_again() noexcept;
    bool raised() const noexcept { return raised_; }
    /// Asks for the end of idle waits, of this task's and of those that stand under it in the scope; likewise.
    void ask() noexcept;
    bool asked() const noexcept { return asked_; }
    /// Takes the request back. True if nobody else has asked since the scope was opened: then a `cancelled` that left the
    /// scope's body is the scope's own.
    bool withdraw() noexcept;
    /// Somebody else's request that was delivered inside the scope, and must not be lost, is made pending again.
    void redeliver(std::string message);
    /// True if somebody else has asked since the scope was opened.
    bool others_asked() const noexcept;
    /// Who has asked for the end of idle waits around or in this scope; null: nobody.
    request_scope* asker() const noexcept { return frame().asker; }

    task_core& task() const noexcept { return *nested::task(); }
    /// Where a cancellation by this scope comes from, for cancelled::message().
    virtual std::string origin() const;

private:
    friend class task_core;
    const request_scope* undelivered() const noexcept override;
    void request(bool again) noexcept;
    void take_back_ask() noexcept;

    cancel_frame own_;         // pushed only when it shields, or is opened during unwinding
    const char* what_;
    source_place where_;
    int baseline_;             // requests in its frame that had been delivered when the scope was opened
    unsigned raised_at_ = 0;   // the frame's deliveries when raised: the same still means undelivered
    request_scope* next_asker_ = nullptr;   // of the frame; at the end one of the parent task's, that stands above all
    bool raised_ = false;
    bool asked_ = false;
};

}  // namespace weft::detail
