#pragma once

/// completions: waiting for many tasks, in the order in which they end. What gather, wait and as_completed are made of.
///
/// Invariants: every task has one node, registered with it until it completes; completed nodes stand in a list, in order,
/// until they are taken. The list and waiting_ are guarded by gate_, because tasks of other loops complete there. Lock
/// order: a task's gate, then this one.

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include <weft/detail/cancellation.hpp>
#include <weft/detail/task_core.hpp>
#include <weft/error.hpp>

namespace weft::detail {

class WEFT_API completions {
public:
    /// \param what  a static string that names the call
    completions(const std::vector<task_core*>& tasks, const char* what);
    ~completions();
    completions(const completions&) = delete;
    completions& operator=(const completions&) = delete;

    /// Takes the next one that has ended, waiting for it: `index` is its place among the tasks. Not to be called when none
    /// remains.
    wait_outcome next(std::size_t& index, time_point deadline = time_point::max(), bool cancellable = true);
    /// Takes one that has ended already; false if there is none.
    bool try_next(std::size_t& index) noexcept;
    std::size_t remaining() const noexcept { return remaining_; }

private:
    struct node : joiner {
        completions* owner = nullptr;
        task_core* task = nullptr;
        node* next_done = nullptr;
    };
    void append(node& n) noexcept;
    bool pop(std::size_t& index) noexcept;

    gate gate_;
    waiter* waiting_ = nullptr;
    node* first_done_ = nullptr;
    node* last_done_ = nullptr;
    std::size_t count_;
    std::size_t remaining_;
    const char* what_;
    std::unique_ptr<node[]> nodes_;
};

/// The tasks that a gather waits for. Those it owns, made of callables, have ended when this is destroyed; until then they stand
/// under the scopes that the gather stands under. Made and destroyed by the same fiber.
class WEFT_API gathered final : private nested {
public:
    gathered() = default;
    ~gathered();

    void reserve(std::size_t count);
    void add(task_core& t, bool owned);   // holds a reference
    /// gather's rules, told in weft/gather.hpp.
    void wait(bool return_exceptions);

private:
    void cancel_owned(const std::string& message) noexcept;
    void asked_by(request_scope& scope) noexcept override;

    std::vector<task_core*> tasks_;
    std::vector<bool> owned_;
    bool waited_ = false;
};

}  // namespace weft::detail
