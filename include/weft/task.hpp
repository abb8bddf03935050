#pragma once

/// Tasks: create_task, task, task_handle, sleep, yield_now (asyncio.create_task, asyncio.Task, asyncio.sleep).

#include <chrono>
#include <compare>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <weft/detail/task_state.hpp>
#include <weft/error.hpp>

namespace weft {

struct task_options {
    std::string name = {};         // empty: "task-N"
    std::size_t stack_size = 0;    // bytes; 0: the loop's default (run_options::stack_size)
    bool eager = false;            // runs at once, until it first blocks, before create_task returns
};

/// Names a done callback, for taking it back.
enum class callback_id : std::uint64_t {};

/// A shared reference to a task, whatever its result. Copying shares; dropping the last one detaches: the task runs on.
///
/// Thread-safety: the task may be used from any thread; one task_handle object as any value.
class WEFT_API task_handle {
public:
    task_handle() noexcept = default;
    task_handle(const task_handle& other) noexcept : core_(other.core_) {
        if (core_) core_->retain();
    }
    task_handle(task_handle&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
    task_handle& operator=(task_handle other) noexcept {
        std::swap(core_, other.core_);
        return *this;
    }
    ~task_handle() {
        if (core_) core_->release();
    }

    /// True when it has returned, thrown or been cancelled.
    bool done() const;
    /// True when `cancelled` left its function.
    bool cancelled() const;

    /// Asks the task to end: its current or next wait throws `cancelled`. Each request is delivered once; the message of the
    /// last one before delivery is the one delivered (asyncio.Task.cancel).
    ///
    /// Returns false if the task is done already.
    bool cancel(std::string message = {}) const;
    /// How many requests have been made and not taken back (asyncio.Task.cancelling).
    int cancelling() const;
    /// Takes one request back, and an undelivered one with the last; returns how many remain (asyncio.Task.uncancel).
    int uncancel() const;

    /// What the task threw: null if it returned, the `cancelled` if it was cancelled. Counts as taking the exception.
    ///
    /// Errors: invalid_state if it is not done.
    std::exception_ptr exception() const;

    /// Waits for the task's end; never throws its exception.
    ///
    /// Suspends:      unless it is done.
    /// Cancellation:  while suspended, and before; the task is not touched.
    /// Errors:        std::logic_error if a task joins itself.
    /// Thread-safety: any thread; a plain thread blocks.
    void join() const;

    /// Has f called, as f(task_handle) or f(), on the task's loop when it is done; by call_soon if it is done already.
    ///
    /// Errors: invalid_state if it is done and its loop is closed.
    template <class F>
    callback_id add_done_callback(F f) const;
    /// False if it is not there, or about to run.
    bool remove_done_callback(callback_id id) const;

    std::string name() const;
    void set_name(std::string name) const;
    /// Never used again in this process; 0 for an empty handle.
    std::uint64_t id() const noexcept { return core_ ? core_->id() : 0; }
    explicit operator bool() const noexcept { return core_ != nullptr; }

    friend bool operator==(const task_handle& a, const task_handle& b) noexcept { return a.core_ == b.core_; }
    friend std::strong_ordering operator<=>(const task_handle& a, const task_handle& b) noexcept {
        return a.id() <=> b.id();
    }

    /// For weft itself: takes over one reference.
    explicit task_handle(detail::task_core* core) noexcept : core_(core) {}
    detail::task_core* core() const noexcept { return core_; }

protected:
    /// The task, or invalid_state naming the call for an empty handle.
    detail::task_core& checked(const char* call) const;

    detail::task_core* core_ = nullptr;

private:
    callback_id add_callback(std::function<void(const task_handle&)> f) const;
};

/// A task and its result.
template <class T = void>
class task : public task_handle {
    using state = detail::task_result<T>;
    using reference = std::add_lvalue_reference_t<T>;

public:
    using value_type = T;

    task() noexcept = default;
    explicit task(detail::task_core* core) noexcept : task_handle(core) {}

    /// Waits for the end, then gives the value, or rethrows what the task threw.
    ///
    /// Suspends:      unless it is done.
    /// Cancellation:  while suspended, and before: forwarded to the task; when that has ended, throws `cancelled`.
    /// Errors:        what the task threw; std::logic_error if a task gets itself.
    /// Thread-safety: any thread; a plain thread blocks.
    reference get() const& {
        detail::task_core& core = checked("task::get");
        core.join_forwarding("task::get");
        return taken(core);
    }
    /// The same; moves the value out if this is the last handle or it cannot be copied, else copies it.
    T get() && {
        detail::task_core& core = checked("task::get");
        core.join_forwarding("task::get");
        return std::move(*this).take();
    }

    /// The value of a done task, or rethrows. Errors: invalid_state if it is not done.
    reference result() const {
        detail::task_core& core = checked("task::result");
        if (!core.done()) throw invalid_state("task::result: the task is not done; wait for it with get");
        return taken(core);
    }

