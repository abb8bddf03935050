// Switches: yield, and park and wake, in order of creation and in shuffled order (which the stride prefetcher cannot guess).

#include <boost/fiber/all.hpp>

#include <algorithm>
#include <numeric>
#include <random>

#include <weft/detail/waiter.hpp>
#include <weft/run.hpp>
#include <weft/task.hpp>

#include "peers.hpp"

namespace {

constexpr std::size_t switches = 200'000;

void jump_bare(benchmark::State& state) {
    boost::context::fiber f([](boost::context::fiber&& back) {
        for (;;) back = std::move(back).resume();
        return std::move(back);
    });
    bench::timed(state, 2 * switches, [&] {
        for (std::size_t i = 0; i < switches; ++i) f = std::move(f).resume();
    });
}
BENCHMARK(jump_bare)->Name("jump/context")->UseManualTime()->Iterations(1);

template <int Fibers>
void yield_weft(benchmark::State& state) {
    weft::run([&] {
        bench::timed(state, switches, [] {
            std::vector<weft::task<>> tasks;
            for (int i = 0; i < Fibers; ++i)
                tasks.push_back(weft::create_task([] {
                    for (std::size_t k = 0; k < switches / Fibers; ++k) weft::yield_now();
                }));
            for (auto& t : tasks) t.get();
        });
    });
}
template <int Fibers>
void yield_boost(benchmark::State& state) {
    bench::on_own_thread([&] {
        bench::timed(state, switches, [] {
            std::vector<boost::fibers::fiber> fibers;
            for (int i = 0; i < Fibers; ++i)
                fibers.emplace_back(std::allocator_arg, boost::fibers::fixedsize_stack(32 * 1024), [] {
                    for (std::size_t k = 0; k < switches / Fibers; ++k) boost::this_fiber::yield();
                });
            for (auto& f : fibers) f.join();
        });
    });
}
template <int Fibers>
void yield_bare(benchmark::State& state) {
    bench::timed(state, switches, [] {
        bench::bare_scheduler s;
        for (int i = 0; i < Fibers; ++i)
            s.spawn([&s] {
                for (std::size_t k = 0; k < switches / Fibers; ++k) s.yield();
            });
        s.run();
    });
}
BENCHMARK(yield_weft<2>)->Name("yield, 2 fibers/weft")->UseManualTime()->Iterations(1);
BENCHMARK(yield_boost<2>)->Name("yield, 2 fibers/boost_fiber")->UseManualTime()->Iterations(1);
BENCHMARK(yield_bare<2>)->Name("yield, 2 fibers/bare")->UseManualTime()->Iterations(1);
BENCHMARK(yield_weft<1000>)->Name("yield, 1000 fibers/weft")->UseManualTime()->Iterations(1);
BENCHMARK(yield_boost<1000>)->Name("yield, 1000 fibers/boost_fiber")->UseManualTime()->Iterations(1);
BENCHMARK(yield_bare<1000>)->Name("yield, 1000 fibers/bare")->UseManualTime()->Iterations(1);

/// A fiber's turn in a ring: parks, then wakes the next one.
struct ring_place {
    weft::detail::gate gate;
    weft::detail::waiter* waiting = nullptr;
};

/// Fibers wake each other around a ring in a fixed order: created order, or shuffled.
template <int Fibers, bool Shuffled>
void ring_weft(benchmark::State& state) {
    weft::run([&] {
        std::vector<int> order(Fibers);
        std::iota(order.begin(), order.end(), 0);
        if (Shuffled) std::shuffle(order.begin(), order.end(), std::mt19937(1));
        std::vector<ring_place> places(Fibers);
        std::vector<int> next(Fibers);
        for (int i = 0; i < Fibers; ++i) next[order[i]] = order[(i + 1) % Fibers];
        std::size_t left = 0;
        const auto wake = [&](int i) {
            weft::detail::gate_lock lock(places[i].gate);
            weft::detail::waiter* w = std::exchange(places[i].waiting, nullptr);
            if (!w || !w->claim(lock)) return;
            lock.leave();
            weft::detail::waiter::wake(*w);
        };
        const auto park = [&](int i) {
            weft::detail::waiter self("ring");
            {
                weft::detail::gate_lock lock(places[i].gate);
                places[i].waiting = &self;
            }
            weft::detail::park(self);
        };
        std::vector<weft::task<>> tasks;
        bool over = false;
        for (int i = 0; i < Fibers; ++i)
            tasks.push_back(weft::create_task([&, i] {
                for (;;) {
                    park(i);
                    if (over) return;
                    if (left-- == 0) {
                        over = true;
                        for (int k = 0; k < Fibers; ++k) wake(k);
                        return;
                    }
                    wake(next[i]);
                }
            }));
        weft::yield_now();
        for (auto _ : state) {
            left = switches;
            const auto start = std::chrono::steady_clock::now();
            wake(order[0]);
            for (auto& t : tasks) t.join();
            const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
            state.SetIterationTime(took.count() / switches);
        }
    });
}
template <int Fibers, bool Shuffled>
void ring_boost(benchmark::State& state) {
    bench::on_own_thread([&] {
        std::vector<int> order(Fibers);
        std::iota(order.begin(), order.end(), 0);
        if (Shuffled) std::shuffle(order.begin(), order.end(), std::mt19937(1));
        std::vector<int> next(Fibers);
        for (int i = 0; i < Fibers; ++i) next[order[i]] = order[(i + 1) % Fibers];
        std::vector<boost::fibers::context*> contexts(Fibers);
        std::size_t left = switches;
        bool over = false;
        std::vector<boost::fibers::fiber> fibers;
        for (int i = 0; i < Fibers; ++i)
            fibers.emplace_back(std::allocator_arg, boost::fibers::fixedsize_stack(32 * 1024), [&, i] {
                auto* self = contexts[i] = boost::fibers::context::active();
                for (;;) {
                    self->suspend();
                    if (over) return;
                    if (left-- == 0) {
                        over = true;
                        for (int k = 0; k < Fibers; ++k)
                            if (k != i) self->schedule(contexts[k]);
                        return;
                    }
                    self->schedule(contexts[next[i]]);
                }
            });
        boost::this_fiber::yield();
        for (auto _ : state) {
            const auto start = std::chrono::steady_clock::now();
            boost::fibers::context::active()->schedule(contexts[order[0]]);
            for (auto& f : fibers) f.join();
            const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
            state.SetIterationTime(took.count() / switches);
        }
    });
}
template <int Fibers, bool Shuffled>
void ring_bare(benchmark::State& state) {
    std::vector<int> order(Fibers);
    std::iota(order.begin(), order.end(), 0);
    if (Shuffled) std::shuffle(order.begin(), order.end(), std::mt19937(1));
    std::vector<int> next(Fibers);
    for (int i = 0; i < Fibers; ++i) next[order[i]] = order[(i + 1) % Fibers];
    for (auto _ : state) {
        bench::bare_scheduler s;
        std::vector<bench::bare_scheduler::fiber*> fibers(Fibers);
        std::size_t left = switches;
        bool over = false;
        for (int i = 0; i < Fibers; ++i)
            fibers[i] = s.spawn([&, i] {
                for (;;) {
                    s.park();
                    if (over) return;
                    if (left-- == 0) {
                        over = true;
                        for (int k = 0; k < Fibers; ++k)
                            if (k != i) s.push(fibers[k]);
                        return;
                    }
                    s.push(fibers[next[i]]);
                }
            });
        s.run();
        const auto start = std::chrono::steady_clock::now();
        s.push(fibers[order[0]]);
        s.run();
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
        state.SetIterationTime(took.count() / switches);
    }
}
BENCHMARK((ring_weft<2, false>))->Name("park+wake, 2 fibers/weft")->UseManualTime()->Iterations(1);
BENCHMARK((ring_boost<2, false>))->Name("park+wake, 2 fibers/boost_fiber")->UseManualTime()->Iterations(1);
BENCHMARK((ring_bare<2, false>))->Name("park+wake, 2 fibers/bare")->UseManualTime()->Iterations(1);
BENCHMARK((ring_weft<1000, false>))->Name("park+wake, 1000 fibers/weft")->UseManualTime()->Iterations(1);
BENCHMARK((ring_boost<1000, false>))->Name("park+wake, 1000 fibers/boost_fiber")->UseManualTime()->Iterations(1);
BENCHMARK((ring_bare<1000, false>))->Name("park+wake, 1000 fibers/bare")->UseManualTime()->Iterations(1);
BENCHMARK((ring_weft<1000, true>))->Name("park+wake, 1000 shuffled/weft")->UseManualTime()->Iterations(1);
BENCHMARK((ring_boost<1000, true>))->Name("park+wake, 1000 shuffled/boost_fiber")->UseManualTime()->Iterations(1);
BENCHMARK((ring_bare<1000, true>))->Name("park+wake, 1000 shuffled/bare")->UseManualTime()->Iterations(1);

}  // namespace
