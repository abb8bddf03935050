#pragma once

/// The errors of weft. Timeout, cancellation, end of file and failure are four different results.

#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>

#include <weft/detail/config.hpp>

namespace weft {

/// Thrown by a blocking call in a task that was asked to end (asyncio.CancelledError).
///
/// Not derived from std::exception, so that `catch (const std::exception&)` lets it pass. Copying never throws.
/// A user may throw one to end a task as cancelled.
class WEFT_API cancelled {
public:
    cancelled() noexcept = default;
    explicit cancelled(std::string message);

    /// What was given to cancel(), empty if nothing was; of a scope's cancellation where it came from: "deadline of timeout,
    /// fetch.cpp:12".
    const std::string& message() const noexcept;
    /// True if an idle wait was ended by a cancel_scope in its first phase, the grace period, and nothing else is cut yet.
    bool idle() const noexcept { return idle_; }

    /// For weft itself.
    cancelled(std::string message, bool idle);

private:
    std::shared_ptr<const std::string> message_;
    bool idle_ = false;
};

/// The call needs a loop on this thread and there is none: call it inside weft::run.
class WEFT_API no_running_loop : public std::logic_error {
public:
    explicit no_running_loop(const std::string& call);
};

/// The call has to wait, and what called it is a loop callback, not a task.
class WEFT_API no_running_task : public std::logic_error {
public:
    explicit no_running_task(const std::string& call);
};

/// The object is not in a state that allows the call (asyncio.InvalidStateError).
class WEFT_API invalid_state : public std::logic_error {
public:
    using std::logic_error::logic_error;
};

/// A deadline passed (asyncio.TimeoutError).
class WEFT_API timeout_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
    timeout_error();
};

/// get_nowait found nothing that is not promised to a waiter (asyncio.QueueEmpty).
class WEFT_API queue_empty : public std::runtime_error {
public:
    queue_empty();
};

/// put_nowait found no room that is not promised to a waiter (asyncio.QueueFull).
class WEFT_API queue_full : public std::runtime_error {
public:
    queue_full();
};

/// The queue was shut down (asyncio.QueueShutDown).
class WEFT_API queue_shutdown : public std::runtime_error {
public:
    queue_shutdown();
};

/// The barrier was aborted or reset (asyncio.BrokenBarrierError).
class WEFT_API broken_barrier : public std::runtime_error {
public:
    broken_barrier();
};

/// A worker process of a process pool died.
class WEFT_API broken_process_pool : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// An exception thrown in another process: its type's name and its what().
class WEFT_API remote_error : public std::runtime_error {
public:
    remote_error(std::string type_name, const std::string& what);
    const std::string& type_name() const noexcept { return *type_name_; }

private:
    std::shared_ptr<const std::string> type_name_;
};

/// The stream ended before everything asked for had come (asyncio.IncompleteReadError).
class WEFT_API incomplete_read_error : public std::runtime_error {
public:
    /// \param expected  the number of bytes asked for, or npos when reading up to a separator.
    incomplete_read_error(std::string partial, std::size_t expected);

    /// What had come before the end.
    const std::string& partial() const noexcept { return *partial_; }
    std::size_t expected() const noexcept { return expected_; }

private:
    std::shared_ptr<const std::string> partial_;
    std::size_t expected_;
};

/// The separator was not found within the stream's limit (asyncio.LimitOverrunError); nothing was consumed.
class WEFT_API limit_overrun_error : public std::runtime_error {
public:
    limit_overrun_error(const std::string& what, std::size_t consumed);

    /// How many buffered bytes were looked through.
    std::size_t consumed() const noexcept { return consumed_; }

private:
    std::size_t consumed_;
};

/// Ctrl-C ended the main task (KeyboardInterrupt).
class WEFT_API interrupted : public std::runtime_error {
public:
    interrupted();
};

}  // namespace weft
