#pragma once

/// pool_job: what stands in a thread pool's queue; awaited_job: one that somebody waits for.
///
/// An awaited job lives on the stack of whoever waits for it: function, arguments, result, waiter and all, so handing work to
/// a pool allocates nothing. That is safe because the waiter leaves only when the job has ended or has been taken out of the
/// queue before it began. A job that its waiter may abandon lives on the heap instead, and keeps itself while it runs.
///
/// Invariants
///  - queued_ is guarded by the pool's mutex. Who clears it, a thread of the pool or withdraw(), has the job.
///  - The waiter stands in job_end's list before the job is published. So unless the wait is cancelled only one thread ever
///    enters the gate, the one that ends the job, and it pays nothing for a gate that others might use, too.
///  - After job_end::signal() the job may be gone.

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include <weft/detail/config.hpp>
#include <weft/detail/context.hpp>
#include <weft/detail/gate.hpp>
#include <weft/detail/waiter.hpp>

namespace weft::detail {

struct thread_pool_state;

class WEFT_API pool_job {
public:
    pool_job() noexcept = default;
    pool_job(const pool_job&) = delete;
    pool_job& operator=(const pool_job&) = delete;

    /// On a thread of the pool. The job may be gone when it returns.
    virtual void run() noexcept = 0;
    /// In place of run(): the pool was shut down before the job began.
    virtual void drop() noexcept = 0;

protected:
    ~pool_job() = default;

private:
    friend struct thread_pool_state;
    pool_job* next_ = nullptr;
    pool_job* previous_ = nullptr;
    bool queued_ = false;
};

/// Where the one who waits for a job meets the one who ends it.
class WEFT_API job_end {
public:
    /// Before the job is published.
    void expect(waiter& w) noexcept { waiters_.push_back(w); }
    /// The job has ended. Its waiter may be running again, and the job gone, when this returns.
    void signal() noexcept;
    /// For a waiter that was cancelled: waits on until the job has ended, whatever comes.
    void wait_on(waiter& cancelled) noexcept;
    /// For a waiter that was cancelled: leaves.
    void leave(waiter& cancelled) noexcept { waiters_.withdraw(cancelled, gate_); }

private:
    gate gate_;
    wait_list waiters_;
    bool ended_ = false;   // guarded by gate_
};

/// A call's result: a reference as a pointer, void as nothing.
template <class R>
class call_result {
public:
    template <class Call>
    void store(Call&& call) {
        if constexpr (std::is_void_v<R>) {
            std::forward<Call>(call)();
            value_.emplace();
        } else if constexpr (std::is_reference_v<R>) {
            value_.emplace(std::addressof(std::forward<Call>(call)()));
        } else {
            value_.emplace(std::forward<Call>(call)());
        }
    }
    R take() {
        if constexpr (std::is_reference_v<R>) return static_cast<R>(**value_);
        else if constexpr (!std::is_void_v<R>) return std::move(*value_);
    }

private:
    using stored = std::conditional_t<std::is_void_v<R>, std::monostate,
                                      std::conditional_t<std::is_reference_v<R>, std::remove_reference_t<R>*, R>>;
    std::optional<stored> value_;
};

/// A job and its waiter.
class WEFT_API awaited_job : public pool_job {
public:
    /// Gives the job to the pool and waits for its end, as weft/executor.hpp tells. Errors are not thrown here but by take().
    /// \param self  null: the job stays where it is, and so does the waiter; else it keeps itself alive, and may be abandoned
    /// \param stop  asked to stop by a cancellation; null: nobody looks
    void wait_in(const std::shared_ptr<thread_pool_state>& pool, const char* what, std::shared_ptr<awaited_job> self,
                 std::stop_source* stop);

    void run() noexcept final;
    void drop() noexcept final;

protected:
    ~awaited_job() = default;
    /// Calls the function and stores what it returns.
    virtual void invoke() = 0;
    /// Destroys the function and its arguments.
    virtual void discard() noexcept = 0;
    void rethrow_error() const {
        if (error_) std::rethrow_exception(error_);
    }

private:
    job_end end_;
    std::exception_ptr error_;
    context values_;                      // copied from the waiter's; the job runs with them
    std::shared_ptr<awaited_job> self_;   // of one that may be abandoned, from enqueue() to the end of run()
};

/// Whether F wants a std::stop_token before the arguments.
template <class F, class... A>
inline constexpr bool takes_stop_token = std::is_invocable_v<std::decay_t<F>, std::stop_token, std::decay_t<A>...>;

template <class F, class... A>
struct job_call {
    using type = std::invoke_result_t<std::decay_t<F>, std::decay_t<A>...>;
};
template <class F, class... A>
    requires takes_stop_token<F, A...>
struct job_call<F, A...> {
    using type = std::invoke_result_t<std::decay_t<F>, std::stop_token, std::decay_t<A>...>;
};
template <class F, class... A>
using job_value_t = typename job_call<F, A...>::type;

/// An awaited job with its function, its arguments and the place for its result.
template <class F, class... A>
class awaited_call final : public awaited_job {
    using value = job_value_t<F, A...>;

public:
    template <class G, class... B>
    explicit awaited_call(std::in_place_t, G&& function, B&&... arguments)
        : call_(std::in_place, std::forward<G>(function), std::forward<B>(arguments)...) {}

    value run_in(const std::shared_ptr<thread_pool_state>& pool, const char* what, std::shared_ptr<awaited_job> self = nullptr) {
        std::stop_source* stop = nullptr;
        if constexpr (takes_stop_token<F, A...>) stop = &stop_;
        wait_in(pool, what, std::move(self), stop);
        rethrow_error();
        return result_.take();
    }

private:
    void invoke() override {
        result_.store([this]() -> decltype(auto) {
            return std::apply(
                [&](auto&& f, auto&&... a) -> decltype(auto) {
                    if constexpr (takes_stop_token<F, A...>)
                        return std::invoke(std::move(f), stop_.get_token(), std::move(a)...);
                    else
                        return std::invoke(std::move(f), std::move(a)...);
                },
                std::move(*call_));
        });
    }
    void discard() noexcept override { call_.reset(); }

    std::optional<std::tuple<std::decay_t<F>, std::decay_t<A>...>> call_;
    call_result<value> result_;
    [[no_unique_address]] std::conditional_t<takes_stop_token<F, A...>, std::stop_source, std::monostate> stop_;
};

}  // namespace weft::detail
