// Boost.Fiber between threads, and on a thread before, between and after runs of a loop.

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

#include <boost/fiber/all.hpp>

#include <weft/run.hpp>
#include <weft/task.hpp>

#include "leak_check.hpp"
#include "rounds.hpp"

namespace bf = boost::fibers;
using namespace std::chrono_literals;
using weft_test::leak_check;
using weft_test::rounds;

namespace {

/// The locks of a libboost_fiber that is not compiled for ThreadSanitizer are unknown to it: what two threads share under
/// them looks like a race.
constexpr bool locks_are_seen = !weft_test::on_tsan;
/// Outside of a run Boost switches without telling ThreadSanitizer, which keeps a stack of calls for each fiber.
constexpr bool switches_are_seen = !weft_test::on_tsan;

/// Boost.Fiber without weft, on whatever thread this is called: works if it returns true.
bool boost_works_alone() {
    bf::mutex mutex;
    bf::condition_variable changed;
    int stage = 0;
    bf::fiber other([&] {
        boost::this_fiber::sleep_for(100us);
        std::lock_guard lock(mutex);
        stage = 1;
        changed.notify_one();
    });
    {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return stage == 1; });
    }
    auto later = bf::async([] {
        boost::this_fiber::yield();
        return 3;
    });
    const int value = later.get();
    other.join();
    return value == 3;
}

}  // namespace

TEST_CASE_METHOD(leak_check, "boost threads: a plain thread wakes a task") {
    if (!locks_are_seen) return;
    weft::run([] {
        for (int i = 0; i < rounds(300); ++i) {
            bf::promise<int> promise;
            auto future = promise.get_future();
            std::thread setter([&] { promise.set_value(i); });
            const int value = future.get();
            setter.join();
            REQUIRE(value == i);
        }
    });
}

TEST_CASE_METHOD(leak_check, "boost threads: a plain thread wakes a task while the loop sleeps") {
    if (!locks_are_seen) return;
    weft::run([] {
        bf::promise<void> promise;
        auto future = promise.get_future();
        std::thread setter([&] {
            std::this_thread::sleep_for(5ms);   // the loop has gone to sleep for a timer that is an hour away
            promise.set_value();
        });
        auto far = weft::create_task([] { weft::sleep(1h); });
        future.get();
        setter.join();
        far.cancel();
    });
}

