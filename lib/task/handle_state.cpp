#include "task/handle_state.hpp"

#include <utility>

#include <weft/loop.hpp>

#include "task/loop_state.hpp"

namespace weft {

namespace detail {

handle_state::handle_state(loop_state& s, std::function<void()> function)
    : callback(call), loop(&s), thread(s.thread), f(std::move(function)) {
    fire = [](kernel::timer& t) noexcept {
        auto& h = static_cast<handle_state&>(t);
        h.loop->core.scheduler.ready(h);
    };
    deliver = [](message& m) noexcept {
        auto& h = static_cast<handle_state&>(m);
        h.enter();
        h.loop->core.scheduler.ready(h);
    };
}

void handle_state::call(kernel::callback& c) noexcept {
    auto& h = static_cast<handle_state&>(c);
    auto keep = std::move(h.self);
    h.leave();
    {
        context_scope in_context(h.values);
        if (!h.cancelled.load(std::memory_order_relaxed)) {
            try {
                h.f();
            } catch (...) {
                h.loop->report({"a callback threw", std::current_exception(), {}, h.created_at.describe()});
            }
        }
        h.f = nullptr;
    }
    h.values.clear();
}

void handle_state::enter() noexcept {
    pending = true;
    previous_pending = nullptr;
    next_pending = loop->first_pending;
    if (next_pending) next_pending->previous_pending = this;
    loop->first_pending = this;
}

void handle_state::leave() noexcept {
    if (!pending) return;
    pending = false;
    if (previous_pending) previous_pending->next_pending = next_pending;
    else if (loop) loop->first_pending = next_pending;
    if (next_pending) next_pending->previous_pending = previous_pending;
}

}  // namespace detail

void handle::cancel() noexcept {
    if (!state_ || state_->cancelled.exchange(true, std::memory_order_relaxed)) return;
    if (state_->thread != kernel::this_thread().id) return;   // the loop will see it
    if (!state_->self) return;                                // it has begun, or its loop has ended
    std::shared_ptr<detail::handle_state> last;
    if (state_->armed()) {   // else it is in the run queue, or on its way there, and passes without a call
        state_->loop->core.scheduler.timers().remove(*state_);
        state_->leave();
        last = std::move(state_->self);
    }
    state_->f = nullptr;
    state_->values.clear();
}

bool handle::cancelled() const noexcept { return state_ && state_->cancelled.load(std::memory_order_relaxed); }

}  // namespace weft
