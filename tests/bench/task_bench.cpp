// Tasks: creating and joining, one at a time and 1,000 alive; skynet; a timeout around a call that does not block.

#include <boost/fiber/all.hpp>

#include <weft/gather.hpp>
#include <weft/run.hpp>
#include <weft/task.hpp>
#include <weft/timeout.hpp>

#include "peers.hpp"

namespace {

constexpr std::size_t tasks_per_batch = 100'000;

void join_one_weft(benchmark::State& state) {
    weft::run([&] {
        bench::timed(state, tasks_per_batch, [] {
            for (std::size_t i = 0; i < tasks_per_batch; ++i) weft::create_task([] {}).join();
        });
    });
}
void join_one_boost(benchmark::State& state) {
    bench::on_own_thread([&] {
        bench::timed(state, tasks_per_batch, [] {
            for (std::size_t i = 0; i < tasks_per_batch; ++i)
                boost::fibers::fiber(std::allocator_arg, boost::fibers::fixedsize_stack(32 * 1024), [] {}).join();
        });
    });
}
void join_thousand_weft(benchmark::State& state) {
    weft::run([&] {
        bench::timed(state, tasks_per_batch, [] {
            std::vector<weft::task<>> tasks;
            tasks.reserve(1000);
            for (std::size_t i = 0; i < tasks_per_batch / 1000; ++i) {
                for (int k = 0; k < 1000; ++k) tasks.push_back(weft::create_task([] {}));
                for (auto& t : tasks) t.join();
                tasks.clear();
            }
        });
    });
}
void join_thousand_boost(benchmark::State& state) {
    bench::on_own_thread([&] {
        bench::timed(state, tasks_per_batch, [] {
            std::vector<boost::fibers::fiber> fibers;
            fibers.reserve(1000);
            for (std::size_t i = 0; i < tasks_per_batch / 1000; ++i) {
                for (int k = 0; k < 1000; ++k)
                    fibers.emplace_back(std::allocator_arg, boost::fibers::fixedsize_stack(32 * 1024), [] {});
                for (auto& f : fibers) f.join();
                fibers.clear();
            }
        });
    });
}
BENCHMARK(join_one_weft)->Name("create+join/weft")->UseManualTime()->Iterations(1);
BENCHMARK(join_one_boost)->Name("create+join/boost_fiber")->UseManualTime()->Iterations(1);
BENCHMARK(join_thousand_weft)->Name("create+join, 1000 alive/weft")->UseManualTime()->Iterations(1);
BENCHMARK(join_thousand_boost)->Name("create+join, 1000 alive/boost_fiber")->UseManualTime()->Iterations(1);

/// Every task makes ten, down to `leaves` of them, which return their number; the sum comes back up.
long skynet(long number, long leaves) {
    if (leaves == 1) return number;
    std::vector<weft::task<long>> children;
    children.reserve(10);
    for (int i = 0; i < 10; ++i) children.push_back(weft::create_task(skynet, number + i * (leaves / 10), leaves / 10));
    long sum = 0;
    for (auto& c : children) sum += c.get();
    return sum;
}
template <long Leaves>
void skynet_weft(benchmark::State& state) {
    weft::run({.stack_size = 64 * 1024}, [&] {
        bench::timed(state, Leaves * 10 / 9, [] {
            if (skynet(0, Leaves) != Leaves * (Leaves - 1) / 2) std::abort();
        });
    });
}
long skynet_boost(long number, long leaves) {
    if (leaves == 1) return number;
    std::vector<boost::fibers::future<long>> children;
    children.reserve(10);
    for (int i = 0; i < 10; ++i)
        children.push_back(boost::fibers::async(boost::fibers::launch::post, std::allocator_arg,
                                                boost::fibers::fixedsize_stack(32 * 1024), skynet_boost,
                                                number + i * (leaves / 10), leaves / 10));
    long sum = 0;
    for (auto& c : children) sum += c.get();
    return sum;
}
template <long Leaves>
void skynet_boost_run(benchmark::State& state) {
    bench::on_own_thread([&] {
        bench::timed(state, Leaves * 10 / 9, [] {
            if (skynet_boost(0, Leaves) != Leaves * (Leaves - 1) / 2) std::abort();
        });
    });
}
BENCHMARK(skynet_weft<1'000>)->Name("skynet, 1000 leaves/weft")->UseManualTime()->Iterations(1);
BENCHMARK(skynet_boost_run<1'000>)->Name("skynet, 1000 leaves/boost_fiber")->UseManualTime()->Iterations(1);
BENCHMARK(skynet_weft<100'000>)->Name("skynet, 100,000 leaves/weft")->UseManualTime()->Iterations(1);
BENCHMARK(skynet_weft<1'000'000>)->Name("skynet, 1,000,000 leaves/weft")->UseManualTime()->Iterations(1);

void timeout_weft(benchmark::State& state) {
    weft::run([&] {
        bench::timed(state, tasks_per_batch, [] {
            for (std::size_t i = 0; i < tasks_per_batch; ++i) weft::timeout(std::chrono::seconds(1), [] {});
        });
    });
}
BENCHMARK(timeout_weft)->Name("timeout, body does not block/weft")->UseManualTime()->Iterations(1);

}  // namespace
