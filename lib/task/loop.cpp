#include <weft/loop.hpp>

#include <stdexcept>

#include "task/loop_state.hpp"

namespace weft {

using engine_layer::direction;

void loop::check(const char* call) const {
    if (state_.closed) throw invalid_state(std::string(call) + ": the loop is closed");
    if (state_.debug.load(std::memory_order_relaxed) && !state_.on_its_thread()) [[unlikely]]
        throw std::logic_error(std::string(call) + ": not on the loop's own thread; use call_soon_threadsafe from others");
}

handle loop::schedule(std::function<void()> f) {
    check("loop::call_soon");
    auto h = state_.schedule(std::move(f));
    if (state_.debug.load(std::memory_order_relaxed)) [[unlikely]] h->created_at = detail::call_site::of(__builtin_return_address(0));
    return handle(std::move(h));
}

handle loop::schedule_threadsafe(std::function<void()> f) {
    if (detail::loop_state::current() == &state_ && !state_.closed) return handle(state_.post(std::move(f)));
    std::shared_ptr<detail::handle_state> h;
    // In the directory a loop stays open as long as this takes: what is posted is delivered, or freed when it closes.
    detail::loop_state::if_open(state_.serial, [&](detail::loop_state& s) { h = s.post(std::move(f)); });
    if (!h) throw invalid_state("loop::call_soon_threadsafe: the loop is closed");
    return handle(std::move(h));
}

handle loop::schedule_at(detail::time_point when, std::function<void()> f) {
    check("loop::call_at");
    auto h = std::make_shared<detail::handle_state>(state_, std::move(f));
    if (state_.debug.load(std::memory_order_relaxed)) [[unlikely]] h->created_at = detail::call_site::of(__builtin_return_address(0));
    h->self = h;
    h->enter();
    h->when = when;
    state_.core.scheduler.timers().add(*h);
    state_.scheduled();
    return handle(std::move(h));
}

void loop::watch_reader(int fd, std::function<void()> f) {
    check("loop::add_reader");
    if (!state_.descriptors) state_.descriptors = std::make_unique<detail::descriptor_callbacks>(state_);
    state_.descriptors->add(fd, direction::read, std::move(f), "loop::add_reader");
}

void loop::watch_writer(int fd, std::function<void()> f) {
    check("loop::add_writer");
    if (!state_.descriptors) state_.descriptors = std::make_unique<detail::descriptor_callbacks>(state_);
    state_.descriptors->add(fd, direction::write, std::move(f), "loop::add_writer");
}

bool loop::remove_reader(int fd) {
    check("loop::remove_reader");
    return state_.descriptors && state_.descriptors->remove(fd, direction::read);
}

bool loop::remove_writer(int fd) {
    check("loop::remove_writer");
    return state_.descriptors && state_.descriptors->remove(fd, direction::write);
}

void loop::watch_signal(int signo, std::function<void()> f) {
    check("loop::add_signal_handler");
    if (!state_.signals) state_.signals = std::make_unique<detail::signal_callbacks>(state_);
    state_.signals->add(signo, std::move(f));
}

bool loop::remove_signal_handler(int signo) {
    check("loop::remove_signal_handler");
    return state_.signals && state_.signals->remove(signo);
}

void loop::begin(const char* call) { state_.enter(call); }
void loop::end() noexcept { state_.leave(); }

void loop::run_forever() {
    begin("loop::run_forever");
    do state_.core.turn();
    while (!state_.take_stop());
    end();
}

void loop::drive(const task_handle& main) {
    detail::end_watch end(state_, main);
    while (!main.done()) {
        state_.core.turn();
        if (state_.take_stop() && !main.done())
            throw invalid_state("loop::run_until_complete: the loop was stopped before the task ended; it goes on in the next run");
    }
}

void loop::stop() noexcept { state_.stop(); }

int loop::fd() const {
    check("loop::fd");
    detail::loop_state& s = state_;
    if (!s.core.host) {
        auto made = std::make_unique<loop_layer::embedding>(s.core);
        const bool inside = detail::loop_state::current() == &s;
        if (!inside) {
            s.enter("loop::fd");
            // What the engine waits for is asked for from here on, and the doorbell's ring for an earlier loop is forgotten.
            s.core.engine->wait(detail::time_point::min());
        }
        s.core.host = std::move(made);
        if (inside) s.core.host->entering();
        else s.leave();
    }
    return s.core.host->fd();
}

bool loop::run_once_until(detail::time_point latest) {
    begin("loop::run_once");
    auto& core = state_.core;
    bool found = core.turn(detail::time_point::min());
    if (!found) {
        if (!core.scheduler.anything_ready() && latest > detail::now()) core.sleep(latest);
        found = core.turn(detail::time_point::min());
    }
    state_.take_stop();
    end();
    return found;
}

bool loop::is_running() const noexcept { return state_.running.load(std::memory_order_relaxed); }
bool loop::is_closed() const noexcept { return state_.closed; }

void loop::set_exception_handler(std::function<void(loop&, const exception_context&)> handler) {
    if (state_.closed) throw invalid_state("loop::set_exception_handler: the loop is closed");
    if (state_.on_its_thread()) state_.exception_handler = std::move(handler);
    else call_soon_threadsafe([this, h = std::move(handler)]() mutable { state_.exception_handler = std::move(h); });
}

void loop::call_exception_handler(const exception_context& context) noexcept { state_.report(context); }

void loop::set_debug(bool on) {
    if (state_.closed) throw invalid_state("loop::set_debug: the loop is closed");
    if (state_.on_its_thread()) state_.set_debug(on);
    else call_soon_threadsafe([this, on] { state_.set_debug(on); });
}
bool loop::get_debug() const noexcept { return state_.debug.load(std::memory_order_relaxed); }

loop& get_running_loop() {
    detail::loop_state* s = detail::loop_state::current();
    if (!s) throw no_running_loop("get_running_loop");
    return s->facade;
}

}  // namespace weft
