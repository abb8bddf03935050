#include <weft/stop_token.hpp>

#include <algorithm>
#include <vector>

#include <weft/detail/task_core.hpp>

#include "task/extras.hpp"
#include "task/loop_state.hpp"

namespace weft {

namespace detail {

std::vector<std::stop_source> task_core::extras::stopped_by(const cancel_frame& frame, const nested* scope) const {
    std::vector<std::stop_source> stopped;
    for (const stop& s : stops) {
        if (s.frame != &frame) continue;
        bool inside = !scope;
        for (const nested* n = s.level; n && !inside; n = n->outer_) inside = n == scope;
        if (inside) stopped.push_back(s.source);
    }
    return stopped;
}

void stop_all(std::vector<std::stop_source>& sources) {
    loop_state* here = loop_state::current();
    if (here && here->defer_stops) {
        here->deferred_stops.insert(here->deferred_stops.end(), sources.begin(), sources.end());
        return;
    }
    for (std::stop_source& s : sources) s.request_stop();
}

void loop_state::stop_deferred() noexcept {
    auto sources = std::move(deferred_stops);
    deferred_stops.clear();
    for (std::stop_source& s : sources) s.request_stop();
}

void task_core::forget_stops(const cancel_frame* frame, const nested* level) noexcept {
    gate_lock lock(gate_);
    std::erase_if(extras_->stops, [&](const extras::stop& s) { return s.frame == frame && (!level || s.level == level); });
}

std::stop_token task_core::stop_token() {
    std::stop_source source;
    gate_lock lock(gate_);
    auto& stops = more().stops;
    const auto known = std::find_if(stops.begin(), stops.end(), [&](const extras::stop& s) {
        return s.frame == top_ && s.level == top_->innermost && !s.source.stop_requested();
    });
    if (known != stops.end()) return known->source.get_token();
    const bool pending = top_->undelivered > 0;
    std::erase_if(stops, [](const extras::stop& s) { return s.source.stop_requested(); });   // nothing more comes of those
    if (!pending) stops.push_back({top_, top_->innermost, source});
    lock.leave();
    if (pending) source.request_stop();
    return source.get_token();
}

}  // namespace detail

std::stop_token current_stop_token() {
    detail::task_core* t = detail::task_core::current();
    return t ? t->stop_token() : std::stop_token();
}

cancel_on::cancel_on(std::stop_token token, std::string message)
    : callback_(std::move(token), [task = current_task(), text = std::move(message)] { task.cancel(text); }) {}

cancel_on::cancel_on(cancel_scope& scope, std::stop_token token, std::string reason, detail::source_place where)
    : callback_(std::move(token), [handle = scope.share(), text = std::move(reason), where] {
          detail::cancel(handle, detail::now(), text, where);
      }) {}

}  // namespace weft
