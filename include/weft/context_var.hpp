#pragma once

/// context_var: a variable with a value of its own in each task, callback and thread job (contextvars.ContextVar, PEP 567).
///
/// A new task, a callback of the loop (call_soon, call_later, add_reader, a done callback …) and a to_thread job start with a
/// copy of their creator's values; what they set, nobody else sees. Elsewhere each thread has values of its own. The values
/// of a runner persist from one run to the next. Unlike a thread_local, a context_var tells the fibers of a thread apart.
///
/// get() copies: a reference would dangle at the next set(). Put what is large, or cannot be copied, into a shared_ptr.
///
/// Thread-safety: any thread; each sees its own values. A variable may be destroyed before the contexts that hold its values.

#include <atomic>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include <weft/detail/context.hpp>

namespace weft {

namespace detail {

/// What a token knows, whatever the type of its variable.
struct context_token {
    std::uint64_t key = 0;
    std::uint64_t context = 0;        // identity of the context it was made in
    context_value old;                // null: the variable was not set there
    std::atomic<bool> used{false};    // relaxed: set only in the token's own context
};

/// A number for a new variable, never used again.
WEFT_API std::uint64_t new_context_key() noexcept;
/// Sets a variable in the current context.
WEFT_API std::shared_ptr<context_token> set_context_value(std::uint64_t key, context_value value);
/// Takes that back. Throws as context_var::reset.
WEFT_API void reset_context_value(std::uint64_t key, context_token* token);

}  // namespace detail

template <class T>
    requires std::copy_constructible<T>
class context_var {
public:
    using value_type = T;

    /// What set() gives, for reset(): the value before. Copies share one use (contextvars.Token).
    class token {
    public:
        /// An empty one, to be assigned to.
        token() noexcept = default;
        /// The value before the set(); nothing if the variable had not been set in that context.
        std::optional<T> old_value() const {
            if (!state_ || !state_->old) return std::nullopt;
            return *static_cast<const T*>(state_->old.get());
        }

    private:
        friend class context_var;
        explicit token(std::shared_ptr<detail::context_token> state) noexcept : state_(std::move(state)) {}
        std::shared_ptr<detail::context_token> state_;
    };

    /// \param initial  what get() gives where the variable was never set
    explicit context_var(T initial = T()) : initial_(std::move(initial)), key_(detail::new_context_key()) {}
    context_var(const context_var&) = delete;
    context_var& operator=(const context_var&) = delete;

    /// The value in the current context.
    T get() const {
        const detail::context_value* value = detail::current_context().find(key_);
        return value ? *static_cast<const T*>(value->get()) : initial_;
    }

    /// Gives it another value in the current context.
    token set(T value) {
        return token(detail::set_context_value(key_, std::make_shared<const T>(std::move(value))));
    }

    /// Gives it back the value it had before the set() that gave this token, which can be used once.
    ///
    /// Errors: invalid_state if the token has been used already; std::invalid_argument if it is empty, of another variable, or of
    ///         another context (another task, callback or thread). Then nothing has changed.
    void reset(const token& t) { detail::reset_context_value(key_, t.state_.get()); }

private:
    const T initial_;
    const std::uint64_t key_;
};

}  // namespace weft
