#pragma once

/// loop_group: a loop per thread, and tasks placed on them.

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include <weft/run.hpp>

namespace weft {

namespace detail {
class loop_thread;
}

/// Loops that run in threads of their own. Its destructor waits: it stops them, which cancels their tasks and waits for the
/// end of those, and joins the threads; called in a task it suspends that. It must not
/// be one of the group's own tasks or callbacks, which would wait for itself: that ends the program.
///
/// A task stays on its loop. Handles, queues, locks, events and futures work between loops: `spawn_on(l, f).get()` waits here
/// for what runs there, and is cancelled as any get().
class WEFT_API loop_group {
public:
    /// Errors: std::invalid_argument for loops == 0, more than 65536, or an unusable option; std::system_error if there is no thread or no loop
    /// to be had: then those that had started are ended.
    explicit loop_group(std::size_t loops, run_options options = {});
    ~loop_group();
    loop_group(const loop_group&) = delete;
    loop_group& operator=(const loop_group&) = delete;

    std::size_t size() const noexcept { return threads_.size(); }
    /// Errors: std::out_of_range.
    loop& operator[](std::size_t number) const;

    /// Starts f(arguments…), decay-copied, as a task of that loop: one of the group's, or any other that is open. It first
    /// runs in that loop's next turn, in the order in which one thread spawns.
    ///
    /// Errors: invalid_state if the loop is closed. Thread-safety: any thread, with a loop or without.
    template <class F, class... A>
        requires(!std::is_same_v<std::decay_t<F>, task_options> && std::is_invocable_v<std::decay_t<F>, std::decay_t<A>...>)
    static auto spawn_on(loop& l, F&& f, A&&... arguments) -> task<detail::task_value_t<F, A...>> {
        return start(l, nullptr, std::forward<F>(f), std::forward<A>(arguments)...);
    }
    /// The same with a name, or a stack of another size. An eager task starts in the loop's next turn, too.
    template <class F, class... A>
        requires std::is_invocable_v<std::decay_t<F>, std::decay_t<A>...>
    static auto spawn_on(loop& l, task_options options, F&& f, A&&... arguments) -> task<detail::task_value_t<F, A...>> {
        const detail::spawn_options chosen{&options.name, options.stack_size};
        return start(l, &chosen, std::forward<F>(f), std::forward<A>(arguments)...);
    }

private:
    template <class F, class... A>
    static auto start(loop& l, const detail::spawn_options* options, F&& f, A&&... arguments) {
        auto* state = new detail::task_state<F, A...>(std::forward<F>(f), std::forward<A>(arguments)...);
        task<detail::task_value_t<F, A...>> made(state);
        detail::spawn_on(l.state(), *state, options);
        return made;
    }

    std::vector<std::unique_ptr<detail::loop_thread>> threads_;
};

}  // namespace weft
