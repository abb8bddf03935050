#pragma once

/// Waiting for many: gather, wait, as_completed, shield (asyncio's functions of these names).

#include <chrono>
#include <concepts>
#include <exception>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <weft/cancellation.hpp>
#include <weft/detail/completion.hpp>
#include <weft/error.hpp>
#include <weft/task.hpp>

namespace weft {

/// What became of one of the things gathered: a value, or an exception (`cancelled` too). void is std::monostate; of a
/// reference it keeps the reference.
template <class T>
class outcome {
public:
    using value_type = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

    explicit outcome(value_type value) : value_(std::forward<value_type>(value)) {}
    outcome(std::nullopt_t, std::exception_ptr error) noexcept : error_(std::move(error)) {}

    bool has_value() const noexcept { return value_.has_value(); }
    explicit operator bool() const noexcept { return has_value(); }
    /// Errors: rethrows the exception if there is no value.
    value_type& value() {
        if (!value_) std::rethrow_exception(error_);
        return *value_;
    }
    const value_type& value() const {
        if (!value_) std::rethrow_exception(error_);
        return *value_;
    }
    value_type& operator*() { return value(); }
    const value_type& operator*() const { return value(); }
    auto* operator->() { return std::addressof(value()); }
    /// Null if there is a value.
    std::exception_ptr error() const noexcept { return error_; }

private:
    using kept = std::conditional_t<std::is_reference_v<T>, std::reference_wrapper<std::remove_reference_t<T>>, value_type>;

