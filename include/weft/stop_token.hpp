#pragma once

/// Cancellation and std::stop_token, both ways: current_stop_token lets code that computes, perhaps on another thread, see that
/// its task is cancelled; cancel_on cancels a task, or a scope, when somebody else's token is stopped.

#include <functional>
#include <stop_token>
#include <string>
#include <utility>

#include <weft/cancel_scope.hpp>
#include <weft/detail/config.hpp>
#include <weft/task.hpp>

namespace weft {

/// A token that is stopped when the running task is cancelled, as seen from here: by a request from outside, or by a
/// timeout, group or scope that is open now, but not by one that is opened later; within uncancellable not by what that holds
/// back. It is stopped on whatever thread asks, at the moment of asking, and stays so, even if the request is taken back. When the
/// innermost scope open now is left, or the task ends, it is stopped no more.
///
/// Where no task runs it is never stopped. Rejected: one token for the whole task; a deadline that was caught long ago
/// would have stopped it for good.
WEFT_API std::stop_token current_stop_token();

/// While it lives: when the token is stopped, asks the running task, or the scope given, to end; at once if it is stopped
/// already. The request stands when this is gone; with a scope it ends with that.
///
/// Errors:        no_running_task without a scope, where no task runs.
/// Thread-safety: the token may be stopped on any thread. The destructor waits for a call that is under way on another thread,
///                which is short, and after it nothing more comes.
class WEFT_API cancel_on {
public:
    [[nodiscard]] explicit cancel_on(std::stop_token token, std::string message = "stop requested");
    [[nodiscard]] cancel_on(cancel_scope& scope, std::stop_token token, std::string reason = "stop requested",
              detail::source_place where = detail::source_place::current());
    cancel_on(const cancel_on&) = delete;
    cancel_on& operator=(const cancel_on&) = delete;

private:
    std::stop_callback<std::function<void()>> callback_;
};

}  // namespace weft
