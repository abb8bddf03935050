#pragma once

/// bare_loop: a loop without the task layer above it. Its jobs are functions, and its turns are made by hand, so that a
/// test can put events in any order within one turn.
///
/// The thread that made it is on the loop's own stack, as a callback is, until the loop is destroyed. Jobs must not call
/// what needs a task (create_task, timeout, throw_cancelled).

#include <cstddef>
#include <cstdlib>
#include <deque>
#include <exception>
#include <functional>
#include <string>
#include <utility>

#include <catch2/catch.hpp>

#include <weft/detail/waiter.hpp>

#include "kernel/park.hpp"
#include "loop/core.hpp"

namespace weft_test {

class bare_loop {
public:
    class job final : public weft::kernel::job {
    public:
        job(bare_loop& loop, std::function<void()> f, std::string name)
            : loop_(loop), f_(std::move(f)), name_(std::move(name)) {}

        void run() noexcept override {
            try {
                f_();
            } catch (...) {
                if (!loop_.error_) loop_.error_ = std::current_exception();
            }
            end();
        }
        void refuse() noexcept override {
            refused = true;
            end();
        }
        const char* describe() const noexcept override { return name_.c_str(); }

        /// What the task layer does when a task is cancelled.
        void cancel() {
            set_cancel_deliverable(true);
            if (on) weft::kernel::cancel_wait(*on);
        }
        /// What it does when it throws.
        bool take_cancellation() {
            const bool was = cancel_deliverable();
            set_cancel_deliverable(false);
            return was;
        }

        bool done = false;
        bool refused = false;

    private:
        void end() noexcept {
            on = nullptr;
            done = true;
            f_ = nullptr;
            if (--loop_.alive_ == 0) loop_.core.do_not_sleep();
        }

        bare_loop& loop_;
        std::function<void()> f_;
        std::string name_;
    };

    /// Its engine is the one that WEFT_ENGINE names.
    explicit bare_loop(std::size_t stack_size = 256 * 1024) : core(stack_size, engine_choice()) {
        core.scheduler.enter();
    }
    ~bare_loop() { core.scheduler.leave(); }
    bare_loop(const bare_loop&) = delete;
    bare_loop& operator=(const bare_loop&) = delete;

    /// Makes a job that is ready.
    job& start(std::function<void()> f, std::size_t stack_size = 0, std::string name = "job") {
        job& made = make(std::move(f), stack_size, std::move(name));
        core.scheduler.ready(made);
        return made;
    }
    /// Makes a job without making it ready.
    job& make(std::function<void()> f, std::size_t stack_size = 0, std::string name = "job") {
        jobs_.emplace_back(*this, std::move(f), std::move(name));
        jobs_.back().stack_size = stack_size;
        ++alive_;
        return jobs_.back();
    }

    /// One turn that does not sleep.
    void turn() { core.turn(weft::detail::time_point::min()); }
    /// Turns until nothing is ready.
    void settle() {
        do turn();
        while (core.scheduler.anything_ready());
    }
    /// Turns until every job has ended; throws the first exception that left one.
    void run() {
        while (alive_) core.turn();
        jobs_.clear();
        if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
    }
    int alive() const { return alive_; }

    weft::kernel::scheduler& scheduler() { return core.scheduler; }
    weft::engine_layer::engine& engine() { return *core.engine; }

    weft::loop_layer::core core;

private:
    static weft::loop_layer::engine_choice engine_choice() {
        const char* name = std::getenv("WEFT_ENGINE");
        const bool uring = name && std::string(name) == "io_uring";
        return uring ? weft::loop_layer::engine_choice::io_uring : weft::loop_layer::engine_choice::epoll;
    }

    std::deque<job> jobs_;
    int alive_ = 0;
    std::exception_ptr error_;
};

}  // namespace weft_test
