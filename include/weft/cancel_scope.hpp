#pragma once

/// cancel_scope: a stretch of code that can be cancelled, from anywhere and in two phases (trio.CancelScope, and more).
///
///     weft::cancel_scope scope({.name = "serving"});
///     ...                                                    // hand it to whoever may end it
///     bool finished = scope.run([&] { serve(); });           // false: cut off
///
///     scope.cancel("restarting");                            // from any task, callback or thread
///     scope.cancel(10s, "shutting down");                    // asks now, cancels after ten seconds
///
/// Phases. A scope that is *asked* to end says so by cancel_requested(), and its idle waits end: those for new work, which
/// are named at weft::idle. Whatever else it does goes on. After the grace period it is *cancelled*: its current wait, or its
/// next, throws. Without a grace period both happen at once.
///
/// Invariants
///  - A phase is never taken back: the deadline can be put off only until the scope is asked, and a grace period only shortened.
///  - A request is delivered once, as any (cancel() again asks again); an ask ends every idle wait until the scope is left.
///  - Only a `cancelled` that leaves the body becomes "cut off". It is the scope's own if the scope was cancelled and nobody else
///    has asked this task since it was opened, or if it left an idle wait and the scope was asked. Any other passes: an outside
///    cancellation that races with the scope stays one, and if it was not delivered yet, it is by the first wait after the scope.
///  - When the body ends, whatever it does, the scope's requests end with it: nothing of them is pending after run().
///  - Nested scopes: who is asked or cancelled is all that stands in it: inner scopes, and the children of groups and gathers
///    opened in it, however deep. Of a `cancelled` that several scopes might take, the innermost that was cancelled takes it;
///    in the outer one the next wait throws again if that was cancelled, too.
///  - `shield` holds back all that comes from outside of the scope, asks and cancellations, until it is left. Its own deadline
///    and cancel() go through. uncancellable and unwinding hold back the same.
///  - A group that leaves its body by an idle wait does not cancel its children: they were asked, too, and have their grace.
///
/// Rejected: asking by the same request that cancels, twice (a body could not tell which it got); level-triggered cancellation as
/// in trio (everything else in weft is edge-triggered, and cleanup that waits would need a shield everywhere).

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include <weft/cancellation.hpp>
#include <weft/detail/cancellation.hpp>
#include <weft/detail/job.hpp>
#include <weft/error.hpp>
#include <weft/task.hpp>

namespace weft {

struct cancel_scope_options {
    std::string name = {};   // for messages; empty: the place where it was made must do
    /// When it is cancelled by itself, on the clock of loop::time(); max: never.
    std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
    std::chrono::nanoseconds grace{0};   // at the deadline: asked then, cancelled so much later
    bool shield = false;                 // holds back cancellations from outside
};

namespace detail {

struct scope_state;

/// A scope whose body runs: on the stack of run().
class WEFT_API running_scope final : private request_scope, private kernel::timer {
public:
    explicit running_scope(std::shared_ptr<scope_state> state);
    ~running_scope();
    /// After c left the body: whether that is the scope's own.
    bool take(const cancelled& c) noexcept;

private:
    friend struct scope_state;
    void apply() noexcept;   // does what the state says, as of now; sets the timer for what comes next
    std::string origin() const override;

    std::shared_ptr<scope_state> state_;
    unsigned cancels_seen_ = 0;
};

/// Cancels a scope at `when`, and asks it now. False if its body has ended.
WEFT_API bool cancel(const std::shared_ptr<scope_state>& scope, time_point when, std::string reason, source_place where);

template <class R>
struct scope_result {
    using value = std::conditional_t<std::is_reference_v<R>, std::reference_wrapper<std::remove_reference_t<R>>, R>;
    using type = std::optional<value>;
};
template <>
struct scope_result<void> {
    using type = bool;
};

}  // namespace detail

/// For one run of one body. Members may be called from any thread, before, while and after the body runs.
class WEFT_API cancel_scope {
public:
    using time_point = std::chrono::steady_clock::time_point;

    explicit cancel_scope(cancel_scope_options options = {}, detail::source_place where = detail::source_place::current());
    cancel_scope(const cancel_scope&) = delete;
    cancel_scope& operator=(const cancel_scope&) = delete;

    /// Runs f in this fiber; f takes nothing or a cancel_scope&. If f returns nothing: true if it finished, false if it was cut off.
    /// Otherwise what it returned (a reference as std::reference_wrapper), or nothing if it was cut off.
    ///
    /// Suspends:      as f does.
    /// Cancellation:  as f does; with shield what comes from outside is pending when this returns. A scope that was cancelled
    ///                before is cut off by its first blocking call.
    /// Errors:        what f throws; invalid_state if the scope has run before; no_running_loop, no_running_task.
    template <class F>
    auto run(F&& f) {
        detail::running_scope running(state_);
        try {
            if constexpr (std::is_invocable_v<F, cancel_scope&>) return call<std::invoke_result_t<F, cancel_scope&>>(std::forward<F>(f), *this);
            else return call<std::invoke_result_t<F>>(std::forward<F>(f));
        } catch (const cancelled& c) {
            if (!running.take(c)) throw;
        }
        if constexpr (std::is_invocable_v<F, cancel_scope&>) return result_t<std::invoke_result_t<F, cancel_scope&>>();
        else return result_t<std::invoke_result_t<F>>();
    }

    /// Cancels the body; each call asks once more if an earlier request was delivered and caught. False if the body has ended.
    bool cancel(std::string reason = {}, detail::source_place where = detail::source_place::current()) {
        return detail::cancel(state_, time_point::min(), std::move(reason), where);
    }
    /// Asks the body to end, and cancels it when `grace` has passed, or earlier if that was said before.
    template <class Rep, class Period>
    bool cancel(std::chrono::duration<Rep, Period> grace, std::string reason = {},
                detail::source_place where = detail::source_place::current()) {
        return detail::cancel(state_, grace > grace.zero() ? detail::deadline_after(grace) : time_point::min(), std::move(reason),
                              where);
    }

    /// True once it has been asked or cancelled, or its deadline has passed while it ran.
    bool cancel_requested() const noexcept;
    /// True once the body was cut off: its `cancelled` reached run(), which kept it.
    bool cancelled_caught() const noexcept;
    /// What the cancel() said that counts; empty if it said nothing or the deadline passed.
    std::string reason() const;

    time_point deadline() const noexcept;
    /// Sets another deadline, time_point::max() for none. False, and nothing is changed, if the scope has been asked to end
    /// already or has ended: others may cancel it at any moment.
    bool reschedule(time_point deadline);

    /// For weft itself.
    std::shared_ptr<detail::scope_state> share() const noexcept { return state_; }

private:
    template <class R>
    using result_t = typename detail::scope_result<R>::type;
    template <class R, class F, class... A>
    static result_t<R> call(F&& f, A&... arguments) {
        if constexpr (std::is_void_v<R>) {
            std::invoke(std::forward<F>(f), arguments...);
            return true;
        } else {
            return result_t<R>(std::in_place, std::invoke(std::forward<F>(f), arguments...));
        }
    }

    std::shared_ptr<detail::scope_state> state_;
};

}  // namespace weft
