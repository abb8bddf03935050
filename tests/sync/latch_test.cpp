// <weft/latch.hpp>

#include "sync/fixture.hpp"

using namespace sync_test;

TEST_CASE_METHOD(fixture, "latch: one at zero lets everybody pass at once") {
    run([] {
        latch l(0);
        CHECK(l.try_wait());
        l.wait();
        l.arrive_and_wait(0);
        CHECK(l.wait_for(0s));
        CHECK(latch::max() > 1'000'000);
    });
}

TEST_CASE_METHOD(fixture, "latch: the last count wakes all waiters, in the order in which they came") {
    notes log;
    run([&] {
        latch l(3);
        for (const char* name : {"a", "b"})
            create_task([&, name] {
                l.wait();
                log.push_back(name);
            });
        create_task([&] {
            l.arrive_and_wait();
            log.push_back("c");
        });
        yield_now();
        l.count_down();
        yield_now();
        CHECK(log.empty());
        CHECK_FALSE(l.try_wait());
        l.count_down();
        CHECK(l.try_wait());
        yield_now();
    });
    CHECK(log == notes{"a", "b", "c"});
}

TEST_CASE_METHOD(fixture, "latch: the last to arrive does not wait") {
    bool other_ran = false;  // here: the task may begin when run's function has returned
    run([&] {
        latch l(5);
        l.count_down(3);
        create_task([&] { other_ran = true; });
        l.arrive_and_wait(2);
        CHECK_FALSE(other_ran);
    });
}

TEST_CASE_METHOD(fixture, "latch: a cancelled wait leaves it as it was, what was counted down stays so") {
    run([] {
        latch l(2);
        auto waits = create_task([&] { l.wait(); });
        auto arrives = create_task([&] { l.arrive_and_wait(); });
        yield_now();
        waits.cancel();
        arrives.cancel();
        waits.join();
        arrives.join();
        CHECK(waits.cancelled());
        CHECK(arrives.cancelled());
        CHECK_FALSE(l.try_wait());
        l.count_down();
        CHECK(l.try_wait());
    });
}

TEST_CASE_METHOD(fixture, "latch: cancelled and opened in the same turn, in both orders: the cancellation wins") {
    run([] {
        latch l(1);
        auto first = create_task([&] { l.wait(); });
        auto second = create_task([&] { l.wait(); });
        auto third = create_task([&] { l.wait(); });
        yield_now();
        first.cancel();
        l.count_down();
        second.cancel();
        third.get();
        CHECK(first.cancelled());
        CHECK(second.cancelled());
    });
}

TEST_CASE_METHOD(fixture, "latch: a timed wait says whether it opened in time") {
    run([] {
        latch l(1);
        const auto start = virtual_clock::now();
        CHECK_FALSE(l.wait_for(3ms));
        CHECK_FALSE(l.wait_until(start + 5ms));
        CHECK(virtual_clock::now() == start + 5ms);
        auto t = create_task([&] { return l.wait_for(1h); });
        yield_now();
        l.count_down();
        CHECK(t.get());
    });
}

TEST_CASE_METHOD(fixture, "latch: a bad count is an error and changes nothing") {
    CHECK(throws<std::invalid_argument>([] { latch l(-1); }));
    latch l(2);
    CHECK(throws<std::invalid_argument>([&] { l.count_down(-1); }));
    CHECK(throws<std::invalid_argument>([&] { l.count_down(3); }));
    CHECK(throws<std::invalid_argument>([&] { l.arrive_and_wait(3); }));
    l.count_down(2);
    CHECK(l.try_wait());
    CHECK(throws<std::invalid_argument>([&] { l.count_down(); }));
}

TEST_CASE_METHOD(fixture, "latch: in a loop callback an arrival that would have to wait throws and counts nothing") {
    run([] {
        latch l(2);
        in_callback([&] {
            CHECK(throws<no_running_task>([&] { l.arrive_and_wait(); }));
            CHECK(throws<no_running_task>([&] { l.wait(); }));
            l.count_down();
            l.arrive_and_wait();
        });
        CHECK(l.try_wait());
    });
}

TEST_CASE_METHOD(fixture, "latch: a woken waiter may destroy it at once") {
    run([] {
        auto l = std::make_unique<latch>(1);
        auto t = create_task([&] {
            l->wait();
            l.reset();
        });
        yield_now();
        l->count_down();
        t.get();
        CHECK_FALSE(l);
    });
}

TEST_CASE("latch: destroying one that somebody waits for ends the program with a sentence") {
    const auto child = in_child([] {
        run([] {
            auto l = std::make_unique<latch>(1);
            create_task([&] { l->wait(); });
            yield_now();
            l.reset();
        });
    });
    CHECK(child.died_of(SIGABRT));
    CHECK(child.said("a latch is destroyed while somebody waits for it") == 1);
}

TEST_CASE_METHOD(real_time, "latch: plain threads and tasks of two loops arrive together, and one may destroy it") {
    for (int i = rounds(300); i > 0; --i) {
        auto l = std::make_unique<latch>(4);
        latch* shared = l.get();
        std::atomic<int> before{0};
        std::atomic<bool> early{false};
        const auto arrive = [&] {
            ++before;
            shared->arrive_and_wait();
            if (before != 4) early = true;
        };
        {
            loop_thread first(arrive), second([&] { create_task(arrive).get(); });
            thread third(arrive);
            arrive();
        }
        REQUIRE_FALSE(early);
    }
}
