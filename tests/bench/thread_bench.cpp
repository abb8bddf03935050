// Across threads: a round trip between two loops beside one between two plain threads that wait on a futex. Where the
// processors are virtual, waking one costs tens of microseconds; nothing a library does changes that, only sleeping less.

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>

#include <weft/detail/waiter.hpp>
#include <weft/executor.hpp>
#include <weft/run.hpp>
#include <weft/task.hpp>

#include "peers.hpp"

namespace {

constexpr std::size_t round_trips = 5'000;

/// A turn that passes between two parties, either of them a fiber or a thread.
class baton {
public:
    void pass() {
        weft::detail::gate_lock lock(gate_);
        weft::detail::waiter* w = waiters_.claim_front(lock);
        if (!w) ++passed_;
        lock.leave();
        if (w) weft::detail::waiter::wake(*w);
    }
    void take() {
        weft::detail::gate_lock lock(gate_);
        if (passed_ > 0) {
            --passed_;
            return;
        }
        weft::detail::waiter self("baton::take", this);
        waiters_.push_back(self);
        lock.leave();
        weft::detail::park(self);
    }

private:
    weft::detail::gate gate_;
    weft::detail::wait_list waiters_;
    int passed_ = 0;
};

void loops(benchmark::State& state) {
    baton there;
    baton back;
    std::atomic<bool> over{false};
    std::thread other([&] {
        weft::run([&] {
            for (;;) {
                there.take();
                if (over.load()) return;
                back.pass();
            }
        });
    });
    weft::run([&] {
        bench::timed(state, round_trips, [&] {
            for (std::size_t i = 0; i < round_trips; ++i) {
                there.pass();
                back.take();
            }
        });
    });
    over = true;
    there.pass();
    other.join();
}
BENCHMARK(loops)->Name("round trip between threads/weft")->UseManualTime()->Iterations(1);

void futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t value) {
    ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}
void futex_wake(std::atomic<std::uint32_t>& word) {
    ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

void futexes(benchmark::State& state) {
    std::atomic<std::uint32_t> turn{0};   // 0: ours, 1: the other's, 2: over
    std::thread other([&] {
        for (;;) {
            while (turn.load() == 0) futex_wait(turn, 0);
            if (turn.load() == 2) return;
            turn = 0;
            futex_wake(turn);
        }
    });
    bench::timed(state, round_trips, [&] {
        for (std::size_t i = 0; i < round_trips; ++i) {
            turn = 1;
            futex_wake(turn);
            while (turn.load() == 1) futex_wait(turn, 1);
        }
    });
    turn = 2;
    futex_wake(turn);
    other.join();
}
BENCHMARK(futexes)->Name("round trip between threads/futex_pair")->UseManualTime()->Iterations(1);

void to_thread_weft(benchmark::State& state) {
    weft::run([&] {
        weft::to_thread([] {});   // the pool's first thread is there
        bench::timed(state, round_trips, [] {
            for (std::size_t i = 0; i < round_trips; ++i) weft::to_thread([] {});
        });
    });
}
/// The least a pool can be: a thread, a deque, a condition variable; the caller waits for a future.
void to_thread_std(benchmark::State& state) {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::packaged_task<void()>> jobs;
    bool over = false;
    std::thread worker([&] {
        std::unique_lock lock(mutex);
        for (;;) {
            changed.wait(lock, [&] { return over || !jobs.empty(); });
            if (jobs.empty()) return;
            auto job = std::move(jobs.front());
            jobs.pop_front();
            lock.unlock();
            job();
            lock.lock();
        }
    });
    bench::timed(state, round_trips, [&] {
        for (std::size_t i = 0; i < round_trips; ++i) {
            std::packaged_task<void()> job([] {});
            auto result = job.get_future();
            {
                std::lock_guard lock(mutex);
                jobs.push_back(std::move(job));
            }
            changed.notify_one();
            result.get();
        }
    });
    {
        std::lock_guard lock(mutex);
        over = true;
    }
    changed.notify_one();
    worker.join();
}
BENCHMARK(to_thread_weft)->Name("to_thread/weft")->UseManualTime()->Iterations(1);
BENCHMARK(to_thread_std)->Name("to_thread/std_future")->UseManualTime()->Iterations(1);

}  // namespace
