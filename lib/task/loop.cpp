#include <weft/loop.hpp>

#include "task/loop_state.hpp"

namespace weft {

namespace detail {

handle_state::handle_state(loop_state& s, std::function<void()> function)
    : callback([](kernel::callback& c) noexcept {
          auto& h = static_cast<handle_state&>(c);
          auto keep = std::move(h.self);
          h.leave();
          {
              context_scope in_context(h.values);
              if (!h.cancelled) {
                  try {
                      h.f();
                  } catch (...) {
                      h.loop->report({"a callback threw", std::current_exception(), {}});
                  }
              }
              h.f = nullptr;
          }
          h.values.clear();
      }),
      loop(&s),
      f(std::move(function)) {
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
    if (!state_ || std::exchange(state_->cancelled, true)) return;
    if (!state_->armed()) return;   // in the run queue: it passes without a call
    state_->loop->core.scheduler.timers().remove(*state_);
    state_->leave();
    auto last = std::move(state_->self);
    state_->f = nullptr;
    state_->values.clear();
}

bool handle::cancelled() const noexcept { return state_ && state_->cancelled; }

void loop::check_open(const char* call) const {
    if (state_.closed) throw invalid_state(std::string(call) + ": the loop is closed");
}

handle loop::schedule(std::function<void()> f) {
    check_open("loop::call_soon");
    auto h = std::make_shared<detail::handle_state>(state_, std::move(f));
    h->self = h;
    h->enter();
    state_.core.scheduler.ready(*h);
    return handle(std::move(h));
}

handle loop::schedule_threadsafe(std::function<void()> f) {
    check_open("loop::call_soon_threadsafe");
    auto h = std::make_shared<detail::handle_state>(state_, std::move(f));
    h->self = h;
    state_.core.scheduler.mailbox().post(*h);
    return handle(std::move(h));
}

handle loop::schedule_at(detail::time_point when, std::function<void()> f) {
    check_open("loop::call_at");
    auto h = std::make_shared<detail::handle_state>(state_, std::move(f));
    h->self = h;
    h->enter();
    h->when = when;
    state_.core.scheduler.timers().add(*h);
    return handle(std::move(h));
}

bool loop::is_running() const noexcept { return detail::loop_state::current() == &state_; }
bool loop::is_closed() const noexcept { return state_.closed; }

void loop::set_exception_handler(std::function<void(loop&, const exception_context&)> handler) {
    state_.exception_handler = std::move(handler);
}

void loop::call_exception_handler(const exception_context& context) noexcept { state_.report(context); }

void loop::set_debug(bool on) noexcept { state_.debug = on; }
bool loop::get_debug() const noexcept { return state_.debug; }

loop& get_running_loop() {
    detail::loop_state* s = detail::loop_state::current();
    if (!s) throw no_running_loop("get_running_loop");
    return s->facade;
}

}  // namespace weft
