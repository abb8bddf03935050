// Synchronization that waits: a contended mutex; a condition variable played to and fro, and one that many wait for.

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

/// Many wait for work, and are notified of it one by one.
template <class Mutex, class Condition>
struct crew {
    Mutex mutex;
    Condition changed;
    std::size_t work = 0;
    bool over = false;

    void take() {
        std::unique_lock lock(mutex);
        for (;;) {
            changed.wait(lock, [&] { return work > 0 || over; });
            if (work == 0) return;
            --work;
        }
    }
    template <class Yield>
    void give(Yield yield) {
        for (std::size_t i = 0; i < rounds; ++i) {
            {
                std::lock_guard lock(mutex);
                ++work;
            }
            changed.notify_one();
            if (i % contenders == 0) yield();
        }
        std::lock_guard lock(mutex);
        over = true;
        changed.notify_all();
    }
};
void crew_weft(benchmark::State& state) {
    weft::run([&] {
        bench::timed(state, rounds, [] {
            crew<weft::mutex, weft::condition_variable> c;
            std::vector<weft::task<>> tasks;
            for (std::size_t i = 0; i < contenders; ++i) tasks.push_back(weft::create_task([&] { c.take(); }));
            c.give(weft::yield_now);
            for (auto& t : tasks) t.join();
        });
    });
}
void crew_boost(benchmark::State& state) {
    bench::on_own_thread([&] {
        bench::timed(state, rounds, [] {
            crew<boost::fibers::mutex, boost::fibers::condition_variable> c;
            std::vector<boost::fibers::fiber> fibers;
            for (std::size_t i = 0; i < contenders; ++i) fibers.emplace_back([&] { c.take(); });
            c.give(boost::this_fiber::yield);
            for (auto& f : fibers) f.join();
        });
    });
}
BENCHMARK(crew_weft)->Name("condition, 10 wait for work/weft")->UseManualTime()->Iterations(1);
BENCHMARK(crew_boost)->Name("condition, 10 wait for work/boost_fiber")->UseManualTime()->Iterations(1);

}  // namespace