TEST_CASE_METHOD(leak_check, "boost threads: tasks of two loops play ping-pong on channels") {
    if (!locks_are_seen) return;
    const int turns = rounds(20'000);
    bf::unbuffered_channel<int> there, back;
    std::thread other([&] {
        weft::run([&] {
            for (int i : there) back.push(i + 1);
            back.close();
        });
    });
    int wrong = 0;
    weft::run([&] {
        for (int i = 0; i < turns; ++i) {
            there.push(i);
            wrong += back.value_pop() != i + 1;
        }
        there.close();
    });
    other.join();
    CHECK(wrong == 0);
}

TEST_CASE_METHOD(leak_check, "boost threads: a mutex and a condition variable are shared by loops and plain threads") {
    if (!locks_are_seen) return;
    const int steps = rounds(2000);
    bf::mutex mutex;
    bf::condition_variable changed;
    long inside = 0, most = 0, total = 0, turn = 0;   // guarded by mutex
    auto body = [&](bool in_a_task) {
        for (int i = 0; i < steps; ++i) {
            std::unique_lock lock(mutex);
            most = std::max(most, ++inside);
            if (in_a_task && i % 4 == 0) weft::yield_now();   // others spin or sleep meanwhile
            --inside;
            ++total;
            ++turn;
            changed.notify_all();
            if (i % 16 == 0) changed.wait_for(lock, 100us, [&, before = turn] { return turn != before; });
        }
    };
    auto on_a_loop = [&] {
        weft::run([&] {
            std::vector<weft::task<>> tasks;
            for (int i = 0; i < 4; ++i) tasks.push_back(weft::create_task([&] { body(true); }));
            for (auto& t : tasks) t.get();
        });
    };
    std::thread a(on_a_loop), b([&] { body(false); });
    on_a_loop();
    a.join();
    b.join();
    CHECK(most == 1);
    CHECK(total == 9L * steps);
}

TEST_CASE_METHOD(leak_check, "boost threads: a wake from another thread may be the last thing before the loop ends") {
    if (!locks_are_seen) return;
    // The waker is still inside of Boost's notification when the run that it woke has ended, and the next one begins.
    const int all = rounds(3000);
    bf::unbuffered_channel<int> channel;
    std::atomic<bf::promise<void>*> next{nullptr};
    std::thread waker([&] {
        for (int i = 0; i < all; ++i) {
            bf::promise<void>* promise = nullptr;
            while (!(promise = next.exchange(nullptr))) std::this_thread::yield();
            promise->set_value();
        }
    });
    for (int i = 0; i < all; ++i) {
        auto promise = std::make_unique<bf::promise<void>>();
        auto future = promise->get_future();
        weft::run([&] {
            next = promise.get();
            future.get();
        });
        // The promise itself must outlive set_value; only the loop is gone.
        static std::vector<std::unique_ptr<bf::promise<void>>> kept;
        kept.push_back(std::move(promise));
        if (i == all - 1) waker.join(), kept.clear();
    }
}

TEST_CASE_METHOD(leak_check, "boost threads: Boost.Fiber works on a thread before, between and after runs") {
    auto play = [] {
        bool works = boost_works_alone();
        for (int i = 0; i < 3; ++i) {
            weft::run([&] {
                works = works && boost_works_alone();
                weft::create_task([&] { works = works && boost_works_alone(); }).get();
            });
            works = works && boost_works_alone();
        }
        return works;
    };
    CHECK(play());
    bool on_a_thread = false;
    std::thread([&] { on_a_thread = play(); }).join();
    CHECK(on_a_thread);
}

TEST_CASE_METHOD(leak_check, "boost threads: a fiber that was there before a run goes on in it and after it") {
    if (!switches_are_seen) return;
    std::vector<int> log;
    bf::mutex mutex;
    bf::condition_variable changed;
    int stage = 0;
    bf::fiber fiber([&] {
        for (int i = 1; i <= 3; ++i) {
            std::unique_lock lock(mutex);
            changed.wait(lock, [&] { return stage >= i; });
            log.push_back(i);
        }
    });
    auto reach = [&](int to) {
        {
            std::lock_guard lock(mutex);
            stage = to;
        }
        changed.notify_all();
        while (log.size() < static_cast<std::size_t>(to)) boost::this_fiber::yield();
    };
    weft::run([&] { reach(1); });
    weft::run([&] { reach(2); });
    reach(3);
    fiber.join();
    CHECK(log == std::vector<int>{1, 2, 3});
}

TEST_CASE_METHOD(leak_check, "boost threads: a fiber that is ready when a run ends runs on after it") {
    if (!switches_are_seen) return;
    long turns = 0;
    bool stop = false;
    bf::fiber fiber([&] {
        while (!stop) {
            ++turns;
            boost::this_fiber::yield();
            weft::yield_now();
        }
    });
    for (int run = 0; run < 3; ++run) {
        weft::run([&] {
            const long before = turns;
            while (turns < before + 3) weft::yield_now();
        });
        const long before = turns;
        while (turns < before + 3) boost::this_fiber::yield();
    }
    stop = true;
    fiber.join();
    CHECK(turns >= 18);
}

TEST_CASE_METHOD(leak_check, "boost threads: the algorithm that a thread had before a run is there after it") {
    static int picked = 0;
    struct counting final : bf::algo::round_robin {
        bf::context* pick_next() noexcept override {
            ++picked;
            return round_robin::pick_next();
        }
    };
    std::thread([] {
        bf::use_scheduling_algorithm<counting>();
        weft::run([] { weft::yield_now(); });
        picked = 0;
        boost_works_alone();
    }).join();
    CHECK(picked > 0);
}

TEST_CASE_METHOD(leak_check, "boost threads: a wake that comes between two runs of a runner is there in the next") {
    for (const bool from_a_thread : {false, true}) {
        weft::runner runner;
        bf::promise<int> promise;
        int value = 0;
        weft::task<> waiting;
        runner.run([&] {
            waiting = weft::create_task([&] {
                auto future = promise.get_future();
                value = future.get();
            });
            weft::yield_now();
        });
        if (from_a_thread) std::thread([&] { promise.set_value(8); }).join();
        else promise.set_value(8);
        runner.run([&] { waiting.get(); });
        CHECK(value == 8);
    }
}

TEST_CASE_METHOD(leak_check, "boost threads: a timed wait goes on from one run of a runner to the next") {
    weft::runner runner;
    weft::task<> sleeping;
    runner.run([&] {
        sleeping = weft::create_task([] { boost::this_fiber::sleep_for(2ms); });
        weft::yield_now();
    });
    runner.run([&] { sleeping.get(); });
    CHECK(sleeping.done());
}

TEST_CASE_METHOD(leak_check, "boost threads: a loop may run inside of a fiber of Boost's") {
    int value = 0;
    bf::fiber outer([&] {
        value = weft::run([] {
            auto future = bf::async([] { return 4; });
            weft::sleep(1ms);
            return future.get();
        });
    });
    outer.join();
    CHECK(value == 4);
}

TEST_CASE_METHOD(leak_check, "boost threads: many short loops on many threads use Boost at once") {
    std::atomic<int> ended{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < rounds(100); ++i)
                weft::run([&] {
                    bf::buffered_channel<int> channel(4);
                    bf::fiber producer([&] {
                        for (int n = 0; n < 10; ++n) channel.push(n);
                        channel.close();
                    });
                    int sum = 0;
                    for (int n : channel) sum += n;
                    producer.join();
                    if (sum == 45) ++ended;
                });
        });
    for (auto& t : threads) t.join();
    CHECK(ended == 4 * rounds(100));
}
