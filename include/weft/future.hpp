#pragma once

/// promise, future, shared_future: a value that comes later (asyncio.Future in std::future's shape).
///
/// Both ends share a future_state, which lives as long as one of them or somebody who waits. It goes from
/// pending to done once: by a value, an exception, the promise's death, or cancel(), whichever is first.
///
/// A value is stored between two sections of the gate, in the phase `storing`: the move of a user's type may
/// throw, and may run anything. cancel() comes too late from then on.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include <weft/detail/config.hpp>
#include <weft/detail/gate.hpp>
#include <weft/detail/waiter.hpp>
#include <weft/error.hpp>

namespace weft {

namespace detail {

class WEFT_API future_state : public std::enable_shared_from_this<future_state> {
public:
    future_state() noexcept = default;
    future_state(const future_state&) = delete;
    future_state& operator=(const future_state&) = delete;
    ~future_state() = default;  // nobody waits: who does holds a reference

    bool done() const noexcept { return phase_.load(std::memory_order_acquire) == phase::done; }
    bool cancelled() const noexcept;
    bool cancel(std::string message);
    void on_cancel(std::function<void()> f);

    /// False if the deadline came first. Throws cancelled.
    bool wait(const char* what, time_point deadline = time_point::max());
    void rethrow_error() const {
        if (error_)
            std::rethrow_exception(error_);
    }

    /// From pending to storing; then the caller stores the value and calls end_store, or undo_store. False if
    /// cancelled. Throws std::future_error(promise_already_satisfied).
    bool begin_store();
    void end_store() noexcept;
    void undo_store() noexcept;
    bool set_error(std::exception_ptr error);
    void break_promise() noexcept;

private:
    enum class phase : std::uint8_t { pending, storing, done };

    void finish(gate_lock& lock) noexcept;

