#include "exec/fixture.hpp"

namespace {

using namespace exec_test;

TEST_CASE_METHOD(threads_fixture, "to_thread: runs in another thread and gives back what the function returns") {
    run([] {
        CHECK(to_thread([] { return std::this_thread::get_id(); }) != std::this_thread::get_id());
        CHECK(to_thread([](int a, const std::string& b) { return b + std::to_string(a); }, 4, "four ") == "four 4");
        to_thread([] {});
        CHECK(*to_thread([](std::unique_ptr<int> p) {
                  ++*p;
                  return p;
              }, std::make_unique<int>(1)) == 2);
        static int place = 0;
        int& same = to_thread([]() -> int& { return place; });
        CHECK(&same == &place);
        int mine = 1;
        to_thread([](int& i) { i = 2; }, std::ref(mine));
        CHECK(mine == 2);
    });
}

TEST_CASE_METHOD(threads_fixture, "to_thread: function and arguments are copies of the job's own, gone when it returns") {
    run([] {
        counted lvalue(3);
        CHECK(to_thread([](const counted& c) { return c.value; }, lvalue) == 3);
        CHECK(counted::live == 1);
        CHECK(counted::copies == 1);
        CHECK(to_thread(abandon, [](const counted& c) { return c.value; }, lvalue) == 3);
        CHECK(counted::live == 1);
    });
}

TEST_CASE_METHOD(threads_fixture, "to_thread: throws the very exception that the function threw") {
    run([] {
        const void* thrown = nullptr;
        try {
            to_thread([&] {
                std::runtime_error error("from the thread");
                try {
                    throw error;
                } catch (const std::runtime_error& e) {
                    thrown = &e;
                    throw;
                }
            });
            FAIL("nothing was thrown");
        } catch (const std::runtime_error& e) {
            CHECK(e.what() == std::string("from the thread"));
            CHECK(&e == thrown);
        }
        CHECK(thrown_by<std::logic_error>([] { to_thread(abandon, [] { throw std::logic_error("abandonable"); }); }) ==
              "abandonable");
        CHECK(thrown_by([] { to_thread([] { throw cancelled("by the job itself"); }); }) == "by the job itself");
        CHECK(throws<int>([] { to_thread([] { throw 5; }); }));
    });
}

TEST_CASE_METHOD(threads_fixture, "to_thread: the loop's other tasks run meanwhile") {
    run([] {
        blocking_job job;
        const auto [result, nothing] = gather([&] { return to_thread(std::ref(job)); },
                                              [&] {
                                                  job.wait_begun();
                                                  job.let_end();
                                              });
        CHECK(result == 7);
    });
}

TEST_CASE_METHOD(threads_fixture, "to_thread: cancelled before the call, it runs nothing") {
    run([] {
        std::atomic<bool> ran{false};
        auto t = create_task([&] {
            current_task().cancel("early");
            to_thread([&] { ran = true; });
        });
        CHECK(thrown_by([&] { t.get(); }) == "early");
        CHECK_FALSE(ran);
    });
}

TEST_CASE_METHOD(threads_fixture, "to_thread: a job that has not begun is dropped, and the waiter throws at once") {
    run([] {
        get_running_loop().set_default_executor(std::make_shared<thread_pool_executor>(1));
        blocking_job first;
        auto occupant = create_task([&] { return to_thread(std::ref(first)); });
        first.wait_begun();
        std::atomic<bool> ran{false};
        const bool may_abandon = GENERATE(false, true);
        auto dropped = create_task([&, object = counted()] {
            if (may_abandon) to_thread(abandon, [&ran, object] { ran = true; });
            else to_thread([&ran, object] { ran = true; });
        });
        turns(3);
        dropped.cancel("not begun");
        CHECK(thrown_by([&] { dropped.get(); }) == "not begun");
        CHECK(counted::live == 0);
        CHECK_FALSE(occupant.done());
        first.let_end();
        CHECK(occupant.get() == 7);
        to_thread([] {});   // whatever stood in the queue has had its turn
        CHECK_FALSE(ran);
    });
}

TEST_CASE_METHOD(threads_fixture, "to_thread: while a job runs a cancelled waiter stays, then throws and drops the result") {
    run([] {
        blocking_job job;
        bool returned = false;
        auto t = create_task([&] {
            to_thread([&] {
                job();
                return counted();
            });
            returned = true;
        });
        job.wait_begun();
        t.cancel("while it runs");
        turns(20);
        CHECK_FALSE(t.done());
        t.cancel("and again");
        turns(20);
        CHECK_FALSE(t.done());
        job.let_end();
        CHECK(throws<cancelled>([&] { t.get(); }));
        CHECK(job.ended());
        CHECK_FALSE(returned);
        CHECK(counted::live == 0);
    });
}

TEST_CASE_METHOD(threads_fixture, "to_thread: while a job runs, its exception gives way to the cancellation") {
    run([] {
        blocking_job job;
        auto t = create_task([&] {
            to_thread([&] {
                job();
                throw std::runtime_error("lost");
            });
        });
        job.wait_begun();
        t.cancel("first");
        turns(2);
        job.let_end();
        CHECK(thrown_by([&] { t.get(); }) == "first");
    });
}

TEST_CASE_METHOD(threads_fixture, "to_thread: a cancel that comes after the job's end, but before the waiter has run, wins") {
    run([] {
        std::atomic<bool> ended{false};
        auto t = create_task([&] {
            struct tell {
                std::atomic<bool>& ended;
                ~tell() { ended = true; }
            };
            to_thread([&ended] { const tell at_end{ended}; });
        });
        yield_now();   // it waits now, and cannot run before this task yields
        while (!ended) std::this_thread::yield();
        t.cancel("late");
        CHECK(thrown_by([&] { t.get(); }) == "late");
    });
}

TEST_CASE_METHOD(threads_fixture, "to_thread: a cancel races with the job's end, again and again") {
    run([] {
        int cancellations = 0;
        const int times = rounds(2000);
        for (int i = 0; i < times; ++i) {
            auto t = create_task([i, object = counted()] {
                if (i % 2) to_thread([object] {});
                else to_thread(abandon, [object] {});
            });
            for (int k = i % 7; k > 0; --k) yield_now();
            t.cancel();
            t.join();
            cancellations += t.cancelled();
        }
        CHECK(cancellations >= times / 7);
        until([] { return counted::live == 0; });   // abandoned jobs end by themselves
    });
}

TEST_CASE_METHOD(threads_fixture, "to_thread: a function that takes a stop_token sees the cancellation") {
    run([] {
        std::atomic<bool> begun{false};
        std::atomic<bool> stopped{false};
        const bool may_abandon = GENERATE(false, true);
        auto t = create_task([&] {
            const auto job = [&](std::stop_token stop, int) {
                begun = true;
                while (!stop.stop_requested()) std::this_thread::yield();
                stopped = true;
            };
            if (may_abandon) to_thread(abandon, job, 1);
            else to_thread(job, 1);
        });
        until([&] { return begun.load(); });
        t.cancel("stop");
        CHECK(thrown_by([&] { t.get(); }) == "stop");
        until([&] { return stopped.load(); });
    });
}

TEST_CASE_METHOD(threads_fixture, "to_thread: what the stop_token calls may wait, and is not cut off by another cancellation") {
    run([] {
        std::atomic<bool> begun{false};
        event called, go_on;
        bool finished = false;
        const bool may_abandon = GENERATE(false, true);
        auto t = create_task([&] {
            const auto job = [&](std::stop_token stop) {
                const std::stop_callback at_stop(stop, [&] {
                    called.set();
                    go_on.wait();
                    finished = true;
                });
                begun = true;
                while (!stop.stop_requested()) std::this_thread::yield();
            };
            if (may_abandon) to_thread(abandon, job);
            else to_thread(job);
        });
        until([&] { return begun.load(); });
        t.cancel("first");
        called.wait();
        t.cancel("second");
        for (int turn = 0; turn < 3; ++turn) yield_now();
        CHECK_FALSE(t.done());
        go_on.set();
        t.join();
        CHECK(finished);
        CHECK(t.cancelled());
    });
}

TEST_CASE_METHOD(threads_fixture, "to_thread: without a cancellation no stop is requested") {
    run([] { CHECK_FALSE(to_thread([](std::stop_token stop) { return stop.stop_requested(); })); });
}

TEST_CASE_METHOD(threads_fixture, "to_thread: with abandon a cancelled waiter leaves at once; the end of run waits for the job") {
    blocking_job job;
    std::thread ender;
    run([&] {
        auto t = create_task([&] {
            to_thread(abandon, [&job, object = counted()] { return job(), counted(); });
        });
        job.wait_begun();
        t.cancel("leaves");
        CHECK(thrown_by([&] { t.get(); }) == "leaves");
        CHECK_FALSE(job.ended());
        CHECK(counted::live == 1);
        ender = std::thread([&] { job.let_end(); });
    });
    CHECK(job.ended());
    ender.join();
}

TEST_CASE_METHOD(threads_fixture, "to_thread: timeout ends a job that looks at its stop_token") {
    run([] {
        CHECK(throws<timeout_error>([] {
            timeout(1ms, [] {
                to_thread([](std::stop_token stop) {
                    while (!stop.stop_requested()) std::this_thread::yield();
                });
            });
        }));
    });
}

TEST_CASE_METHOD(threads_fixture, "to_thread: uncancellable waits for the job and gives its result") {
    run([] {
        blocking_job job;
        int result = 0;
        auto t = create_task([&] {
            uncancellable([&] { result = to_thread(std::ref(job)); });
            yield_now();
        });
        job.wait_begun();
        t.cancel();
        turns(5);
        job.let_end();
        CHECK(throws<cancelled>([&] { t.get(); }));
        CHECK(result == 7);
    });
}

TEST_CASE_METHOD(threads_fixture, "to_thread: throws no_running_loop in a plain thread, no_running_task in a callback") {
    CHECK(throws<no_running_loop>([] { to_thread([] {}); }));
    CHECK(throws<no_running_loop>([] { to_thread(abandon, [] {}); }));
    run([] { in_callback([] { CHECK(throws<no_running_task>([] { to_thread([] {}); })); }); });
}

TEST_CASE_METHOD(threads_fixture, "to_thread: many at once") {
    run([] {
        std::vector<task<int>> all;
        for (int i = 0; i < rounds(5000); ++i) all.push_back(create_task([i] { return to_thread([i] { return 2 * i; }); }));
        for (std::size_t i = 0; i < all.size(); ++i) CHECK(all[i].get() == 2 * static_cast<int>(i));
    });
}

TEST_CASE_METHOD(threads_fixture, "to_thread: a job starts with a copy of its creator's context variables") {
    context_var<int> var(1);
    run([&] {
        thread_pool_executor pool(1);
        run_in_executor(pool, [] {});   // the thread is there before the variable is set
        var.set(2);
        const auto look = [&] {
            const int seen = var.get();
            var.set(10 + seen);
            return seen;
        };
        CHECK(to_thread(look) == 2);
        CHECK(to_thread(abandon, look) == 2);
        CHECK(run_in_executor(pool, look) == 2);
        CHECK(run_in_executor(pool, look) == 2);   // what the job before it set is gone
        CHECK(var.get() == 2);
        CHECK(pool.submit(look).get() == 1);   // the thread's own, as with concurrent.futures
        CHECK(run_threadsafe(get_running_loop(), look).get() == 2);
    });
}

TEST_CASE_METHOD(threads_fixture, "default executor: made when needed, used when set, shut down at the end of run") {
    const auto pool = std::make_shared<thread_pool_executor>(1);
    const auto before = std::make_shared<thread_pool_executor>(1);
    std::thread::id first, second;
    run([&] {
        loop& l = get_running_loop();
        CHECK(throws<std::invalid_argument>([&] { l.set_default_executor(nullptr); }));
        l.set_default_executor(before);
        first = to_thread([] { return std::this_thread::get_id(); });
        l.set_default_executor(pool);
        second = to_thread([] { return std::this_thread::get_id(); });
        CHECK(pool->submit([] { return std::this_thread::get_id(); }).get() == second);
    });
    CHECK(first != second);
    CHECK(throws<invalid_state>([&] { pool->submit([] {}); }));
    CHECK(before->submit([] { return 1; }).get() == 1);   // it was replaced: the loop has let go of it
}

TEST_CASE_METHOD(threads_fixture, "default executor: a runner keeps it from run to run, and close shuts it down") {
    runner r;
    const auto pool = std::make_shared<thread_pool_executor>(1);
    r.run([&] { get_running_loop().set_default_executor(pool); });
    const auto thread = r.run([] { return to_thread([] { return std::this_thread::get_id(); }); });
    CHECK(r.run([] { return to_thread([] { return std::this_thread::get_id(); }); }) == thread);
    loop& closed = r.get_loop();
    r.close();
    CHECK(throws<invalid_state>([&] { pool->submit([] {}); }));
    CHECK(throws<invalid_state>([&] { closed.set_default_executor(std::make_shared<thread_pool_executor>(1)); }));
}

TEST_CASE_METHOD(threads_fixture, "default executor: a job may call into its loop while that ends") {
    std::atomic<int> outcome{0};
    run([&] {
        loop& l = get_running_loop();
        blocking_job begun;
        auto t = create_task([&] {
            to_thread(abandon, [&outcome, &l] {
                outcome = 1;
                while (outcome == 1) std::this_thread::yield();
                try {
                    run_threadsafe(l, [] { return 3; }).get();
                    outcome = 3;
                } catch (const cancelled&) {
                    outcome = 4;   // a loop that closes cancels new tasks
                }
            });
        });
        until([&] { return outcome == 1; });
        t.cancel();
        t.join();
        outcome = 2;
    });
    CHECK(outcome >= 3);
}

TEST_CASE_METHOD(threads_fixture, "to_thread: a task that the end of run cancels waits for its job") {
    blocking_job job;
    std::thread ender;
    run([&] {
        create_task([&] { to_thread(std::ref(job)); });
        job.wait_begun();
        ender = std::thread([&] { job.let_end(); });
    });
    CHECK(job.ended());
    ender.join();
}

}  // namespace
