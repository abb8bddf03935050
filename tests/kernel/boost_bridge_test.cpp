// Boost.Fiber's primitives in weft's tasks: they suspend the task that uses them, and nothing else.
// boost_bridge_threads_test.cpp has other threads and loops in it, and Boost.Fiber before and after a run.

#include <catch2/catch.hpp>

#include <chrono>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include <boost/fiber/all.hpp>

#include <weft/gather.hpp>
#include <weft/run.hpp>
#include <weft/task.hpp>
#include <weft/timeout.hpp>

#include "child_process.hpp"
#include "leak_check.hpp"
#include "rounds.hpp"

namespace bf = boost::fibers;
using namespace std::chrono_literals;
using weft_test::leak_check;

namespace {

/// Runs f while another task counts its turns; true if that got on.
template <class F>
bool others_run_during(F f) {
    bool stop = false;
    long turns = 0;
    auto other = weft::create_task([&] {
        while (!stop) {
            ++turns;
            weft::yield_now();
        }
    });
    weft::yield_now();
    const long before = turns;
    f();
    const long after = turns;
    stop = true;
    other.get();
    return after > before;
}

}  // namespace

TEST_CASE_METHOD(leak_check, "boost: a mutex that is taken suspends the task, in order of arrival") {
    std::vector<int> order;
    weft::run([&] {
        bf::mutex mutex;
        std::vector<weft::task<>> tasks;
        mutex.lock();
        for (int i = 0; i < 5; ++i)
            tasks.push_back(weft::create_task([&, i] {
                std::lock_guard lock(mutex);
                order.push_back(i);
                weft::sleep(100us);   // held while the task waits in our way
            }));
        CHECK(others_run_during([&] { weft::sleep(1ms); }));
        CHECK(order.empty());
        mutex.unlock();
        for (auto& t : tasks) t.get();
    });
    CHECK(order == std::vector<int>{0, 1, 2, 3, 4});
}

TEST_CASE_METHOD(leak_check, "boost: a mutex keeps hundreds of tasks apart, however they wait in between") {
    constexpr int tasks = 200;
    int inside = 0, most = 0, total = 0;
    weft::run([&] {
        bf::mutex mutex;
        std::vector<weft::task<>> all;
        for (int i = 0; i < tasks; ++i)
            all.push_back(weft::create_task([&, i] {
                for (int round = 0; round < 10; ++round) {
                    std::unique_lock lock(mutex);
                    most = std::max(most, ++inside);
                    if ((i + round) % 3 == 0) weft::yield_now();
                    if ((i + round) % 3 == 1) boost::this_fiber::yield();
                    ++total;
                    --inside;
                    lock.unlock();
                    if (round % 2) weft::yield_now();
                }
            }));
        for (auto& t : all) t.get();
    });
    CHECK(most == 1);
    CHECK(total == tasks * 10);
}

TEST_CASE_METHOD(leak_check, "boost: a condition variable wakes one and all") {
    weft::run([] {
        bf::mutex mutex;
        bf::condition_variable changed;
        int tickets = 0, served = 0;
        std::vector<weft::task<>> tasks;
        for (int i = 0; i < 10; ++i)
            tasks.push_back(weft::create_task([&] {
                std::unique_lock lock(mutex);
                changed.wait(lock, [&] { return tickets > 0; });
                --tickets;
                ++served;
            }));
        for (int i = 0; i < 3; ++i) weft::yield_now();
        {
            std::lock_guard lock(mutex);
            tickets = 1;
        }
        changed.notify_one();
        for (int i = 0; i < 3; ++i) weft::yield_now();
        CHECK(served == 1);
        {
            std::lock_guard lock(mutex);
            tickets = 9;
        }
        changed.notify_all();
        for (auto& t : tasks) t.get();
        CHECK(served == 10);
    });
}

