#pragma once

/// ring: an io_uring instance: entries are filled at any time, and submitted all together when the loop waits.
///
/// Invariants
///  - What is submitted by the time wait() returns is everything that was filled before it was called; one system call
///    submits and waits. A turn in which nothing was filled and the kernel says that nothing has happened makes none.
///  - Completions are taken out by wait() only, on the loop's own stack; submit_now() leaves them in the ring.
///  - A request stays at its address until it has completed for the last time.
///  - Nothing is dropped: the kernel keeps completions that do not fit into the ring (IORING_FEAT_NODROP) and hands them out
///    as there is room; where there is no room for another entry, those that are filled are submitted.
///
/// SINGLE_ISSUER and DEFER_TASKRUN: only this thread enters the ring, and the kernel does its part of the work when this
/// thread waits, not when it happens to be interrupted. TASKRUN_FLAG tells that there is some, without a system call. Linux
/// before 6.1 does not have them, and is told to use epoll.
///
/// Who polls from outside does so by an eventfd. The ring's own descriptor does not do: what is put off until this thread enters
/// the ring (DEFER_TASKRUN) does not wake an epoll set that watches it. ring.cpp says why the eventfd is registered again and again.

#include <liburing.h>

#include <weft/detail/waiter.hpp>

namespace weft::engine_layer {

using detail::time_point;

/// What the user_data of an entry points to; null: nobody wants to know.
struct request {
    void (*complete)(request& r, int result, unsigned flags) noexcept;
};

class ring {
public:
    /// Throws std::system_error saying what is missing.
    ring();
    ~ring();
    ring(const ring&) = delete;
    ring& operator=(const ring&) = delete;

    /// Becomes readable when wait() would have something to do. Made when it is first asked for, because each wait() costs two
    /// system call or two more from then on; -1 and errno if that fails. What comes by an eventfd shows a moment later:
    /// the kernel does not signal one out of another.
    int event_fd() noexcept;

    /// Whether entry() has room, perhaps after submitting what is filled.
    bool has_room() noexcept;
    /// A cleared entry to be filled before anything else is called. Only if has_room().
    io_uring_sqe& entry(request* r) noexcept;

    /// Has the kernel begin with what is filled, and do what it has put off.
    void submit_now() noexcept;
    /// Submits, waits for a completion until the deadline, and tells the requests that have completed.
    void wait(time_point deadline) noexcept;

private:
    bool kernel_has_work() const noexcept;
    void tell_what_is_left() noexcept;

    static constexpr unsigned entries = 512;
    static constexpr unsigned completions = 4096;

    io_uring ring_{};
    int event_ = -1;
};

}  // namespace weft::engine_layer
