// Many at once: a group of 1,000 children, a gather of 1,000, and 1,000 parked tasks that are cancelled and joined.

#include <boost/fiber/all.hpp>

#include <functional>

#include <weft/gather.hpp>
#include <weft/run.hpp>
#include <weft/task.hpp>
#include <weft/task_group.hpp>

#include "peers.hpp"

namespace {

constexpr std::size_t many = 1000;
constexpr std::size_t batches = 50;

/// Runs work once for warmth, then `batches` times.
template <class Work>
void batched(benchmark::State& state, Work work) {
    work();
    bench::timed(state, many * batches, [&] {
        for (std::size_t i = 0; i < batches; ++i) work();
    });
}

void group_weft(benchmark::State& state) {
    weft::run([&] {
        batched(state, [] {
            weft::with_task_group([](weft::task_group& group) {
                for (std::size_t i = 0; i < many; ++i) group.create_task([] {});
            });
        });
    });
}
void gather_weft(benchmark::State& state) {
    weft::run([&] {
        const std::vector<int (*)()> calls(many, [] { return 1; });
        batched(state, [&] { benchmark::DoNotOptimize(weft::gather(calls)); });
    });
}
/// What Boost.Fiber has for both: futures of fibers, one after the other.
void async_boost(benchmark::State& state) {
    bench::on_own_thread([&] {
        batched(state, [] {
            std::vector<boost::fibers::future<int>> futures;
            futures.reserve(many);
            for (std::size_t i = 0; i < many; ++i)
                futures.push_back(boost::fibers::async(boost::fibers::launch::post, std::allocator_arg,
                                                       boost::fibers::fixedsize_stack(32 * 1024), [] { return 1; }));
            for (auto& f : futures) benchmark::DoNotOptimize(f.get());
        });
    });
}
BENCHMARK(group_weft)->Name("group of 1000 children/weft")->UseManualTime()->Iterations(1);
BENCHMARK(async_boost)->Name("group of 1000 children/boost_fiber")->UseManualTime()->Iterations(1);
BENCHMARK(gather_weft)->Name("gather of 1000/weft")->UseManualTime()->Iterations(1);
BENCHMARK(async_boost)->Name("gather of 1000/boost_fiber")->UseManualTime()->Iterations(1);

void cancel_weft(benchmark::State& state) {
    weft::run([&] {
        batched(state, [] {
            std::vector<weft::task<>> tasks;
            tasks.reserve(many);
            for (std::size_t i = 0; i < many; ++i)
                tasks.push_back(weft::create_task([] { weft::sleep(std::chrono::hours(1)); }));
            weft::yield_now();
            for (auto& t : tasks) t.cancel();
            for (auto& t : tasks) t.join();
        });
    });
}
BENCHMARK(cancel_weft)->Name("park, cancel, join/weft")->UseManualTime()->Iterations(1);

}  // namespace
