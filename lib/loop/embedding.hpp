#pragma once

/// embedding: what another event loop polls to know that this loop has something to do. One descriptor, an epoll set of
/// four: the engine's own, the doorbell that other threads ring (never read, so watched for edges), a timer for the next
/// deadline, and an eventfd for what is ready already.
///
/// Invariants: between two runs, and only then, the descriptor speaks the truth: leaving() puts the inbox to sleep, so that
/// other threads ring, and sets the other two; entering() takes that back. What this thread itself gives to the loop while it
/// does not run is told by refresh(). All of it is on the loop's thread.
///
/// Rejected: a pipe to which each of these writes (a write for every timer and every callback, whether or not anybody polls).

namespace weft::loop_layer {

class core;

class embedding {
public:
    /// Throws std::system_error.
    explicit embedding(core& c);
    ~embedding();
    embedding(const embedding&) = delete;
    embedding& operator=(const embedding&) = delete;

    int fd() const noexcept { return set_; }

    void entering() noexcept;   // a run begins
    void leaving() noexcept;    // a run has ended
    void refresh() noexcept;    // outside of a run something was scheduled

private:
    void take_ring() noexcept;
    void close_all() noexcept;
    void announce() noexcept;

    core& core_;
    int set_ = -1;
    int timer_ = -1;
    int work_ = -1;
    bool away_ = true;          // between two runs
    bool asleep_ = false;       // the inbox was put to sleep
};

}  // namespace weft::loop_layer
