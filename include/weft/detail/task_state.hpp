#pragma once

/// task_state: a task_core with its function and the place for its result.

#include <functional>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include <weft/detail/task_core.hpp>

namespace weft::detail {

/// How a result is kept: a reference as a pointer, void as nothing.
template <class T>
class task_result : public task_core {
public:
    T& value() noexcept { return *value_; }

protected:
    template <class Call>
    void store(Call&& call) {
        value_.emplace(std::forward<Call>(call)());
    }

private:
    std::optional<T> value_;
};
template <class T>
class task_result<T&> : public task_core {
public:
    T& value() noexcept { return *value_; }

protected:
    template <class Call>
    void store(Call&& call) {
        value_ = std::addressof(std::forward<Call>(call)());
    }

private:
    T* value_ = nullptr;
};
template <>
class task_result<void> : public task_core {
public:
    void value() noexcept {}

protected:
    template <class Call>
    void store(Call&& call) {
        std::forward<Call>(call)();
    }
};

template <class F, class... A>
using task_value_t = std::invoke_result_t<std::decay_t<F>, std::decay_t<A>...>;

template <class F, class... A>
class task_state final : public task_result<task_value_t<F, A...>> {
public:
    template <class G, class... B>
    explicit task_state(G&& function, B&&... arguments)
        : call_(std::in_place, std::forward<G>(function), std::forward<B>(arguments)...) {}

private:
    void invoke() override {
        const struct discard_at_end {
            task_state& self;
            ~discard_at_end() { self.call_.reset(); }
        } guard{*this};
        this->store([this]() -> decltype(auto) {
            return std::apply(
                [](auto&& f, auto&&... a) -> decltype(auto) {
                    return std::invoke(std::move(f), std::move(a)...);
                },
                std::move(*call_));
        });
    }
    void discard() noexcept override { call_.reset(); }

    std::optional<std::tuple<std::decay_t<F>, std::decay_t<A>...>> call_;
};

}  // namespace weft::detail
