#pragma once

/// recurring_callback: a function that is called again and again, each time as a callback in the loop's next turn, in the
/// context of who set it. While one call is on its way, triggers add nothing. On the loop's thread.

#include <functional>
#include <memory>

#include <weft/detail/context.hpp>

#include "task/handle_state.hpp"

namespace weft::detail {

class recurring_callback : public std::enable_shared_from_this<recurring_callback> {
public:
    recurring_callback(loop_state& s, std::function<void()> f) : loop_(s), f_(std::move(f)) {}

    /// Without memory for a call it does nothing: whoever is level-triggered comes again.
    void trigger() noexcept;
    /// It is not called again, also if it was due. The function is kept: it may be running.
    void stop() noexcept;

private:
    loop_state& loop_;
    std::function<void()> f_;
    context values_ = context::copy_of_current();
    std::shared_ptr<handle_state> call_;   // the last one
};

}  // namespace weft::detail
