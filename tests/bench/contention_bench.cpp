// Synchronization that waits: a contended mutex, and a condition variable played to and fro.

#include <boost/fiber/all.hpp>

#include <condition_variable>
#include <mutex>

#include <weft/condition_variable.hpp>
#include <weft/gather.hpp>
#include <weft/mutex.hpp>
#include <weft/run.hpp>
#include <weft/task.hpp>

#include "peers.hpp"

namespace {

constexpr std::size_t rounds = 100'000;
constexpr std::size_t contenders = 10;

/// Each holds the lock over a yield, so that all others always wait for it.
template <class Mutex, class Yield>
void contend(Mutex& m, Yield yield) {
    for (std::size_t i = 0; i < rounds / contenders; ++i) {
        std::lock_guard lock(m);
        yield();
    }
}
void mutex_weft(benchmark::State& state) {
    weft::run([&] {
        bench::timed(state, rounds, [] {
            weft::mutex m;
            std::vector<weft::task<>> tasks;
            for (std::size_t i = 0; i < contenders; ++i)
                tasks.push_back(weft::create_task([&] { contend(m, weft::yield_now); }));
            for (auto& t : tasks) t.join();
        });
    });
}
void mutex_boost(benchmark::State& state) {
    bench::on_own_thread([&] {
        bench::timed(state, rounds, [] {
            boost::fibers::mutex m;
            std::vector<boost::fibers::fiber> fibers;
            for (std::size_t i = 0; i < contenders; ++i)
                fibers.emplace_back([&] { contend(m, boost::this_fiber::yield); });
            for (auto& f : fibers) f.join();
        });
    });
}
BENCHMARK(mutex_weft)->Name("mutex, 10 fibers contend/weft")->UseManualTime()->Iterations(1);
BENCHMARK(mutex_boost)->Name("mutex, 10 fibers contend/boost_fiber")->UseManualTime()->Iterations(1);

/// Two wait for their turn and give it to the other.
template <class Mutex, class Condition>
struct game {
    Mutex mutex;
    Condition changed;
    int turn = 0;

    void play(int mine) {
        for (std::size_t i = 0; i < rounds / 2; ++i) {
            std::unique_lock lock(mutex);
            changed.wait(lock, [&] { return turn == mine; });
            turn = 1 - mine;
            changed.notify_one();
        }
    }
};
void condition_weft(benchmark::State& state) {
    weft::run([&] {
        bench::timed(state, rounds, [] {
            game<weft::mutex, weft::condition_variable> g;
            auto other = weft::create_task([&] { g.play(1); });
            g.play(0);
            other.join();
        });
    });
}
void condition_boost(benchmark::State& state) {
    bench::on_own_thread([&] {
        bench::timed(state, rounds, [] {
            game<boost::fibers::mutex, boost::fibers::condition_variable> g;
            boost::fibers::fiber other([&] { g.play(1); });
            g.play(0);
            other.join();
        });
    });
}
BENCHMARK(condition_weft)->Name("condition, ping-pong/weft")->UseManualTime()->Iterations(1);
BENCHMARK(condition_boost)->Name("condition, ping-pong/boost_fiber")->UseManualTime()->Iterations(1);

}  // namespace
