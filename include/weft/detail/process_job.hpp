#pragma once

/// process_job: a call on its way to a worker process and back.
///
/// A request names two functions, the one to call and the instance of call_here that knows its type, and has the arguments; an
/// answer has the result or an exception. Both are frames: a header, then bytes (lib/exec/frame.hpp).
///
/// Invariants
///  - queued_ is guarded by the pool's mutex. Who clears it, by giving the job to a worker or by withdraw(), has the job.
///  - A job that somebody waits for lives on the waiter's stack, as in a thread pool; one with a std::future on the heap.
///  - answer_ and error_ are the pool's until ended(), then the waiter's. One of them is set: an empty answer_ is none.

#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <weft/detail/config.hpp>
#include <weft/detail/pool_job.hpp>
#include <weft/serializer.hpp>

namespace weft::detail {

struct process_pool_state;

/// Any function, to be cast back to what it was.
using any_function = void (*)();
/// Reads the arguments, calls the function, and writes the result.
using remote_call = void (*)(any_function function, byte_reader& arguments, byte_writer& result);

/// What a function's result is here: no reference survives the way.
template <class R>
using process_value_t = std::remove_cvref_t<R>;

/// What of a parameter travels: the value; for a string_view the string.
template <class P>
struct travelling {
    static_assert(!std::is_lvalue_reference_v<P> || std::is_const_v<std::remove_reference_t<P>>,
                  "process_pool_executor: what f does to a `T&` happens to a copy in another process; return it instead");
    using type = std::remove_cvref_t<P>;
};
template <class P>
    requires std::is_same_v<std::remove_cvref_t<P>, std::string_view>
struct travelling<P> {
    using type = std::string;
};
template <class P>
using travelling_t = typename travelling<P>::type;

/// An instance of this is named in each request; it runs in the worker.
template <class R, class... P>
void call_here(any_function function, byte_reader& in, byte_writer& out) {
    const auto f = reinterpret_cast<R (*)(P...)>(function);
    std::tuple<travelling_t<P>...> arguments{in.read<travelling_t<P>>()...};   // in order: braces
    in.expect_end();
    const auto call = [&]() -> R {
        return std::apply(
            [&](travelling_t<P>&... a) -> R {
                if constexpr (std::is_void_v<R>) f(static_cast<P&&>(a)...);
                else return f(static_cast<P&&>(a)...);
            },
            arguments);
    };
    if constexpr (std::is_void_v<R>) call();
    else out.write<process_value_t<R>>(call());
}

class WEFT_API process_job {
public:
    process_job(const process_job&) = delete;
    process_job& operator=(const process_job&) = delete;

    template <class R, class... P, class... A>
    void set_request(R (*f)(P...), A&&... arguments) {
        if (!f) throw std::invalid_argument("process_pool_executor: the function must not be null");
        begin_request(&call_here<R, P...>, reinterpret_cast<any_function>(f));
        byte_writer out(request_);
        (write<travelling_t<P>>(out, std::forward<A>(arguments)), ...);
        end_request();
    }

protected:
    process_job() noexcept = default;
    ~process_job() = default;

    /// The answer is there, or error_ says why none will come. The job may be gone when it returns.
    virtual void ended() noexcept = 0;
    /// The job will not be given to a worker, because the pool was shut down.
    virtual void dropped() noexcept = 0;

    /// The result in the answer; throws remote_error, broken_process_pool, cancelled, or std::runtime_error for an answer that
    /// is none.
    template <class T>
    T result() const {
        byte_reader in = open_answer();
        if constexpr (std::is_void_v<T>) {
            in.expect_end();
        } else {
            T value = in.read<T>();
            in.expect_end();
            return value;
        }
    }

    std::exception_ptr error_;

private:
    friend struct process_pool_state;

    void begin_request(remote_call call, any_function function);
    void end_request();
    byte_reader open_answer() const;

    template <class T, class A>
    static void write(byte_writer& out, A&& argument) {
        if constexpr (std::is_convertible_v<A&&, const T&>) {
            const T& value = std::forward<A>(argument);   // no copy if it is one already
            out.write<T>(value);
        } else {
            out.write<T>(T(std::forward<A>(argument)));
        }
    }

    process_job* next_ = nullptr;
    process_job* previous_ = nullptr;
    bool queued_ = false;
    std::string request_;   // with its header
    std::string answer_;    // without
};

/// Throws broken_process_pool; invalid_state once the pool is shut down. Then it has done nothing.
WEFT_API void enqueue(process_pool_state& pool, process_job& j);

/// A job and its waiter.
class WEFT_API awaited_process_job final : public process_job {
public:
    /// Gives it to the pool, waits for its end, and gives the result.
    template <class T>
    T run_in(const std::shared_ptr<process_pool_state>& pool, const char* what) {
        wait_in(pool, what);
        return result<T>();
    }

private:
    void wait_in(const std::shared_ptr<process_pool_state>& pool, const char* what);
    void ended() noexcept override { end_.signal(); }
    void dropped() noexcept override;

    job_end end_;
};

/// A job that puts its result into a std::future.
template <class T>
class submitted_process_job final : public process_job {
public:
    std::future<T> get_future() { return promise_.get_future(); }

private:
    void ended() noexcept override {
        const std::unique_ptr<submitted_process_job> self(this);
        try {
            if (error_) {
                promise_.set_exception(error_);
            } else if constexpr (std::is_void_v<T>) {
                this->template result<T>();
                promise_.set_value();
            } else {
                promise_.set_value(this->template result<T>());
            }
        } catch (...) {
            promise_.set_exception(std::current_exception());
        }
    }
    void dropped() noexcept override { delete this; }   // std::future_error(broken_promise)

    std::promise<T> promise_;
};

}  // namespace weft::detail
