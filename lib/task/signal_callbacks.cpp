#include "task/signal_callbacks.hpp"

#include <sys/epoll.h>

#include <system_error>
#include <utility>

#include <weft/loop.hpp>

#include "task/loop_state.hpp"

namespace weft::detail {

signal_callbacks::entry::entry(loop_state& s, int signo) : loop(s), receiver({&signo, 1}, "loop::add_signal_handler") {
    fd = receiver.fd();
    events = EPOLLIN;
    ready = [](engine_layer::watch& w, unsigned) noexcept {
        auto& e = static_cast<entry&>(w);
        e.receiver.drain();
        if (e.receiver.take()) e.call->trigger();
    };
    if (const int error = loop.core.engine->add(*this); error < 0)
        throw std::system_error(-error, std::generic_category(), "watching for a signal");
}

signal_callbacks::entry::~entry() { loop.core.engine->remove(*this); }

void signal_callbacks::add(int signo, std::function<void()> f) {
    auto call = std::make_shared<recurring_callback>(loop_, std::move(f));
    auto& place = entries_[signo];
    if (!place) {
        try {
            place = std::make_unique<entry>(loop_, signo);
        } catch (...) {
            entries_.erase(signo);
            throw;
        }
    }
    const auto replaced = std::exchange(place->call, std::move(call));
    if (replaced) replaced->stop();
}

bool signal_callbacks::remove(int signo) noexcept {
    const auto place = entries_.find(signo);
    if (place == entries_.end()) return false;
    const auto removed = std::move(place->second);   // freed at the end: its end may add others
    entries_.erase(place);
    removed->call->stop();
    return true;
}

}  // namespace weft::detail
