// Synchronization: an uncontended mutex, a semaphore's hand-over, a queue's.

#include <boost/fiber/all.hpp>

#include <weft/mutex.hpp>
#include <weft/queue.hpp>
#include <weft/run.hpp>
#include <weft/semaphore.hpp>
#include <weft/task.hpp>

#include "peers.hpp"

namespace {

constexpr std::size_t rounds = 100'000;

template <class Mutex>
void lock_rounds(benchmark::State& state) {
    Mutex m;
    bench::timed(state, rounds, [&] {
        for (std::size_t i = 0; i < rounds; ++i) {
            m.lock();
            benchmark::ClobberMemory();
            m.unlock();
        }
    });
}
void mutex_weft(benchmark::State& state) {
    weft::run([&] { lock_rounds<weft::mutex>(state); });
}
void mutex_boost(benchmark::State& state) {
    bench::on_own_thread([&] { lock_rounds<boost::fibers::mutex>(state); });
}
void mutex_std(benchmark::State& state) {
    bench::on_own_thread([&] { lock_rounds<std::mutex>(state); });
}
BENCHMARK(mutex_weft)->Name("mutex, uncontended/weft")->UseManualTime()->Iterations(1);
BENCHMARK(mutex_boost)->Name("mutex, uncontended/boost_fiber")->UseManualTime()->Iterations(1);
BENCHMARK(mutex_std)->Name("mutex, uncontended/std_mutex")->UseManualTime()->Iterations(1);

/// Two fibers hand two semaphores to and fro: one acquire that waits and one release for each hand-over.
template <class Acquire, class Release>
void hand_over(Acquire acquire, Release release, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        acquire();
        release();
    }
}
void semaphore_weft(benchmark::State& state) {
    weft::run([&] {
        weft::semaphore a(0);
        weft::semaphore b(0);
        bench::timed(state, 2 * rounds, [&] {
            auto other = weft::create_task([&] { hand_over([&] { a.acquire(); }, [&] { b.release(); }, rounds); });
            hand_over([&] { a.release(); }, [&] { b.acquire(); }, rounds);
            other.join();
        });
    });
}
/// The same by two fibers that run the same code, as the handlers of a server do: then the processor predicts every return.
template <class Semaphore>
WEFT_NOINLINE void hand_over_alike(Semaphore& mine, Semaphore& others, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        mine.acquire();
        others.release();
    }
}
void semaphore_alike_weft(benchmark::State& state) {
    weft::run([&] {
        weft::semaphore a(0);
        weft::semaphore b(1);
        bench::timed(state, 2 * rounds, [&] {
            auto other = weft::create_task([&] { hand_over_alike(a, b, rounds); });
            hand_over_alike(b, a, rounds);
            other.join();
        });
    });
}
BENCHMARK(semaphore_alike_weft)->Name("semaphore hand-over, same code/weft")->UseManualTime()->Iterations(1);
/// What Boost.Fiber has for it: a mutex, a condition variable and a count.
class boost_semaphore {
public:
    void acquire() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return count_ > 0; });
        --count_;
    }
    void release() {
        std::unique_lock lock(mutex_);
        ++count_;
        lock.unlock();
        changed_.notify_one();
    }

private:
    boost::fibers::mutex mutex_;
    boost::fibers::condition_variable changed_;
    int count_ = 0;
};
void semaphore_boost(benchmark::State& state) {
    bench::on_own_thread([&] {
        boost_semaphore a;
        boost_semaphore b;
        bench::timed(state, 2 * rounds, [&] {
            boost::fibers::fiber other([&] { hand_over([&] { a.acquire(); }, [&] { b.release(); }, rounds); });
            hand_over([&] { a.release(); }, [&] { b.acquire(); }, rounds);
            other.join();
        });
    });
}
BENCHMARK(semaphore_weft)->Name("semaphore hand-over/weft")->UseManualTime()->Iterations(1);
BENCHMARK(semaphore_boost)->Name("semaphore hand-over/boost_fiber")->UseManualTime()->Iterations(1);

void queue_weft(benchmark::State& state) {
    weft::run([&] {
        weft::queue<int> q(1);
        bench::timed(state, rounds, [&] {
            auto consumer = weft::create_task([&] {
                for (std::size_t i = 0; i < rounds; ++i) benchmark::DoNotOptimize(q.get());
            });
            for (std::size_t i = 0; i < rounds; ++i) q.put(static_cast<int>(i));
            consumer.join();
        });
    });
}
void channel_boost(benchmark::State& state) {
    bench::on_own_thread([&] {
        boost::fibers::buffered_channel<int> q(2);   // its least, which holds one
        bench::timed(state, rounds, [&] {
            boost::fibers::fiber consumer([&] {
                for (std::size_t i = 0; i < rounds; ++i) benchmark::DoNotOptimize(q.value_pop());
            });
            for (std::size_t i = 0; i < rounds; ++i) q.push(static_cast<int>(i));
            consumer.join();
        });
    });
}
BENCHMARK(queue_weft)->Name("queue of one, hand-over/weft")->UseManualTime()->Iterations(1);
BENCHMARK(channel_boost)->Name("queue of one, hand-over/boost_fiber")->UseManualTime()->Iterations(1);

}  // namespace