TEST_CASE_METHOD(leak_check, "boost: a timed wait ends by time, or before it by a notification") {
    weft::run([] {
        bf::mutex mutex;
        bf::condition_variable changed;
        bool ready = false;
        std::unique_lock lock(mutex);
        const auto before = std::chrono::steady_clock::now();
        bool came = true;
        CHECK(others_run_during([&] { came = changed.wait_for(lock, 2ms, [&] { return ready; }); }));
        CHECK_FALSE(came);
        CHECK(std::chrono::steady_clock::now() - before >= 2ms);
        auto notifier = weft::create_task([&] {
            weft::sleep(1ms);
            std::lock_guard inner(mutex);
            ready = true;
            changed.notify_one();
        });
        came = changed.wait_for(lock, 1h, [&] { return ready; });
        CHECK(came);
        lock.unlock();
        notifier.get();
    });
}

TEST_CASE_METHOD(leak_check, "boost: sleep_for suspends the task only, also where nothing else ever idles") {
    weft::run([] {
        CHECK(others_run_during([] { boost::this_fiber::sleep_for(2ms); }));
        const auto before = std::chrono::steady_clock::now();
        boost::this_fiber::sleep_for(2ms);   // and where all is idle
        CHECK(std::chrono::steady_clock::now() - before >= 2ms);
    });
}

TEST_CASE_METHOD(leak_check, "boost: sleepers wake in the order of their deadlines, in our way and in Boost's") {
    std::vector<int> ours, theirs;
    weft::run([&] {
        const auto start = std::chrono::steady_clock::now() + 2ms;
        std::vector<weft::task<>> tasks;
        for (int i : {5, 2, 4, 1, 3, 0}) {
            const auto when = start + i * 300us;
            tasks.push_back(weft::create_task([&, i, when] {
                weft::sleep_until(when);
                ours.push_back(i);
            }));
            tasks.push_back(weft::create_task([&, i, when] {
                boost::this_fiber::sleep_until(when);
                theirs.push_back(i);
            }));
        }
        for (auto& t : tasks) t.get();
    });
    CHECK(ours == std::vector<int>{0, 1, 2, 3, 4, 5});
    CHECK(theirs == ours);
}

TEST_CASE_METHOD(leak_check, "boost: channels carry values between tasks and close") {
    constexpr int items = 1000;
    weft::run([] {
        bf::buffered_channel<int> buffered(8);
        bf::unbuffered_channel<int> direct;
        auto producer = weft::create_task([&] {
            for (int i = 0; i < items; ++i) buffered.push(i);
            buffered.close();
        });
        auto relay = weft::create_task([&] {
            for (int i : buffered) {
                if (i % 100 == 0) weft::yield_now();
                direct.push(i);
            }
            direct.close();
        });
        long sum = 0;
        int expected = 0;
        for (int i : direct) {
            CHECK(i == expected++);
            sum += i;
        }
        producer.get();
        relay.get();
        CHECK(sum == long{items} * (items - 1) / 2);
        int left = 0;
        const auto status = buffered.pop(left);
        CHECK(status == bf::channel_op_status::closed);
    });
}

TEST_CASE_METHOD(leak_check, "boost: a channel's timed operations give up") {
    weft::run([] {
        bf::buffered_channel<int> channel(2);
        int value = 0;
        bf::channel_op_status status{};
        CHECK(others_run_during([&] { status = channel.pop_wait_for(value, 1ms); }));
        CHECK(status == bf::channel_op_status::timeout);
        channel.push(1);
        status = channel.push_wait_for(2, 1ms);   // a channel of 2 holds one
        CHECK(status == bf::channel_op_status::timeout);
    });
}

TEST_CASE_METHOD(leak_check, "boost: promises, packaged tasks and async are waited for in tasks") {
    weft::run([] {
        bf::promise<int> promise;
        auto future = promise.get_future();
        auto setter = weft::create_task([&] {
            weft::sleep(1ms);
            promise.set_value(1);
        });
        int value = 0;
        CHECK(others_run_during([&] { value = future.get(); }));
        CHECK(value == 1);
        setter.get();

        bf::packaged_task<int(int)> packaged([](int x) { return x * 2; });
        auto doubled = packaged.get_future();
        auto runner = weft::create_task([&] { packaged(21); });
        value = doubled.get();
        CHECK(value == 42);
        runner.get();

        bf::promise<void> broken;
        auto failing = broken.get_future();
        auto failer = weft::create_task([&] { broken.set_exception(std::make_exception_ptr(std::runtime_error("no"))); });
        CHECK_THROWS_WITH(failing.get(), "no");
        failer.get();
        bf::future<int> orphan;
        {
            bf::promise<int> dies;
            orphan = dies.get_future();
            CHECK(orphan.wait_for(1ms) == bf::future_status::timeout);
        }
        CHECK_THROWS_AS(orphan.get(), bf::broken_promise);
    });
}

