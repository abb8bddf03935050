#pragma once

/// engine: what waits for the operating system. One per loop, used by that loop's thread only.
///
/// The interface is about operations, not readiness, so that an engine may either try and park (epoll) or submit
/// (io_uring). Every operation blocks the calling fiber, never the thread, and reports its outcome as a value:
///     >= 0      what the system call would have returned
///     -errno    it failed; -ECANCELED only from the system, -EBADF also when the descriptor was closed meanwhile
///     io_result::cancelled / ::timed_out   the wait ended for that reason; nothing was transferred
/// Nothing here throws. An operation checks for cancellation before it starts, though it need not wait.
///
/// A descriptor is registered once and for all with the engine that first waits for it. Using it on another loop moves
/// it there; two loops must not use one descriptor at the same time.
///
/// Who waits: at most one reader and one writer for a descriptor; a second concurrent one gets -EALREADY, which callers
/// turn into std::logic_error.

#include <sys/socket.h>
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>

#include <weft/detail/waiter.hpp>

#include "engine/file_call.hpp"

namespace weft::kernel {
class scheduler;
}

namespace weft::engine_layer {

class registration;

using detail::time_point;

/// One open file as an engine knows it. Owned through descriptor_ptr, which ends the registration and closes the file.
struct descriptor;

/// Wakes both waiters with -EBADF, deregisters, and closes the file. Safe while events for it are still in flight.
struct descriptor_closer {
    void operator()(descriptor* d) const noexcept;
};
using descriptor_ptr = std::unique_ptr<descriptor, descriptor_closer>;

/// Takes ownership of fd and makes it non-blocking. Registers nothing yet; works without a loop.
descriptor_ptr adopt(int fd);
/// The same for a file whose mode is to stay, because other processes share it: poll() works as ever, but what reads and
/// writes, the caller does itself, and only when poll() says that it need not wait.
descriptor_ptr adopt_shared(int fd);
int fd_of(const descriptor& d) noexcept;
/// Who uses d as a rule; a hint, for what to fetch before a fiber that waits for d goes on.
void set_owner(descriptor& d, const void* owner) noexcept;
/// Ends the registration, gives the file back without closing it. Waiters are woken with -EBADF.
int release(descriptor_ptr d) noexcept;
/// Closes the file now, wakes the waiters with -EBADF; the descriptor stays as a shell whose operations give -EBADF.
/// Returns 0 or -errno of close(2).
int close(descriptor& d) noexcept;

class io_result {
public:
    constexpr io_result(ssize_t value) noexcept : value_(value) {}
    static constexpr io_result cancelled() noexcept { return io_result(no_value, detail::wait_outcome::cancelled); }
    static constexpr io_result timed_out() noexcept { return io_result(no_value, detail::wait_outcome::timed_out); }

    bool ok() const noexcept { return value_ >= 0; }
    bool is_cancelled() const noexcept { return value_ == no_value && outcome_ == detail::wait_outcome::cancelled; }
    bool is_timed_out() const noexcept { return value_ == no_value && outcome_ == detail::wait_outcome::timed_out; }
    /// What the call returned; only if ok().
    ssize_t value() const noexcept { return value_; }
    /// errno of the failure, 0 if it did not fail or ended by cancellation or time.
    int error() const noexcept { return value_ < 0 && value_ != no_value ? static_cast<int>(-value_) : 0; }

private:
    static constexpr ssize_t no_value = INT64_MIN;
    constexpr io_result(ssize_t value, detail::wait_outcome outcome) noexcept : value_(value), outcome_(outcome) {}

    ssize_t value_;
    detail::wait_outcome outcome_ = detail::wait_outcome::woken;
};

enum class direction : std::uint8_t { read, write };

/// A level-triggered watch on any file, for callbacks: add_reader, c-ares. Lives as long as its owner wants; on the
/// loop's thread only.
struct watch {
    int fd = -1;
    unsigned events = 0;                                       // EPOLLIN | EPOLLOUT
    void (*ready)(watch&, unsigned events) noexcept = nullptr;   // on the loop's own stack: must not wait
};

class engine {
public:
    virtual ~engine() = default;
    virtual const char* name() const noexcept = 0;

    /// Waits until an operation can go on, the doorbell rings or the deadline comes; time_point::min(): only looks.
    /// Runs on the loop's own stack.
    virtual void wait(time_point deadline) noexcept = 0;

    /// The operations; they suspend the calling fiber, which belongs to this engine's loop. `what` is a static string
    /// that names the call for dumps.
    virtual io_result accept(descriptor&, sockaddr*, socklen_t*, int flags, time_point deadline) noexcept = 0;
    virtual io_result connect(descriptor&, const sockaddr*, socklen_t, time_point deadline) noexcept = 0;
    virtual io_result receive(descriptor&, msghdr&, int flags, time_point deadline) noexcept = 0;
    /// receive without flags, into one buffer: shorter, and with less on the stack of the fiber while it waits.
    virtual io_result receive_bytes(descriptor&, void* to, std::size_t room, time_point deadline) noexcept = 0;
    virtual io_result send(descriptor&, const msghdr&, int flags, time_point deadline) noexcept = 0;
    virtual io_result read(descriptor&, void* to, std::size_t size, time_point deadline) noexcept = 0;
    virtual io_result write(descriptor&, const void* from, std::size_t size, time_point deadline) noexcept = 0;
    virtual io_result send_file(descriptor& to, int from, off_t* offset, std::size_t size, time_point deadline) noexcept = 0;
    /// Until the descriptor is ready (level: it looks first). Value: the poll(2) events that came.
    virtual io_result poll(descriptor&, direction, time_point deadline) noexcept = 0;
    /// The same for a file that weft does not own; it is registered for this one wait only.
    virtual io_result poll_fd(int fd, direction, time_point deadline, const char* what) noexcept = 0;
    /// A call on a file that may take long (file_call.hpp). A cancellation drops a call that has not begun; of one that has
    /// it waits for the end, asking the system to hurry where that can be, and what the call did is the result: the
    /// cancellation stays pending. close is made whether cancelled or not. Reads and writes may be short; 0 is the end.
    virtual io_result perform(const file_call&, const char* what) noexcept = 0;

    /// Starts, changes (to w.events) and ends a watch; 0 or -errno. After remove() its callback is not called again, not
    /// even for an event that has come in already. One file has at most one watch.
    virtual int add(watch& w) noexcept = 0;
    virtual int modify(watch& w) noexcept = 0;
    virtual void remove(watch& w) noexcept = 0;

    /// Becomes readable when wait() would have something to do: for embedding the loop in another one. On the loop's thread;
    /// -1 and errno if there is none to be had.
    virtual int fd() noexcept = 0;

    // For descriptor.cpp.
    virtual int attach(registration& r) noexcept = 0;
    /// Any thread; the file is still open. False: this must be done again on the engine's thread before it is closed.
    virtual bool detach(registration& r) noexcept = 0;
    virtual kernel::scheduler& home() noexcept = 0;
};

/// The engine of this thread's loop. Throws no_running_loop naming `call` where none runs, no_running_task in a callback.
engine& current_engine(const char* call);

/// Both are made inside the scheduler they belong to (kernel::scheduler::enter()).
std::unique_ptr<engine> make_epoll_engine(int doorbell_fd);
/// Throws std::system_error if the kernel refuses io_uring or does not have what the engine needs of it (Linux 6.1).
std::unique_ptr<engine> make_io_uring_engine(int doorbell_fd);

}  // namespace weft::engine_layer
