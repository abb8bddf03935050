// <weft/event.hpp>

#include "sync/fixture.hpp"

using namespace sync_test;

TEST_CASE_METHOD(fixture, "event: a wait for a set one returns at once, without a turn of the loop") {
    bool other_ran = false;  // here: the task may begin when run's function has returned
    run([&] {
        event e;
        CHECK_FALSE(e.is_set());
        e.set();
        e.set();
        CHECK(e.is_set());
        create_task([&] { other_ran = true; });
        e.wait();
        CHECK(e.wait_for(0s));
        CHECK_FALSE(other_ran);
    });
}

TEST_CASE_METHOD(fixture, "event: a wait for a set one does not look for a cancellation") {
    run([] {
        event e;
        e.set();
        auto t = create_task([&] {
            current_task().cancel();
            e.wait();
            return e.wait_for(1s);
        });
        CHECK(t.get());
        CHECK_FALSE(t.cancelled());
    });
}

TEST_CASE_METHOD(fixture, "event: set wakes all waiters, in the order in which they came") {
    notes log;
    run([&] {
        event e;
        for (const char* name : {"a", "b", "c"})
            create_task([&, name] {
                e.wait();
                log.push_back(name);
            });
        yield_now();
        e.set();
        CHECK(log.empty());
        yield_now();
    });
    CHECK(log == notes{"a", "b", "c"});
}

TEST_CASE_METHOD(fixture, "event: waiters that were woken go on though it is cleared before they run") {
    run([] {
        event e;
        bool woken = false;
        auto t = create_task([&] {
            e.wait();
            woken = true;
        });
        yield_now();
        e.set();
        e.clear();
        CHECK_FALSE(e.is_set());
        t.get();
        CHECK(woken);
        CHECK_FALSE(e.wait_for(1ms));
    });
}

TEST_CASE_METHOD(fixture, "event: a cancelled wait leaves it as it was") {
    run([] {
        event e;
        auto t = create_task([&] { e.wait(); });
        auto other = create_task([&] { e.wait(); });
        yield_now();
        t.cancel();
        t.join();
        CHECK(t.cancelled());
        CHECK_FALSE(e.is_set());
        CHECK_FALSE(other.done());
        e.set();
        other.get();
    });
}

TEST_CASE_METHOD(fixture, "event: cancelled and set in the same turn, in both orders: the cancellation wins") {
    run([] {
        event e;
        auto first = create_task([&] { e.wait(); });
        auto second = create_task([&] { e.wait(); });
        yield_now();
        first.cancel();
        e.set();
        second.cancel();
        first.join();
        second.join();
        CHECK(first.cancelled());
        CHECK(second.cancelled());
        CHECK(e.is_set());
    });
}

TEST_CASE_METHOD(fixture, "event: a timed wait says whether it was set in time, on any clock") {
    run([] {
        event e;
        const auto start = virtual_clock::now();
        CHECK_FALSE(e.wait_for(3ms));
        CHECK_FALSE(e.wait_until(start + 5ms));
        CHECK(virtual_clock::now() == start + 5ms);
        CHECK_FALSE(e.wait_until(std::chrono::system_clock::now() - 1s));
        auto t = create_task([&] { return e.wait_for(1h) && e.wait_until(std::chrono::system_clock::time_point::max()); });
        yield_now();
        e.set();
        CHECK(t.get());
    });
}

TEST_CASE_METHOD(fixture, "event: set in the turn in which the time is up: what came first counts") {
    run([] {
        event e;
        auto late = create_task([&] { return e.wait_for(1ms); });
        yield_now();
        sleep(1ms);
        e.set();
        CHECK_FALSE(late.get());
        e.clear();
        auto in_time = create_task([&] { return e.wait_for(1ms); });
        yield_now();
        virtual_clock::pass(1ms);
        e.set();
        CHECK(in_time.get());
    });
}

TEST_CASE_METHOD(fixture, "event: a loop callback may set it and wait for a set one, and must not wait longer") {
    run([] {
        event e;
        in_callback([&] {
            CHECK(throws<no_running_task>([&] { e.wait(); }));
            e.set();
            e.wait();
        });
        CHECK(e.is_set());
    });
}

TEST_CASE_METHOD(fixture, "event: a woken waiter may destroy it at once, while others that were woken have not run") {
    run([] {
        auto e = std::make_unique<event>();
        auto first = create_task([&] {
            e->wait();
            e.reset();
        });
        auto second = create_task([&, also = e.get()] { also->wait(); });
        yield_now();
        e->set();
        first.get();
        second.get();
        CHECK_FALSE(e);
    });
}

TEST_CASE("event: destroying one that somebody waits for ends the program with a sentence") {
    const auto child = in_child([] {
        run([] {
            auto e = std::make_unique<event>();
            create_task([&] { e->wait(); });
            yield_now();
            e.reset();
        });
    });
    CHECK(child.died_of(SIGABRT));
    CHECK(child.said("an event is destroyed while somebody waits for it") == 1);
}

TEST_CASE_METHOD(real_time, "event: plain threads wait for a task, and a task for a plain thread") {
    event from_task, from_thread;
    std::atomic<int> woken{0};
    thread one([&] {
        from_task.wait();
        ++woken;
        from_thread.set();
    });
    thread two([&] { woken += from_task.wait_for(1h) ? 1 : 0; });
    run([&] {
        turns(10);
        from_task.set();
        from_thread.wait();
    });
    one.join();
    two.join();
    CHECK(woken == 2);
}

TEST_CASE_METHOD(real_time, "event: a plain thread's timed wait gives up") {
    const event e;
    bool set = true;
    thread([&] { set = e.wait_for(1ms); }).join();
    CHECK_FALSE(set);
}

TEST_CASE_METHOD(real_time, "event: a waiter of another loop may destroy it as soon as it was set") {
    const int times = rounds(500);
    std::atomic<event*> made{nullptr};
    loop_thread waiter([&] {
        for (int i = 0; i < times; ++i) {
            auto e = std::make_unique<event>();
            made = e.get();
            e->wait();
        }
    });
    loop_thread setter([&] {
        for (int i = 0; i < times; ++i) {
            event* e = nullptr;
            until([&] { return (e = made.exchange(nullptr)) != nullptr; });
            e->set();
        }
    });
}