    std::optional<kept> value_;
    std::exception_ptr error_;
};

/// Says that gather gives outcomes instead of throwing the first exception.
struct return_exceptions_t {
    explicit return_exceptions_t() = default;
};
inline constexpr return_exceptions_t return_exceptions{};

namespace detail {

template <class X>
concept task_like = std::is_base_of_v<task_handle, std::remove_cvref_t<X>>;
template <class X>
concept gatherable = task_like<X> || std::is_invocable_v<std::decay_t<X>>;
template <class X>
concept gatherable_range =
    std::ranges::input_range<X> && !gatherable<X> && gatherable<std::ranges::range_value_t<std::remove_cvref_t<X>>>;

/// The task behind one argument of gather; a callable becomes a task that the gather owns.
template <gatherable X>
auto gather_one(gathered& all, X&& item) {
    if constexpr (task_like<X>) {
        if (!item) throw std::invalid_argument("gather: an empty task handle");
        std::remove_cvref_t<X> t(std::forward<X>(item));
        all.add(*t.core(), false);
        return t;
    } else {
        task_core::require_current("gather");   // before anything starts that would have to be waited for
        auto t = make_task(nullptr, "gather", std::forward<X>(item));
        all.add(*t.core(), true);
        return t;
    }
}

template <class T>
auto gathered_value(task<T>& t, bool last_use) {
    using kept = typename outcome<T>::value_type;
    if constexpr (std::is_void_v<T>) {
        t.result();
        return kept();
    } else if constexpr (std::is_reference_v<T>) {
        return std::ref(t.result());
    } else if constexpr (std::is_copy_constructible_v<T>) {
        // Nobody else can see the value: this handle and the gather's own reference are all.
        return last_use && t.core()->references() == 2 ? kept(std::move(t.result())) : kept(t.result());
    } else {
        return kept(std::move(t.result()));
    }
}

template <class T>
outcome<T> gathered_outcome(task<T>& t) {
    if (t.core()->error()) return outcome<T>(std::nullopt, t.core()->error());
    return outcome<T>(gathered_value(t, true));
}

}  // namespace detail

/// Waits for all of its arguments, each a task or a callable without arguments; gives their results in order, as a tuple.
/// void becomes std::monostate.
///
/// Tasks: the first exception is thrown at once, the others run on; cancelling the gather cancels them all.
/// Callables: they run as tasks that the gather owns, because their captures refer to the caller's frame. On the first
/// exception, or the gather's own cancellation, the rest are cancelled, and it returns only after every one has ended.
/// A child that was cancelled on its own makes gather throw `cancelled`.
///
/// Suspends:      until it knows the outcome.
/// Cancellation:  forwarded to all; thrown when all have ended.
/// Errors:        the first exception; no_running_loop, no_running_task.
template <class... X>
    requires((detail::gatherable<X> && ...))
auto gather(X&&... items) {
    detail::gathered all;
    all.reserve(sizeof...(X));
    auto tasks = std::tuple{detail::gather_one(all, std::forward<X>(items))...};   // braces: in order
    all.wait(false);
    return std::apply([](auto&... t) { return std::make_tuple(detail::gathered_value(t, true)...); }, tasks);
}

/// The same with outcomes; throws only if itself cancelled.
template <class... X>
    requires((detail::gatherable<X> && ...))
auto gather(return_exceptions_t, X&&... items) {
    detail::gathered all;
    all.reserve(sizeof...(X));
    auto tasks = std::tuple{detail::gather_one(all, std::forward<X>(items))...};
    all.wait(true);
    return std::apply([](auto&... t) { return std::make_tuple(detail::gathered_outcome(t)...); }, tasks);
}

namespace detail {

template <class R>
auto gather_tasks(gathered& all, R&& range) {
    using item = std::ranges::range_value_t<std::remove_cvref_t<R>>;
    std::vector<decltype(gather_one(all, std::declval<item>()))> tasks;
    // Only the elements of a container that is given away may be moved from; those of a view are somebody else's.
    constexpr bool ours = !std::is_lvalue_reference_v<R> && !std::ranges::view<std::remove_cvref_t<R>>;
    for (auto&& x : range) {
        if constexpr (ours) tasks.push_back(gather_one(all, item(std::move(x))));
        else tasks.push_back(gather_one(all, item(std::forward<decltype(x)>(x))));
    }
    return tasks;
}

}  // namespace detail

/// The same for a range: a vector in input order; nothing if the results are void.
template <detail::gatherable_range R>
auto gather(R&& range) {
    detail::gathered all;
    auto tasks = detail::gather_tasks(all, std::forward<R>(range));
    all.wait(false);
    using T = typename std::ranges::range_value_t<decltype(tasks)>::value_type;
    if constexpr (!std::is_void_v<T>) {
        std::vector<decltype(detail::gathered_value(tasks.front(), true))> values;
        values.reserve(tasks.size());
        for (auto& t : tasks) values.push_back(detail::gathered_value(t, true));
        return values;
    }
}
template <detail::gatherable_range R>
auto gather(return_exceptions_t, R&& range) {
    detail::gathered all;
    auto tasks = detail::gather_tasks(all, std::forward<R>(range));
    all.wait(true);
    using T = typename std::ranges::range_value_t<decltype(tasks)>::value_type;
    std::vector<outcome<T>> outcomes;
    outcomes.reserve(tasks.size());
    for (auto& t : tasks) outcomes.push_back(detail::gathered_outcome(t));
    return outcomes;
}

enum class return_when {
    first_completed,   // one has ended
    first_exception,   // one has thrown (being cancelled is no exception), or all have ended
    all_completed,
};

template <class H>
struct wait_result {
    std::vector<H> done, pending;   // in input order
};

namespace detail {

/// Fills ended[i]; returns at the deadline at the latest. Throws cancelled.
WEFT_API void wait_for_tasks(const std::vector<task_core*>& tasks, time_point deadline, return_when until,
                             std::vector<bool>& ended);

template <class R>
auto wait_until(R&& range, time_point deadline, return_when until) {
    using H = std::remove_cvref_t<std::ranges::range_reference_t<R>>;
    static_assert(task_like<H>, "wait takes tasks; for callables use gather");
    std::vector<H> handles;
    std::vector<task_core*> cores;
    for (auto&& h : range) {
        if (!h) throw std::invalid_argument("wait: an empty task handle");
        cores.push_back(h.core());
        handles.emplace_back(h);
    }
    if (handles.empty()) throw std::invalid_argument("wait: the set of tasks is empty");
    std::vector<bool> ended(handles.size());
    wait_for_tasks(cores, deadline, until, ended);
    wait_result<H> result;
    for (std::size_t i = 0; i < handles.size(); ++i)
        (ended[i] ? result.done : result.pending).push_back(std::move(handles[i]));
    return result;
}

template <class R>
concept task_range = std::ranges::input_range<R> && task_like<std::ranges::range_reference_t<R>>;

}  // namespace detail

/// Waits for some or all of the tasks; cancels none, takes no exception, and says which have ended.
///
/// Suspends:      until `until` is true, or the time has passed: that is no error.
/// Cancellation:  while suspended; the tasks are not touched.
/// Errors:        std::invalid_argument for an empty set.
template <detail::task_range R>
auto wait(R&& tasks, return_when until = return_when::all_completed) {
    return detail::wait_until(std::forward<R>(tasks), detail::time_point::max(), until);
}
template <detail::task_like H>
wait_result<H> wait(std::initializer_list<H> tasks, return_when until = return_when::all_completed) {
    return detail::wait_until(tasks, detail::time_point::max(), until);
}
template <detail::task_range R, class Rep, class Period>
auto wait(R&& tasks, std::chrono::duration<Rep, Period> time, return_when until = return_when::all_completed) {
    return detail::wait_until(std::forward<R>(tasks), detail::deadline_after(time), until);
}
template <detail::task_like H, class Rep, class Period>
wait_result<H> wait(std::initializer_list<H> tasks, std::chrono::duration<Rep, Period> time,
                    return_when until = return_when::all_completed) {
    return detail::wait_until(tasks, detail::deadline_after(time), until);
}

/// What as_completed gives: an input range of the tasks in the order in which they end. Advancing waits.
template <class H>
class completion_range {
public:
    class iterator {
    public:
        using iterator_concept = std::input_iterator_tag;
        using value_type = H;
        using difference_type = std::ptrdiff_t;

