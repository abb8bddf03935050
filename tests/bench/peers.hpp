#pragma once

/// How the peers are driven: weft in a loop of its own, Boost.Fiber on a thread with its default scheduler, and a bare
/// scheduler that has nothing but a run queue and Boost.Context's jump.

#include <benchmark/benchmark.h>

#include <boost/context/fiber.hpp>
#include <boost/context/fixedsize_stack.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace bench {

/// Times `work`, which does `operations` operations, once for each batch that the state asks for.
template <class Work>
void timed(benchmark::State& state, std::size_t operations, Work&& work) {
    using clock = std::chrono::steady_clock;
    for (auto _ : state) {
        const auto start = clock::now();
        work();
        const std::chrono::duration<double> took = clock::now() - start;
        state.SetIterationTime(took.count() / static_cast<double>(operations));
    }
}

/// Enters the works of the programs in other languages.
void enter_external_peers();

/// Runs f on a thread of its own, so that the scheduler it installs or finds there is nobody else's.
template <class F>
void on_own_thread(F&& f) {
    std::thread(std::forward<F>(f)).join();
}

/// The least a fiber scheduler can be: no exception state, no cancellation, no timers, no other threads.
class bare_scheduler {
public:
    struct fiber {
        boost::context::fiber context;
        fiber* next = nullptr;
    };

    fiber* spawn(std::function<void()> f) {
        auto made = std::make_unique<fiber>();
        fiber* self = made.get();
        self->context = boost::context::fiber(std::allocator_arg, boost::context::fixedsize_stack(32 * 1024),
                                              [this, f = std::move(f)](boost::context::fiber&& back) {
                                                  main_ = std::move(back);
                                                  f();
                                                  return std::move(main_);
                                              });
        all_.push_back(std::move(made));
        push(self);
        return self;
    }
    void push(fiber* f) noexcept {
        f->next = nullptr;
        *end_ = f;
        end_ = &f->next;
    }
    /// From a fiber: to the next one. Through the scheduler's own stack, as bare as it comes.
    void park() { main_ = std::move(main_).resume(); }
    void yield() {
        push(current_);
        park();
    }
    fiber* current() const noexcept { return current_; }
    void run() {
        while (first_) {
            current_ = first_;
            first_ = current_->next;
            if (!first_) end_ = &first_;
            current_->context = std::move(current_->context).resume();
        }
    }

private:
    std::vector<std::unique_ptr<fiber>> all_;
    fiber* first_ = nullptr;
    fiber** end_ = &first_;
    fiber* current_ = nullptr;
    boost::context::fiber main_;
};

}  // namespace bench
