#pragma once

/// uncancellable, idle, cancel_requested: how code says where a cancellation may cut it, and looks whether one is coming.

#include <functional>
#include <type_traits>
#include <utility>

#include <weft/detail/task_core.hpp>

namespace weft {

/// Runs f in this fiber; requests from outside are held back and delivered by the first blocking call after it. Scopes
/// (timeout, task_group, cancel_scope) opened inside f work as ever and do not count the requests held back.
template <class F>
auto uncancellable(F&& f) -> std::invoke_result_t<F> {
    detail::cancellation_hold hold;
    return std::invoke(std::forward<F>(f));
}

/// Runs f in this fiber; its waits are idle: the task waits for work to come and has none in hand. In the first phase of
/// cancel_scope::cancel(grace) they end by `cancelled`, at once; all other waits go on. The waits of queue::get, socket::accept,
/// server::serve_forever and signal_set::wait are idle by themselves.
///
///     weft::idle([&] { changed.wait(); });      // whoever is asked to end need not wait for the next change
///
/// Inside it the first cancellation that is delivered is the last: code that catches it and goes on waiting is not idle.
template <class F>
auto idle(F&& f) -> std::invoke_result_t<F> {
    detail::idle_region region;
    return std::invoke(std::forward<F>(f));
}

/// True if the running task is asked to end here: by a cancel_scope around it, in its first phase or after, or by a request that
/// the next blocking call will throw. False inside uncancellable for requests from outside of it, while the fiber
/// unwinds, and where no task runs. For code that computes, or decides whether to begin something new.
WEFT_API bool cancel_requested() noexcept;

}  // namespace weft