    mutable gate gate_;
    std::atomic<phase> phase_{
        phase::pending};        // written under the gate; done (release) publishes the outcome
    bool cancelled_ = false;    // by cancel()
    std::exception_ptr error_;  // in place of a value
    wait_list waiters_;
    std::function<void()> on_cancel_;  // guarded by the gate; called without it
};

template <class T> struct future_value : future_state {
    using stored =
        std::conditional_t<std::is_void_v<T>, std::monostate,
                           std::conditional_t<std::is_reference_v<T>, std::remove_reference_t<T>*, T>>;
    std::optional<stored> value;

    template <class... U> bool store(U&&... from) {
        if (!begin_store())
            return false;
        try {
            if constexpr (std::is_reference_v<T>)
                value.emplace(std::addressof(from)...);
            else
                value.emplace(std::forward<U>(from)...);
        } catch (...) {
            undo_store();
            throw;
        }
        end_store();
        return true;
    }
};

/// What future and shared_future have in common.
template <class T> class future_base {
public:
    future_base() noexcept = default;

    bool valid() const noexcept { return state_ != nullptr; }

    /// True once there is a value, an exception or a cancellation. Errors: std::future_error(no_state), as
    /// all that follow.
    bool done() const { return state().done(); }
    /// True if it was cancelled, or the promise was given a `cancelled`.
    bool cancelled() const { return state().cancelled(); }
    /// Ends it, if it is not done, with a `cancelled` for everybody who waits or will; false if it is done.
    /// From then on the promise's set_value and set_exception return false.
    bool cancel(std::string message = {}) { return state().cancel(std::move(message)); }

    /// Waits until it is done.
    ///
    /// Suspends:      only while it is not done.
    /// Cancellation:  while suspended; the future is not touched, and not cancelled.
    /// Errors:        std::future_error(no_state); no_running_task in a loop callback that would have to
    ///                wait.
    /// Thread-safety: any thread; a plain thread blocks.
    void wait() const { state().wait("future::wait"); }

    /// As wait, but no longer than `time`: future_status::ready or timeout.
    ///
    /// Suspends:      only while it is not done; then once even if the time is up.
    /// Cancellation:  while suspended; the future is not touched, and not cancelled.
    /// Errors:        as wait.
    /// Thread-safety: any thread; a plain thread blocks.
    template <class Rep, class Period>
    std::future_status wait_for(const std::chrono::duration<Rep, Period>& time) const {
        if (done())
            return std::future_status::ready;
        return wait_until(deadline_after(time));
    }
    /// The same, until a point in time of any clock.
    template <class Clock, class Duration>
    std::future_status wait_until(const std::chrono::time_point<Clock, Duration>& when) const {
        return state().wait("future::wait_until", deadline_at(when)) ? std::future_status::ready
                                                                     : std::future_status::timeout;
    }

protected:
    explicit future_base(std::shared_ptr<future_value<T>> state) noexcept : state_(std::move(state)) {}

    future_value<T>& state() const {
        if (!state_)
            throw std::future_error(std::future_errc::no_state);
        return *state_;
    }

    std::shared_ptr<future_value<T>> state_;
};

}  // namespace detail

template <class T> class shared_future;

/// The receiving end; get() takes the value, once.
///
/// Thread-safety: what is waited for may be set from any thread; one future object as any value.
template <class T> class future : public detail::future_base<T> {
public:
    future() noexcept = default;
    future(future&&) noexcept = default;
    future& operator=(future&&) noexcept = default;

    /// Waits for the value and moves it out, or throws the exception; then valid() is false.
    ///
    /// Suspends:      only while it is not done.
    /// Cancellation:  while suspended; the future is as it was: valid, and not cancelled.
    /// Errors:        what the promise was given; cancelled after cancel(); std::future_error(broken_promise,
    ///                no_state); no_running_task in a loop callback that would have to wait.
    /// Thread-safety: any thread; a plain thread blocks.
    T get() {
        this->state().wait("future::get");
        const std::shared_ptr<detail::future_value<T>> state = std::move(this->state_);
        state->rethrow_error();
        if constexpr (std::is_reference_v<T>)
            return **state->value;
        else if constexpr (!std::is_void_v<T>)
            return std::move(*state->value);
    }

    /// The same as a future that can be copied, and asked again; then valid() is false.
    shared_future<T> share() noexcept { return shared_future<T>(std::move(*this)); }

private:
    template <class> friend class promise;
    friend class shared_future<T>;
    explicit future(std::shared_ptr<detail::future_value<T>> state) noexcept
        : detail::future_base<T>(std::move(state)) {}
};

/// A future for many: copies share one value, which stays there.
///
/// Thread-safety: as future; copies may be used at the same time.
template <class T> class shared_future : public detail::future_base<T> {
public:
    shared_future() noexcept = default;
    shared_future(future<T>&& from) noexcept : detail::future_base<T>(std::move(from.state_)) {}

    /// Waits for the value and refers to it, or throws the exception.
    ///
    /// Suspends:      only while it is not done.
    /// Cancellation:  while suspended; the future is not touched, and not cancelled.
    /// Errors:        as future::get.
    /// Thread-safety: any thread; a plain thread blocks.
    std::add_lvalue_reference_t<const T> get() const {
        detail::future_value<T>& state = this->state();
        state.wait("shared_future::get");
        state.rethrow_error();
        if constexpr (std::is_reference_v<T>)
            return **state.value;
        else if constexpr (!std::is_void_v<T>)
            return *state.value;
    }
};

/// The giving end. If it dies before it gave anything, the future throws std::future_error(broken_promise).
///
/// Thread-safety: set_value and set_exception from any thread; one promise object otherwise as any value.
template <class T = void> class promise {
public:
    promise() : state_(std::make_shared<detail::future_value<T>>()) {}
    promise(promise&&) noexcept = default;
    promise& operator=(promise&& other) noexcept {
        promise(std::move(other)).swap(*this);
        return *this;
    }
    ~promise() {
        if (state_ && state_.use_count() > 1)
            state_->break_promise();
    }
    void swap(promise& other) noexcept {
        std::swap(state_, other.state_);
        std::swap(retrieved_, other.retrieved_);
    }

    /// Errors: std::future_error(future_already_retrieved, no_state).
    future<T> get_future() {
        state();
        if (retrieved_)
            throw std::future_error(std::future_errc::future_already_retrieved);
        retrieved_ = true;
        return future<T>(state_);
    }

    /// Gives the value and wakes everybody who waits. False, and nothing has happened, if the future was
    /// cancelled.
    ///
    /// Errors: std::future_error(promise_already_satisfied, no_state); what copying or moving throws: then it
    ///         may be set again.
    template <class U = T, class = std::enable_if_t<!std::is_void_v<T> && std::is_constructible_v<T, U>>>
    bool set_value(U&& value) {
        return state().store(std::forward<U>(value));
    }
    bool set_value() requires std::is_void_v<T> { return state().store(); }

    /// Gives an exception in place of a value. As set_value. Errors: std::invalid_argument for a null pointer.
    bool set_exception(std::exception_ptr error) { return state().set_error(std::move(error)); }

    /// For whoever can stop the work: f is called once if the future is cancelled, by the thread that cancels
    /// it; now, if it has been. A later call replaces f. f must not throw.
    void on_cancel(std::function<void()> f) { state().on_cancel(std::move(f)); }

private:
    detail::future_value<T>& state() const {
        if (!state_)
            throw std::future_error(std::future_errc::no_state);
        return *state_;
    }

    std::shared_ptr<detail::future_value<T>> state_;
    bool retrieved_ = false;
};

}  // namespace weft