        iterator() = default;
        explicit iterator(completion_range* range) : range_(range) {}
        H& operator*() const { return range_->handles_[range_->at_]; }
        iterator& operator++() {
            if (!range_->advance()) range_ = nullptr;
            return *this;
        }
        void operator++(int) { ++*this; }
        friend bool operator==(const iterator& i, std::default_sentinel_t) noexcept { return i.range_ == nullptr; }

    private:
        completion_range* range_ = nullptr;
    };

    completion_range(std::vector<H> handles, detail::time_point deadline)
        : handles_(std::move(handles)), deadline_(deadline) {
        std::vector<detail::task_core*> cores;
        for (const H& h : handles_) {
            cores.push_back(h.core());
            h.core()->mark_retrieved();
        }
        ended_ = std::make_unique<detail::completions>(cores, "as_completed");
    }

    /// Waits for the first. Errors, here and when advancing: timeout_error, cancelled.
    iterator begin() { return advance() ? iterator(this) : iterator(); }
    std::default_sentinel_t end() const noexcept { return {}; }

private:
    bool advance() {
        if (ended_->remaining() == 0) return false;
        if (!detail::woken_or_throw(ended_->next(at_, deadline_))) throw timeout_error();
        return true;
    }

    std::vector<H> handles_;
    detail::time_point deadline_;
    std::unique_ptr<detail::completions> ended_;
    std::size_t at_ = 0;
};

namespace detail {

template <class R>
auto completion_range_of(R&& range, time_point deadline) {
    using H = std::remove_cvref_t<std::ranges::range_reference_t<R>>;
    std::vector<H> handles;
    for (auto&& h : range) {
        if (!h) throw std::invalid_argument("as_completed: an empty task handle");
        handles.emplace_back(h);
    }
    return completion_range<H>(std::move(handles), deadline);
}

}  // namespace detail

/// The tasks in the order in which they end; none is cancelled. With a time, which counts from the call, advancing throws
/// timeout_error when it has run out.
template <detail::task_range R>
auto as_completed(R&& tasks) {
    return detail::completion_range_of(std::forward<R>(tasks), detail::time_point::max());
}
template <detail::task_like H>
auto as_completed(std::initializer_list<H> tasks) {
    return detail::completion_range_of(tasks, detail::time_point::max());
}
template <detail::task_range R, class Rep, class Period>
auto as_completed(R&& tasks, std::chrono::duration<Rep, Period> time) {
    return detail::completion_range_of(std::forward<R>(tasks), detail::deadline_after(time));
}
template <detail::task_like H, class Rep, class Period>
auto as_completed(std::initializer_list<H> tasks, std::chrono::duration<Rep, Period> time) {
    return detail::completion_range_of(tasks, detail::deadline_after(time));
}

/// Waits for a task as get does, but cancelling the waiter does not cancel the task. Its exception is then left for others to
/// take, and reported if nobody does.
template <class T>
T shield(task<T> t) {
    t.join();
    return std::move(t).get();
}

}  // namespace weft