TEST_CASE_METHOD(leak_check, "boost: async runs a fiber of its own, however it is launched") {
    for (const bf::launch policy : {bf::launch::post, bf::launch::dispatch}) {
        int value = 0;
        weft::run([&] {
            auto result = bf::async(policy, [] {
                boost::this_fiber::yield();
                weft::sleep(1ms);
                return 7;
            });
            value = result.get();
        });
        CHECK(value == 7);
    }
}

TEST_CASE_METHOD(leak_check, "boost: a fiber made in a task runs beside the tasks and waits in our way and in Boost's") {
    for (const bf::launch policy : {bf::launch::post, bf::launch::dispatch}) {
        std::vector<std::string> log;
        weft::run([&] {
            bf::mutex mutex;
            bool released = false;
            bf::condition_variable changed;
            bf::fiber fiber(policy, [&] {
                log.push_back("begins");
                weft::sleep(1ms);
                weft::yield_now();
                boost::this_fiber::sleep_for(1ms);
                std::unique_lock lock(mutex);
                changed.wait(lock, [&] { return released; });
                log.push_back("ends");
            });
            auto task = weft::create_task([&] {
                weft::sleep(4ms);
                log.push_back("releases");
                std::lock_guard lock(mutex);
                released = true;
                changed.notify_all();
            });
            fiber.join();
            log.push_back("joined");
            task.get();
        });
        CHECK(log == std::vector<std::string>{"begins", "releases", "ends", "joined"});
    }
}

TEST_CASE_METHOD(leak_check, "boost: a fiber launched at once takes neither the task's place nor its exception") {
    int rethrown = 0, wrong = 0;
    weft::run([&] {
        std::vector<weft::task<>> tasks;
        for (int i = 0; i < 20; ++i)
            tasks.push_back(weft::create_task([&, i] {
                const void* self = weft::detail::self_identity();
                const auto task = weft::current_task();
                try {
                    throw i;
                } catch (int) {
                    bf::fiber fiber(bf::launch::dispatch, [&] {
                        wrong += std::current_exception() != nullptr;
                        wrong += weft::detail::self_identity() == self;
                        try {
                            throw i + 1000;
                        } catch (int caught) {
                            weft::sleep(100us);
                            boost::this_fiber::yield();
                            wrong += caught != i + 1000;
                        }
                    });
                    wrong += weft::current_task() != task;
                    weft::yield_now();
                    fiber.join();
                    try {
                        throw;
                    } catch (int caught) {
                        rethrown += caught == i;
                    }
                }
                wrong += weft::current_task() != task;
                wrong += weft::detail::self_identity() != self;
            }));
        for (auto& t : tasks) t.get();
    });
    CHECK(rethrown == 20);
    CHECK(wrong == 0);
}

TEST_CASE_METHOD(leak_check, "boost: hundreds of fibers made in tasks, joined or detached, all run to their end") {
    int ended = 0;
    weft::run([&] {
        bf::barrier barrier(101);
        for (int i = 0; i < 100; ++i)
            bf::fiber(i % 2 ? bf::launch::post : bf::launch::dispatch, [&, i] {
                if (i % 3) weft::yield_now();
                barrier.wait();
                ++ended;
            }).detach();
        barrier.wait();
        while (ended < 100) boost::this_fiber::yield();
        std::vector<bf::fiber> fibers;
        for (int i = 0; i < 100; ++i)
            fibers.emplace_back([&, i] {
                bf::fiber inner([&] { weft::sleep(i * 10us); });
                inner.join();
                ++ended;
            });
        for (auto& f : fibers) f.join();
    });
    CHECK(ended == 200);
}

