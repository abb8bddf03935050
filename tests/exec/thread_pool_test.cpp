#include <algorithm>
#include <random>

#include "exec/fixture.hpp"

namespace {

using namespace exec_test;

TEST_CASE_METHOD(threads_fixture, "thread pool: submit gives a std::future of the value or the exception") {
    thread_pool_executor pool(2);
    CHECK(pool.submit([](int a, int b) { return a + b; }, 1, 2).get() == 3);
    CHECK(*pool.submit([](std::unique_ptr<int> p) { return p; }, std::make_unique<int>(5)).get() == 5);
    pool.submit([] {}).get();
    static int place = 0;
    CHECK(&pool.submit([]() -> int& { return place; }).get() == &place);
    CHECK(thrown_by<std::runtime_error>([&] { pool.submit([] { throw std::runtime_error("thrown"); }).get(); }) == "thrown");
    pool.submit([](const counted&) {}, counted()).get();
    CHECK(counted::live == 0);   // function and arguments are gone when the future is ready
}

TEST_CASE_METHOD(threads_fixture, "thread pool: jobs begin in the order in which they came") {
    thread_pool_executor pool(1);
    std::vector<int> order;
    for (int i = 0; i < 100; ++i) pool.submit([&order, i] { order.push_back(i); });
    pool.shutdown();
    CHECK(order.size() == 100);
    CHECK(std::is_sorted(order.begin(), order.end()));
}

TEST_CASE_METHOD(threads_fixture, "thread pool: as many jobs run at once as it has threads") {
    std::vector<std::unique_ptr<blocking_job>> jobs;
    thread_pool_executor pool(3);
    for (int i = 0; i < 4; ++i) {
        jobs.push_back(std::make_unique<blocking_job>());
        pool.submit(std::ref(*jobs.back()));
    }
    for (int i = 0; i < 3; ++i) jobs[i]->wait_begun();
    CHECK_FALSE(jobs[3]->begun());
    jobs[1]->let_end();
    jobs[3]->wait_begun();
    for (int i : {0, 2, 3}) jobs[i]->let_end();
}

TEST_CASE_METHOD(threads_fixture, "thread pool: shutdown runs what is pending, and then takes no more") {
    thread_pool_executor pool(1);
    blocking_job first;
    pool.submit(std::ref(first));
    auto pending = pool.submit([] { return 1; });
    std::thread ender([&] { first.let_end(); });
    pool.shutdown();
    CHECK(first.ended());
    CHECK(pending.get() == 1);
    CHECK(thrown_by<invalid_state>([&] { pool.submit([] {}); }) ==
          "thread_pool_executor: it is shut down and takes no more jobs");
    CHECK(throws<invalid_state>([&] { run_in_executor(pool, [] {}); }));
    pool.shutdown();
    ender.join();
}

TEST_CASE_METHOD(threads_fixture, "thread pool: one that was never used ends") {
    thread_pool_executor pool;
    pool.shutdown();
    thread_pool_executor other(5);
}

TEST_CASE_METHOD(threads_fixture, "thread pool: shutdown with cancel_pending drops what has not begun") {
    thread_pool_executor pool(1);
    run([&] {
        blocking_job first;
        auto running = create_task([&] { return run_in_executor(pool, std::ref(first)); });
        first.wait_begun();
        auto waiting = create_task([&] { run_in_executor(pool, [object = counted()] { FAIL("it ran"); }); });
        auto abandonable = create_task([&] { run_in_executor(abandon, pool, [object = counted()] { FAIL("it ran"); }); });
        auto cancelled_too = create_task([&] { run_in_executor(pool, [] { FAIL("it ran"); }); });
        auto submitted = pool.submit([object = counted()] { FAIL("it ran"); });
        turns(3);
        auto shutting = create_task([&] { pool.shutdown(true); });
        turns(2);
        cancelled_too.cancel("by its task");
        CHECK(thrown_by([&] { waiting.get(); }) == "the pool was shut down before the job began");
        CHECK(thrown_by([&] { abandonable.get(); }) == "the pool was shut down before the job began");
        CHECK(throws<cancelled>([&] { cancelled_too.get(); }));
        CHECK(throws<std::future_error>([&] { submitted.get(); }));
        CHECK_FALSE(shutting.done());
        first.let_end();
        CHECK(running.get() == 7);
        shutting.get();
    });
}

TEST_CASE_METHOD(threads_fixture, "thread pool: a task that shuts it down suspends, and cannot be cancelled") {
    thread_pool_executor pool(1);
    run([&] {
        blocking_job job;
        auto running = create_task([&] { return run_in_executor(pool, std::ref(job)); });
        job.wait_begun();
        bool through = false;
        auto shutting = create_task([&] {
            pool.shutdown();
            through = true;
            yield_now();
        });
        turns(3);
        shutting.cancel();
        turns(3);
        CHECK_FALSE(shutting.done());
        job.let_end();
        CHECK(throws<cancelled>([&] { shutting.get(); }));
        CHECK(through);
        CHECK(running.get() == 7);
    });
}

TEST_CASE_METHOD(threads_fixture, "thread pool: shutdown in a loop callback blocks") {
    run([] {
        auto pool = std::make_unique<thread_pool_executor>(1);
        std::atomic<bool> ran{false};
        pool->submit([&] { ran = true; });
        in_callback([&] {
            pool->shutdown();
            CHECK(ran);
            pool.reset();
        });
    });
}

TEST_CASE_METHOD(threads_fixture, "thread pool: a job cannot wait for the pool's end") {
    thread_pool_executor pool(1);
    CHECK(throws<std::logic_error>([&] { pool.submit([&] { pool.shutdown(); }).get(); }));
    CHECK(pool.submit([] { return 1; }).get() == 1);
}

TEST_CASE_METHOD(threads_fixture, "thread pool: a job may destroy the last handle of its pool") {
    auto pool = std::make_shared<thread_pool_executor>(2);
    blocking_job gone;
    std::atomic<bool> later_ran{false};
    std::promise<void> go;
    pool->submit([&, last = pool, going = go.get_future()]() mutable {
        going.wait();
        last.reset();
        gone();
    });
    blocking_job second;
    pool->submit(std::ref(second));
    second.wait_begun();
    auto pending = pool->submit([&] { later_ran = true; });
    pool.reset();
    go.set_value();
    gone.wait_begun();
    second.let_end();
    pending.get();   // what was pending runs all the same
    CHECK(later_ran);
    gone.let_end();
    until([&] { return gone.ended(); });
}

TEST_CASE_METHOD(threads_fixture, "thread pool: a task outlives the pool that ran its job") {
    run([] {
        auto pool = std::make_unique<thread_pool_executor>(1);
        blocking_job job;
        auto t = create_task([&] { run_in_executor(*pool, std::ref(job)); });
        job.wait_begun();
        t.cancel("late");
        job.let_end();
        in_callback([&] { pool.reset(); });   // the waiter has not run since
        CHECK(thrown_by([&] { t.get(); }) == "late");
    });
}

TEST_CASE_METHOD(threads_fixture, "thread pool: two loops and plain threads share one") {
    thread_pool_executor pool(2);
    std::atomic<int> sum{0};
    const auto use = [&] {
        for (int i = 0; i < rounds(1000); ++i) sum += run_in_executor(pool, [i] { return i % 2; });
    };
    {
        loop_thread a([&] { gather(use, use); });
        loop_thread b(use);
        thread c(use);
        use();
    }
    CHECK(sum == 5 * (rounds(1000) / 2));
}

TEST_CASE_METHOD(threads_fixture, "run_in_executor: throws no_running_task in a loop callback") {
    thread_pool_executor pool(1);
    run([&] { in_callback([&] { CHECK(throws<no_running_task>([&] { run_in_executor(pool, [] {}); })); }); });
}

TEST_CASE_METHOD(threads_fixture, "thread pool: unusable numbers of threads are refused") {
    CHECK(thrown_by<std::invalid_argument>([] { thread_pool_executor pool(1'000'000); }) ==
          "thread_pool_executor: threads=1000000: must be at most 65536");
}

TEST_CASE_METHOD(threads_fixture, "thread pool: a job starts jobs of its own pool") {
    thread_pool_executor pool(1);
    std::promise<int> last;
    pool.submit([&] { pool.submit([&] { pool.submit([&] { last.set_value(3); }); }); });
    CHECK(last.get_future().get() == 3);
}

TEST_CASE_METHOD(threads_fixture, "thread pool: a storm of jobs and cancellations loses none") {
    const unsigned seed = Catch::rngSeed() != 0 ? Catch::rngSeed() : std::random_device()();
    INFO("seed " << seed);
    thread_pool_executor pool(3);
    std::atomic<int> begun{0}, ended{0};
    const auto storm = [&](unsigned s) {
        return [&, s] {
            std::mt19937 random(s);
            std::vector<task<int>> alive;
            int finished = 0;
            for (int i = 0; i < rounds(3000); ++i) {
                const bool leave = random() % 3 == 0;
                alive.push_back(create_task([&, leave, object = counted()] {
                    const auto job = [&, object] { return ++begun, ++ended; };
                    return leave ? run_in_executor(abandon, pool, job) : run_in_executor(pool, job);
                }));
                if (random() % 2) alive[random() % alive.size()].cancel();
                if (random() % 4 == 0) yield_now();
                if (alive.size() > 50) {
                    for (auto& t : alive) {
                        t.join();
                        finished += !t.cancelled();
                    }
                    alive.clear();
                }
            }
            for (auto& t : alive) t.join();
            return finished;
        };
    };
    {
        loop_thread a(storm(seed));
        loop_thread b(storm(seed + 1));
    }
    pool.shutdown();
    CHECK(begun == ended);
    CHECK(begun > 0);
}

}  // namespace
