#pragma once

/// Structured concurrency: with_task_group (asyncio.TaskGroup).

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

/// The children of one task group and what has become of them.
///
/// Invariants: all of it on the loop of the task that runs the body. children_ counts those that have not ended. Once
/// aborting_, every child has been cancelled and none is added; the first failure leads to that a turn later (failing_). The body's own request is request_; it is raised while the
/// body runs, never while finish() waits: then nobody is there to be cut off.
class WEFT_API group_core {
public:
    group_core();
    ~group_core();

    void check_open(const char* what) const;   // std::logic_error if no child may be added
    void add(task_core& child);
    void cancel() noexcept;

    /// The body has ended; null: it returned.
    void body_ended(std::exception_ptr error);
    /// Waits for the children; throws what the group throws. False: the body was cut off by cancel().
    bool finish();

private:
    struct child;
    struct failing;
    void fail_soon() noexcept;
    void fail() noexcept;
    void child_ended(child& c, task_core& t) noexcept;
    void abort() noexcept;

    request_scope request_;
    child* first_ = nullptr;
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

/// Where a group's body, and its children, add children. Loop-local.
class task_group {
public:
    /// Starts a child (weft::create_task). Errors: std::logic_error if the group is being cancelled or has ended.
    template <class F, class... A>
        requires(!std::is_same_v<std::decay_t<F>, task_options>)
    auto create_task(F&& f, A&&... arguments) -> task<detail::task_value_t<F, A...>> {
        return start({}, std::forward<F>(f), std::forward<A>(arguments)...);
    }
    template <class F, class... A>
    auto create_task(task_options options, F&& f, A&&... arguments) -> task<detail::task_value_t<F, A...>> {
        return start({&options.name, options.stack_size, options.eager}, std::forward<F>(f), std::forward<A>(arguments)...);
    }

    /// Ends the children and the body; no exception_group comes of it. A body that had returned gives its value; one that
    /// is cut off returns normally if it returns void, else `cancelled` is thrown.
    void cancel() noexcept { core_.cancel(); }

    explicit task_group(detail::group_core& core) noexcept : core_(core) {}
    task_group(const task_group&) = delete;
    task_group& operator=(const task_group&) = delete;

private:
    template <class F, class... A>
    auto start(detail::spawn_options options, F&& f, A&&... arguments) {
        core_.check_open("task_group::create_task");
        auto made = detail::make_task(&options, "task_group::create_task", std::forward<F>(f), std::forward<A>(arguments)...);
        core_.add(*made.core());
        return made;
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
auto with_task_group(F&& f) -> std::invoke_result_t<F, task_group&> {
    using R = std::invoke_result_t<F, task_group&>;
    detail::group_core core;
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
