#include <weft/signal.hpp>

#include <stdexcept>
#include <string>

#include <weft/detail/task_core.hpp>
#include <weft/error.hpp>

#include "engine/signal_receiver.hpp"
#include "io/socket_state.hpp"

namespace weft {

using engine_layer::signal_receiver;

void detail::signal_receiver_closer::operator()(signal_receiver* r) const noexcept { delete r; }

signal_set::signal_set(std::initializer_list<int> signals) {
    if (signals.size() == 0) throw std::invalid_argument("signal_set: it is empty, and would wait forever");
    receiver_.reset(new signal_receiver({signals.begin(), signals.size()}, "signal_set"));
}

signal_set::signal_set(signal_set&&) noexcept = default;
signal_set& signal_set::operator=(signal_set&&) noexcept = default;
signal_set::~signal_set() = default;

int signal_set::wait() {
    constexpr const char* call = "signal_set::wait";
    if (!receiver_) throw invalid_state("signal_set::wait: this set was moved away");
    detail::idle_region idle;
    signal_receiver& r = *receiver_;
    engine_layer::engine& e = engine_layer::current_engine(call);
    detail::check_cancelled();
    for (;;) {
        if (const int signo = r.take()) return signo;
        if (r.drain()) continue;   // look once more before waiting
        const auto ready = e.poll_fd(r.fd(), engine_layer::direction::read, detail::time_point::max(), call);
        if (!ready.ok()) detail::throw_failure(ready, call, "descriptor " + std::to_string(r.fd()));
    }
}

}  // namespace weft
