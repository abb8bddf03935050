#pragma once

/// Structured concurrency: with_task_group (asyncio.TaskGroup), and children that say when they are ready (trio's
/// nursery.start).

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <weft/detail/cancellation.hpp>
#include <weft/detail/task_core.hpp>
#include <weft/task.hpp>

namespace weft {

/// The failures of a task group, in the order in which they happened (ExceptionGroup).
class WEFT_API exception_group : public std::exception {
public:
    explicit exception_group(std::vector<std::exception_ptr> exceptions);
    const char* what() const noexcept override { return what_->c_str(); }
    const std::vector<std::exception_ptr>& exceptions() const noexcept { return *exceptions_; }

    /// Whether one of them is an E; groups within it are searched, too.
    template <class E>
    bool contains() const {
        for (const std::exception_ptr& e : exceptions()) {
            try {
                std::rethrow_exception(e);
            } catch (const E&) {
                return true;
            } catch (...) {
            }
            if constexpr (!std::is_base_of_v<E, exception_group>) {   // else any group has been found already
                try {
                    std::rethrow_exception(e);
                } catch (const exception_group& group) {
                    if (group.contains<E>()) return true;
                } catch (...) {
                }
            }
        }
        return false;
    }

private:
    std::shared_ptr<const std::vector<std::exception_ptr>> exceptions_;   // shared: copying must not throw
    std::shared_ptr<const std::string> what_;
};

namespace detail {

class group_core;

/// A child that has not said yet that it is ready, and who waits for it. Its failures are the waiter's, not the group's.
///
/// Invariants: all of it on the group's loop. phase goes from waiting to started or ended, once; the waiter stays until then.
class WEFT_API starting_child {
public:
    starting_child() noexcept = default;
    starting_child(const starting_child&) = delete;
    starting_child& operator=(const starting_child&) = delete;

    /// Throws what task_status::started throws. False: nobody wants to know any more.
    bool may_start() const;
    void started() noexcept;
    /// Waits until the child is ready; throws what task_group::start throws.
    void wait(task_core& child);

private:
    friend class group_core;
    void ended(const task_core& t) noexcept;
    void wake() noexcept;

    enum class phase { waiting, started, ended } phase_ = phase::waiting;
    bool reported_ = false;    // started() was called
    bool abandoned_ = false;   // the waiter was cancelled: the child is, too, and start() waits for its end only
    loop_state* loop_ = nullptr;
    starting_child** in_group_ = nullptr;   // where the group knows it as starting
    std::exception_ptr error_;              // of the child that ended
    waiter* waiting_ = nullptr;
    gate gate_;                             // for waiting_: claims need one
};

template <class T>
struct start_state : starting_child {
    std::optional<T> value;
};
template <>
struct start_state<void> : starting_child {};

/// The children of one task group and what has become of them.
///
/// Invariants: all of it on the loop of the task that runs the body. children_ counts those that have not ended. Once
/// aborting_, every child has been cancelled and none is added; the first failure leads to that a turn later (failing_). The
/// body's own request is request_; it is raised while the body runs, never while finish() waits: then nobody is there to be
/// cut off.
class WEFT_API group_core {
public:
    explicit group_core(source_place where);
    ~group_core();

    void check_open(const char* what) const;   // std::logic_error if no child may be added
    void add(task_core& child, starting_child* starting = nullptr);
    void cancel(source_place where) noexcept;

    /// The body has ended; null: it returned.
    void body_ended(std::exception_ptr error);
    /// Waits for the children; throws what the group throws. False: the body was cut off by cancel().
    bool finish();

private:
    struct child;
    struct failing;
    void fail_soon() noexcept;
    void fail() noexcept;
    void child_ended(child& c, task_core& t, const gate_lock* in_gate) noexcept;   // t's; null: outside of it
    void abort(std::string why) noexcept;

    struct body_request final : request_scope {   // the body's, and that which asks pass through to the children
        explicit body_request(group_core& g, source_place where) : request_scope("with_task_group", where), group(g) {}
        void asked_by(request_scope& scope) noexcept override;
        std::string origin() const override { return group.why_; }
        group_core& group;
    };
    body_request request_;
    request_scope* asker_;                // who asks those in the group for the end of idle waits; null: nobody
    std::string why_;                     // it is aborting, or failing_: the message of the cancellations
    child* first_ = nullptr;   // oldest
    child* last_ = nullptr;
    std::size_t children_ = 0;
    std::vector<std::exception_ptr> errors_;
    std::exception_ptr body_cancelled_;   // the `cancelled` that left the body
    failing* failing_ = nullptr;          // in the run queue: a child has failed
    waiter* waiting_ = nullptr;
    gate gate_;                           // for waiting_: claims need one
    bool aborting_ = false;
    bool body_running_ = true;
};

}  // namespace detail

/// What task_group::start gives to its function: says that the child is ready. Copies say it for the same child. Loop-local.
template <class T = void>
class task_status {
public:
    /// Lets start() return the value. Does nothing if the caller of start() was cancelled meanwhile; then the child is, too.
    ///
    /// Errors: invalid_state if it was called before, or the child has ended; std::logic_error on another loop.
    template <class U = T>
        requires(!std::is_void_v<T> && std::is_constructible_v<T, U>)
    void started(U&& value) const {
        if (!state_->may_start()) return;
        state_->value.emplace(std::forward<U>(value));
        static_cast<detail::starting_child&>(*state_).started();
    }
    void started() const
        requires std::is_void_v<T>
    {
        if (state_->may_start()) static_cast<detail::starting_child&>(*state_).started();
    }