    /// For weft itself: the value of a task that is known to be done, moved out if nobody else can see it.
    T take() && {
        detail::task_core& core = checked("task::get");
        if constexpr (std::is_void_v<T> || std::is_reference_v<T>) {
            return taken(core);
        } else {
            T& value = taken(core);
            if constexpr (std::is_copy_constructible_v<T>)
                if (core.references() != 1) return T(value);
            return T(std::move(value));
        }
    }

private:
    static reference taken(detail::task_core& core) {
        core.mark_retrieved();
        if (core.error()) std::rethrow_exception(core.error());
        return static_cast<state&>(core).value();
    }
};

namespace detail {

template <class F, class... A>
auto make_task_at(call_site where, const spawn_options* options, const char* what, F&& f, A&&... arguments) {
    require_loop(what);
    auto* state = new task_state<F, A...>(std::forward<F>(f), std::forward<A>(arguments)...);
    task<task_value_t<F, A...>> made(state);
    spawn(*state, options, what, where);
    return made;
}
template <class F, class... A>
auto make_task(const spawn_options* options, const char* what, F&& f, A&&... arguments) {
    return make_task_at({}, options, what, std::forward<F>(f), std::forward<A>(arguments)...);
}

}  // namespace detail

/// Starts f(arguments…), decay-copied as by std::thread, as a task of this thread's loop. It first runs in the loop's next
/// turn, in order of creation (asyncio.create_task).
///
/// With up to two arguments reports about the task name the file and the line of this call, with more the address.
///
/// Errors: no_running_loop. No memory for a stack is not thrown here: it is the task's exception.
/// Loop-local.
template <class F>
    requires(!std::is_same_v<std::decay_t<F>, task_options> && std::is_invocable_v<std::decay_t<F>>)
auto create_task(F&& f, detail::source_location where = detail::source_location::current())
    -> task<detail::task_value_t<F>> {
    return detail::make_task_at(detail::call_site::of(where), nullptr, "create_task", std::forward<F>(f));
}
template <class F, class A>
    requires(!std::is_same_v<std::decay_t<F>, task_options> && std::is_invocable_v<std::decay_t<F>, std::decay_t<A>>)
auto create_task(F&& f, A&& argument, detail::source_location where = detail::source_location::current())
    -> task<detail::task_value_t<F, A>> {
    return detail::make_task_at(detail::call_site::of(where), nullptr, "create_task", std::forward<F>(f),
                                std::forward<A>(argument));
}
template <class F, class A, class B>
    requires(!std::is_same_v<std::decay_t<F>, task_options> &&
             std::is_invocable_v<std::decay_t<F>, std::decay_t<A>, std::decay_t<B>>)
auto create_task(F&& f, A&& first, B&& second, detail::source_location where = detail::source_location::current())
    -> task<detail::task_value_t<F, A, B>> {
    return detail::make_task_at(detail::call_site::of(where), nullptr, "create_task", std::forward<F>(f),
                                std::forward<A>(first), std::forward<B>(second));
}
template <class F, class... A>
    requires(sizeof...(A) > 2 && !std::is_same_v<std::decay_t<F>, task_options> &&
             std::is_invocable_v<std::decay_t<F>, std::decay_t<A>...>)
auto create_task(F&& f, A&&... arguments) -> task<detail::task_value_t<F, A...>> {
    return detail::make_task(nullptr, "create_task", std::forward<F>(f), std::forward<A>(arguments)...);
}
template <class F>
    requires std::is_invocable_v<std::decay_t<F>>
auto create_task(task_options options, F&& f, detail::source_location where = detail::source_location::current())
    -> task<detail::task_value_t<F>> {
    const detail::spawn_options chosen{&options.name, options.stack_size, options.eager};
    return detail::make_task_at(detail::call_site::of(where), &chosen, "create_task", std::forward<F>(f));
}
template <class F, class... A>
    requires(sizeof...(A) > 0 && std::is_invocable_v<std::decay_t<F>, std::decay_t<A>...>)
auto create_task(task_options options, F&& f, A&&... arguments) -> task<detail::task_value_t<F, A...>> {
    const detail::spawn_options chosen{&options.name, options.stack_size, options.eager};
    return detail::make_task(&chosen, "create_task", std::forward<F>(f), std::forward<A>(arguments)...);
}

/// The running task. Errors: no_running_task outside of one.
WEFT_API task_handle current_task();

/// The unfinished tasks of this thread's loop, oldest first. Errors: no_running_loop.
WEFT_API std::vector<task_handle> all_tasks();

/// Lets everything that is ready run once (asyncio.sleep(0)).
///
/// Suspends:      always, if anything else is ready.
/// Cancellation:  before and while suspended.
/// Thread-safety: any thread; without a loop it is std::this_thread::yield.
WEFT_API void yield_now();

namespace detail {
WEFT_API void sleep_until(time_point deadline);
}

/// Waits for a time; saturates, so that any duration is allowed. Zero and less is yield_now (asyncio.sleep).
///
/// Suspends:      always.
/// Cancellation:  before and while suspended.
/// Thread-safety: any thread; without a loop it is std::this_thread::sleep_for.
template <class Rep, class Period>
void sleep(std::chrono::duration<Rep, Period> time) {
    if (time <= time.zero()) yield_now();
    else detail::sleep_until(detail::deadline_after(time));
}
void sleep(int) = delete;      // POSIX's sleep counts in seconds and returns what is left: say sleep(1s)
void sleep(double) = delete;

/// Waits until a point in time of any clock. As sleep.
template <class Clock, class Duration>
void sleep_until(std::chrono::time_point<Clock, Duration> when) {
    detail::sleep_until(detail::deadline_at(when));
}

template <class F>
callback_id task_handle::add_done_callback(F f) const {
    if constexpr (std::is_invocable_v<F&, task_handle>) {
        auto shared = std::make_shared<F>(std::move(f));   // std::function copies, f may only move
        return add_callback([shared](const task_handle& t) { (*shared)(t); });
    } else {
        auto shared = std::make_shared<F>(std::move(f));
        return add_callback([shared](const task_handle&) { (*shared)(); });
    }
}

}  // namespace weft

template <>
struct std::hash<weft::task_handle> {
    std::size_t operator()(const weft::task_handle& t) const noexcept { return std::hash<std::uint64_t>()(t.id()); }
};
template <class T>
struct std::hash<weft::task<T>> : std::hash<weft::task_handle> {};