TEST_CASE_METHOD(leak_check, "boost: every task is a fiber of its own to Boost") {
    weft::run([] {
        const auto mine = boost::this_fiber::get_id();
        boost::fibers::fiber::id other = mine;
        weft::create_task([&] { other = boost::this_fiber::get_id(); }).get();
        CHECK(other != mine);
        CHECK(boost::this_fiber::get_id() == mine);
    });
}

TEST_CASE_METHOD(leak_check, "boost: a deadline does not end Boost's waits; it is told at the next of ours") {
    weft::run([] {
        bf::promise<int> promise;
        auto future = promise.get_future();
        auto setter = weft::create_task([&] {
            weft::sleep(4ms);
            promise.set_value(5);
        });
        int value = 0;
        bool beyond = false;
        CHECK_THROWS_AS(weft::timeout(1ms,
                                      [&] {
                                          value = future.get();
                                          weft::sleep(1h);
                                          beyond = true;
                                      }),
                        weft::timeout_error);
        CHECK(value == 5);
        CHECK_FALSE(beyond);
        setter.get();
        // A body that does not wait in our way again ends as it ends.
        const int late = weft::timeout(1ms, [] {
            boost::this_fiber::sleep_for(3ms);
            return 6;
        });
        CHECK(late == 6);
        weft::sleep(100us);   // nothing is left of it
    });
}

TEST_CASE_METHOD(leak_check, "boost: a cancellation that comes during Boost's wait is delivered at the next of ours") {
    weft::run([] {
        bf::mutex mutex;
        bool got_lock = false;
        mutex.lock();
        auto task = weft::create_task([&] {
            std::lock_guard lock(mutex);
            got_lock = true;
            weft::sleep(1h);
        });
        weft::yield_now();
        task.cancel();
        weft::yield_now();
        CHECK_FALSE(task.done());
        mutex.unlock();
        task.join();
        CHECK(task.cancelled());
        CHECK(got_lock);
        const bool free = mutex.try_lock();
        CHECK(free);
        mutex.unlock();
    });
}

TEST_CASE_METHOD(leak_check, "boost: exceptions and errno stay with the task that a Boost primitive suspends") {
    constexpr int tasks = 300;
    int wrong = 0;
    weft::run([&] {
        bf::mutex mutex;
        bf::condition_variable changed;
        int phase = 0;
        std::vector<weft::task<>> all;
        for (int i = 0; i < tasks; ++i)
            all.push_back(weft::create_task([&, i] {
                try {
                    try {
                        throw std::runtime_error(std::to_string(i));
                    } catch (const std::runtime_error& mine) {
                        errno = i;
                        std::unique_lock lock(mutex);
                        if (i % 3 == 0) changed.wait_for(lock, 1h, [&] { return phase > 0; });
                        if (i % 3 == 1) changed.wait(lock, [&] { return phase > 0; });
                        lock.unlock();
                        if (i % 3 == 2) boost::this_fiber::sleep_for(std::chrono::microseconds(i));
                        wrong += errno != i;
                        wrong += std::to_string(i) != mine.what();
                        struct unwinding {
                            int& wrong;
                            ~unwinding() {
                                boost::this_fiber::yield();
                                wrong += std::uncaught_exceptions() != 1;
                            }
                        } u{wrong};
                        throw;
                    }
                } catch (const std::runtime_error& again) {
                    wrong += std::to_string(i) != again.what();
                }
            }));
        weft::sleep(1ms);
        {
            std::lock_guard lock(mutex);
            phase = 1;
        }
        changed.notify_all();
        for (auto& t : all) t.get();
    });
    CHECK(wrong == 0);
}

TEST_CASE_METHOD(leak_check, "boost: in a loop callback a wait of Boost's is refused with a sentence") {
    const auto child = weft_test::in_child([] {
        weft::run([] {
            bf::mutex mutex;
            mutex.lock();
            weft::get_running_loop().call_soon([&] { mutex.lock(); });
            weft::sleep(1h);
        });
    });
    CHECK(child.died_of(SIGABRT));
    CHECK(child.said("wait in a task") == 1);
}
