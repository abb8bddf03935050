#pragma once

/// context: the values of context variables that one task, callback or thread sees (PEP 567's Context); and context_scope,
/// which puts one in place.
///
/// Values are kept in an immutable table that contexts share and count: a copy is one pointer, whatever it holds, and of an
/// empty one it is no more than a null. Who sets a variable first makes the table its own, by copying it if anybody else
/// refers to it. Tables are small, so that copying one costs less than what a tree with shared branches would cost each get.
///
/// What starts something that runs later copies the current context; what runs it puts that copy in place meanwhile:
///
///     context values = context::copy_of_current();        // where the job is submitted, on any thread
///     ...
///     context_scope in_context(values);                    // around the job, on the thread or fiber that runs it
///
/// Invariants
///  - Two contexts are never the same one: copying makes another. A context that has set a variable has an identity, kept in
///    its table; the lowest bit of table_ says that the table belongs to another context, whose identity is not ours.
///  - A table is changed only by the context whose identity it bears, while nobody else refers to it.
///
/// Thread-safety: a context belongs to one thread at a time; the tables are shared between threads.

#include <cstdint>
#include <memory>
#include <utility>

#include <weft/detail/config.hpp>

namespace weft::detail {

/// Value of a variable; null: not set in this context.
using context_value = std::shared_ptr<const void>;

class WEFT_API context {
public:
    constexpr context() noexcept = default;
    /// Another context with the same values.
    context(const context& other) noexcept : table_(other.table_) {
        if (table_) share();
    }
    /// The same context, in another place.
    context(context&& other) noexcept : table_(std::exchange(other.table_, 0)) {}
    context& operator=(context other) noexcept {
        swap(other);
        return *this;
    }
    ~context() { clear(); }
    void swap(context& other) noexcept { std::swap(table_, other.table_); }
    /// Lets go of all values. What the destructors of values do to this context meanwhile is kept.
    void clear() noexcept {
        if (table_) release(std::exchange(table_, 0));
    }

    static context copy_of_current() noexcept;
    bool empty() const noexcept { return table_ == 0; }

    /// The value of variable `key`; null if it is not set.
    const context_value* find(std::uint64_t key) const noexcept;
    /// Sets it, or, to null, takes it out; returns what was there. Throws std::bad_alloc, and has changed nothing then.
    context_value exchange(std::uint64_t key, context_value value);
    /// Identity; 0 if no variable was ever set in this context, but perhaps in the one it was copied from.
    std::uint64_t id() const noexcept;

private:
    struct table;
    void share() noexcept;
    static void release(std::uintptr_t table) noexcept;

    std::uintptr_t table_ = 0;   // a table*; lowest bit: another context's
};

/// The running task's; in a callback the callback's; elsewhere the thread's.
WEFT_API context& current_context() noexcept;

/// Runs the code around it in another context; what that sets stays in `c`, which must not be used meanwhile. In a task, for
/// the task alone.
class WEFT_API context_scope {
public:
    explicit context_scope(context& c) noexcept : inside_(c), place_(current_context()) { place_.swap(inside_); }
    ~context_scope() { place_.swap(inside_); }
    context_scope(const context_scope&) = delete;
    context_scope& operator=(const context_scope&) = delete;

private:
    context& inside_;
    context& place_;
};

inline context context::copy_of_current() noexcept { return current_context(); }

}  // namespace weft::detail
