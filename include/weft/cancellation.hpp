#pragma once

/// uncancellable: a stretch of code that a cancellation does not cut.

#include <functional>
#include <type_traits>
#include <utility>

#include <weft/detail/cancellation.hpp>

namespace weft {

/// Runs f in this fiber; requests from outside are held back and delivered by the first blocking call after it. Scopes
/// (timeout, task_group) opened inside f work as ever and do not count the requests held back.
template <class F>
auto uncancellable(F&& f) -> std::invoke_result_t<F> {
    detail::cancellation_hold hold;
    return std::invoke(std::forward<F>(f));
}

}  // namespace weft
