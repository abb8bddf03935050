#include <weft/future.hpp>

#include <stdexcept>

#include "sync/wait.hpp"

namespace weft::detail {

bool future_state::cancelled() const noexcept {
    if (!done() || !error_)
        return false;
    if (cancelled_)
        return true;
    try {
        std::rethrow_exception(error_);
    } catch (const weft::cancelled&) {
        return true;
    } catch (...) {
        return false;
    }
}

bool future_state::cancel(std::string message) {
    std::exception_ptr error = std::make_exception_ptr(weft::cancelled(std::move(message)));
    std::function<void()> told;
    {
        gate_lock lock(gate_);
        if (phase_.load(std::memory_order_relaxed) != phase::pending)
            return false;
        cancelled_ = true;
        error_ = std::move(error);
        told.swap(on_cancel_);
        finish(lock);
    }
    if (told)
        told();
    return true;
}

void future_state::on_cancel(std::function<void()> f) {
    {
        const gate_lock lock(gate_);
        if (!cancelled_) {
            if (phase_.load(std::memory_order_relaxed) == phase::pending)
                f.swap(on_cancel_);
            return;  // what stood there, or came too late, is destroyed outside of the gate
        }
    }
    if (f)
        f();
}

bool future_state::wait(const char* what, time_point deadline) {
    if (done())
        return true;
    const auto alive = shared_from_this();  // both ends may die before this runs again
    gate_lock lock(gate_);
    if (done())
        return true;
    waiter w(what, this);
    waiters_.push_back(w);
    lock.leave();
    return wait_or_throw(waiters_, gate_, w, deadline);
}

bool future_state::begin_store() {
    const gate_lock lock(gate_);
    if (cancelled_)
        return false;
    if (phase_.load(std::memory_order_relaxed) != phase::pending)
        throw std::future_error(std::future_errc::promise_already_satisfied);
    phase_.store(phase::storing, std::memory_order_relaxed);
    return true;
}

void future_state::undo_store() noexcept {
    const gate_lock lock(gate_);
    phase_.store(phase::pending, std::memory_order_relaxed);
}

void future_state::end_store() noexcept {
    std::function<void()> dropped;
    gate_lock lock(gate_);
    dropped.swap(on_cancel_);
    finish(lock);
}

bool future_state::set_error(std::exception_ptr error) {
    if (!error)
        throw std::invalid_argument("promise::set_exception: the exception must not be null");
    if (!begin_store())
        return false;
    error_ = std::move(error);
    end_store();
    return true;
}

void future_state::break_promise() noexcept {
    if (done())
        return;
    set_error(std::make_exception_ptr(std::future_error(std::future_errc::broken_promise)));
}

/// Under the gate, and leaves it: wakes everybody.
void future_state::finish(gate_lock& lock) noexcept {
    const auto alive = shared_from_this();  // who finds it done may destroy both ends, before the gate is left
    wake_batch batch;
    phase_.store(phase::done, std::memory_order_release);
    batch.claim_all(waiters_, lock);
    lock.leave();
}

}  // namespace weft::detail