    explicit task_status(std::shared_ptr<detail::start_state<T>> state) noexcept : state_(std::move(state)) {}

private:
    std::shared_ptr<detail::start_state<T>> state_;
};

/// Where a group's body, and its children, add children. Loop-local.
class task_group {
public:
    /// Starts a child (weft::create_task). Errors: std::logic_error if the group is being cancelled or has ended.
    template <class F, class... A>
        requires(!std::is_same_v<std::decay_t<F>, task_options>)
    auto create_task(F&& f, A&&... arguments) -> task<detail::task_value_t<F, A...>> {
        return add({}, std::forward<F>(f), std::forward<A>(arguments)...);
    }
    template <class F, class... A>
    auto create_task(task_options options, F&& f, A&&... arguments) -> task<detail::task_value_t<F, A...>> {
        return add({&options.name, options.stack_size, options.eager}, std::forward<F>(f), std::forward<A>(arguments)...);
    }

    /// Ends the children and the body; no exception_group comes of it. A body that had returned gives its value; one that
    /// is cut off returns normally if it returns void, else `cancelled` is thrown.
    void cancel(detail::source_place where = detail::source_place::current()) noexcept { core_.cancel(where); }

    /// Starts f(task_status<T>, arguments…) as a child and waits until it says that it is ready, by task_status::started(value);
    /// returns the value (trio's nursery.start). From then on it is a child as any.
    ///
    ///     const int port = group.start<int>([](weft::task_status<int> ready) { … ready.started(port); … });
    ///
    /// Suspends:      until the child is ready or has ended.
    /// Cancellation:  while suspended: forwarded to the child; throws `cancelled` when that has ended. (If it was ready already, it
    ///                stays, as a child of the group.)
    /// Errors:        what the child throws before it is ready: that is no failure of the group's (after a cancellation it is);
    ///                `cancelled` if it was cancelled, as by the group's end; std::logic_error if it returns without having been ready, or
    ///                the group takes no children; no_running_task.
    template <class T = void, class F, class... A>
        requires(!std::is_same_v<std::decay_t<F>, task_options>)
    T start(F&& f, A&&... arguments) {
        return start_child<T>({}, std::forward<F>(f), std::forward<A>(arguments)...);
    }
    template <class T = void, class F, class... A>
    T start(task_options options, F&& f, A&&... arguments) {
        return start_child<T>({&options.name, options.stack_size, options.eager}, std::forward<F>(f),
                              std::forward<A>(arguments)...);
    }

    explicit task_group(detail::group_core& core) noexcept : core_(core) {}
    task_group(const task_group&) = delete;
    task_group& operator=(const task_group&) = delete;

private:
    template <class F, class... A>
    auto add(detail::spawn_options options, F&& f, A&&... arguments) {
        core_.check_open("task_group::create_task");
        auto made = detail::make_task(&options, "task_group::create_task", std::forward<F>(f), std::forward<A>(arguments)...);
        core_.add(*made.core());
        return made;
    }
    template <class T, class F, class... A>
    T start_child(detail::spawn_options options, F&& f, A&&... arguments) {
        detail::task_core::require_current("task_group::start");
        core_.check_open("task_group::start");
        auto state = std::make_shared<detail::start_state<T>>();
        auto made = detail::make_task(&options, "task_group::start", std::forward<F>(f), task_status<T>(state),
                                      std::forward<A>(arguments)...);
        core_.add(*made.core(), state.get());
        state->wait(*made.core());
        if constexpr (!std::is_void_v<T>) return std::move(*state->value);
    }

    detail::group_core& core_;
};

/// Runs f(task_group&) in this fiber, then waits until every child has ended; returns what f returns.
///
/// The first child that fails cancels its siblings and the body, a turn later, so what runs in the same turn may fail, too;
/// then an exception_group of all failures is thrown, the body's own included, also for one. A child that ends cancelled
/// on its own is no failure.
///
/// Suspends:      as f does, and until every child has ended.
/// Cancellation:  of this task: cancels the children, waits for them, throws `cancelled`; if children failed, too, throws the
///                exception_group, and the cancellation stays pending.
/// Errors:        exception_group; no_running_loop, no_running_task.
template <class F>
auto with_task_group(F&& f, detail::source_place where = detail::source_place::current())
    -> std::invoke_result_t<F, task_group&> {
    using R = std::invoke_result_t<F, task_group&>;
    detail::group_core core(where);
    task_group group(core);
    std::exception_ptr error;
    if constexpr (std::is_void_v<R>) {
        try {
            std::invoke(std::forward<F>(f), group);
        } catch (...) {
            error = std::current_exception();
        }
        core.body_ended(std::move(error));
        core.finish();
    } else {
        using kept = std::conditional_t<std::is_reference_v<R>, std::remove_reference_t<R>*, R>;
        std::optional<kept> value;
        try {
            if constexpr (std::is_reference_v<R>) value.emplace(std::addressof(std::invoke(std::forward<F>(f), group)));
            else value.emplace(std::invoke(std::forward<F>(f), group));
        } catch (...) {
            error = std::current_exception();
        }
        core.body_ended(std::move(error));
        if (!core.finish()) throw cancelled("the task group was cancelled");
        if constexpr (std::is_reference_v<R>) return static_cast<R>(**value);
        else return std::move(*value);
    }
}

}  // namespace weft
