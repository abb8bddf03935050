// <weft/loop.hpp>: callbacks and the exception handler.

#include <memory>
#include <stdexcept>

#include <weft/loop.hpp>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

TEST_CASE_METHOD(fixture, "call_soon: calls in the next turn, first in first out") {
    notes log;
    run([&] {
        loop& l = get_running_loop();
        for (const char* name : {"a", "b", "c"})
            l.call_soon([&log, name] { log.push_back(name); });
        log.push_back("main");
        yield_now();
    });
    CHECK(log == notes{"main", "a", "b", "c"});
}

TEST_CASE_METHOD(fixture, "call_soon: what a callback schedules runs after all that was scheduled before") {
    notes log;
    run([&] {
        loop& l = get_running_loop();
        l.call_soon([&] {
            log.push_back("a");
            l.call_soon([&] { log.push_back("a's"); });
        });
        l.call_soon([&] { log.push_back("b"); });
        turns(2);
    });
    CHECK(log == notes{"a", "b", "a's"});
}

TEST_CASE_METHOD(fixture,
                 "call_soon: hands decayed copies of its arguments, and takes what can only be moved") {
    run([] {
        int got = 0, referred = 0;
        counted kept(1);
        get_running_loop().call_soon(
            [&](const counted& c, std::unique_ptr<int> p, int& r) { got = c.value + *p, r = 3; }, kept,
            std::make_unique<int>(2), std::ref(referred));
        kept.value = 100;
        yield_now();
        CHECK(got == 3);
        CHECK(referred == 3);
        CHECK(counted::copies == 1);
        CHECK(counted::live == 1);
    });
}

TEST_CASE_METHOD(fixture, "call_soon: no task runs in a callback") {
    run([] {
        bool refused = false;
        get_running_loop().call_soon([&] { refused = throws<no_running_task>(current_task); });
        yield_now();
        CHECK(refused);
    });
}

TEST_CASE_METHOD(
    fixture,
    "call_later: calls when the time has passed, in the order of the times, equal ones as scheduled") {
    notes log;
    run([&] {
        loop& l = get_running_loop();
        const auto start = l.time();
        const auto note = [&](const char* name, std::chrono::milliseconds expected) {
            CHECK(l.time() - start == expected);
            log.push_back(name);
        };
        l.call_later(20ms, note, "20", 20ms);
        l.call_later(10ms, note, "10 first", 10ms);
        l.call_at(start + 10ms, note, "10 second", 10ms);
        l.call_later(std::chrono::duration<double, std::milli>(10), note, "10 third", 10ms);
        l.call_later(5ms, note, "5", 5ms);
        sleep(1s);
    });
    CHECK(log == notes{"5", "10 first", "10 second", "10 third", "20"});
}

TEST_CASE_METHOD(fixture, "call_later: many equal times run as scheduled, and many different ones in order") {
    run([] {
        loop& l = get_running_loop();
        std::vector<int> equal, different, sorted;
        for (int i = 0; i < 1000; ++i) {
            l.call_later(1s, [&, i] { equal.push_back(i); });
            const int time = i * 7919 % 1000;
            l.call_later(std::chrono::milliseconds(2000 + time), [&, time] { different.push_back(time); });
            sorted.push_back(i);
        }
        sleep(10s);
        CHECK(equal == sorted);
        CHECK(different == sorted);
    });
}

TEST_CASE_METHOD(fixture, "call_later: times that have passed are called in a later turn, not at once") {
    run([] {
        loop& l = get_running_loop();
        notes log;
        l.call_later(0ms, [&] { log.push_back("zero"); });
        l.call_later(-1h, [&] { log.push_back("negative"); });
        l.call_at(std::chrono::steady_clock::time_point::min(), [&] { log.push_back("long ago"); });
        CHECK(log.empty());
        sleep(1ms);
        CHECK(log.size() == 3);
    });
}

TEST_CASE_METHOD(fixture, "call_later: times beyond a century are never called, and freed with the loop") {
    bool called = false;
    run([&] {
        get_running_loop().call_later(std::chrono::hours::max(), [&, c = counted()] { called = true; });
        get_running_loop().call_at(std::chrono::steady_clock::time_point::max(),
                                   [&, c = counted()] { called = true; });
        sleep(10'000h);
    });
    CHECK_FALSE(called);
}

TEST_CASE_METHOD(fixture, "handle: cancel keeps a callback from running, and frees it") {
    run([] {
        loop& l = get_running_loop();
        notes log;
        handle soon = l.call_soon([&, c = counted()] { log.push_back("soon"); });
        handle posted = l.call_soon_threadsafe([&, c = counted()] { log.push_back("posted"); });
        handle later = l.call_later(1s, [&, c = counted()] { log.push_back("later"); });
        handle kept = l.call_later(1s, [&] { log.push_back("kept"); });
        CHECK_FALSE(soon.cancelled());
        soon.cancel();
        posted.cancel();
        later.cancel();
        later.cancel();
        CHECK(soon.cancelled());
        CHECK(later.cancelled());
        CHECK(counted::live == 0);
        sleep(2s);
        CHECK(log == notes{"kept"});
        CHECK_FALSE(kept.cancelled());
        kept.cancel();
    });
}

TEST_CASE_METHOD(fixture, "handle: dropping it does not cancel the callback") {
    run([] {
        bool soon = false, later = false;
        static_cast<void>(get_running_loop().call_soon([&] { soon = true; }));
        {
            handle dropped = get_running_loop().call_later(1s, [&] { later = true; });
        }
        sleep(2s);
        CHECK(soon);
        CHECK(later);
    });
}

TEST_CASE_METHOD(fixture, "handle: a callback may cancel another one of the same turn, and itself") {
    run([] {
        notes log;
        handle first, second;
        first = get_running_loop().call_soon([&] {
            log.push_back("first");
            first.cancel();
            second.cancel();
        });
        second = get_running_loop().call_soon([&] { log.push_back("second"); });
        handle a, b;
        a = get_running_loop().call_later(1s, [&] {
            log.push_back("a");
            b.cancel();
        });
        b = get_running_loop().call_later(1s, [&] { log.push_back("b"); });
        sleep(2s);
        CHECK(log == notes{"first", "a"});
    });
}

TEST_CASE_METHOD(fixture, "handle: outlives its loop") {
    handle pending, done, empty;
    run([&] {
        done = get_running_loop().call_soon([] {});
        pending = get_running_loop().call_later(1h, [c = counted()] {});
        yield_now();
    });
    CHECK(counted::live == 0);
    pending.cancel();
    done.cancel();
    empty.cancel();
    CHECK_FALSE(empty.cancelled());
}

TEST_CASE_METHOD(fixture, "call_soon: callbacks that have not run when the loop ends are freed") {
    runner r;
    bool called = false;
    r.run([&] {
        get_running_loop().call_later(1h, [&, c = counted()] { called = true; });
        get_running_loop().call_soon_threadsafe([c = counted()] {});
    });
    r.close();
    CHECK(counted::live == 0);
    CHECK_FALSE(called);
}

TEST_CASE_METHOD(fixture, "call_soon: what is scheduled while the loop frees what has not run is freed, too") {
    static bool called = false;
    struct schedules_more {
        ~schedules_more() {
            get_running_loop().call_soon([c = counted()] { called = true; });
            get_running_loop().call_later(1h, [c = counted()] { called = true; });
        }
    };
    run([] { get_running_loop().call_later(1h, [last = std::make_unique<schedules_more>()] {}); });
    CHECK_FALSE(called);
}

TEST_CASE_METHOD(fixture, "call_soon_threadsafe: from the loop's own thread, too, in order") {
    run([] {
        notes log;
        for (const char* name : {"a", "b"})
            get_running_loop().call_soon_threadsafe([&log, name] { log.push_back(name); });
        sleep(1ms);
        CHECK(log == notes{"a", "b"});
    });
}

TEST_CASE_METHOD(fixture,
                 "call_soon_threadsafe: from many threads loses nothing, and keeps each thread's order") {
    run([] {
        constexpr int threads = 4, calls = 500;
        std::vector<std::vector<int>> seen(threads);
        int left = threads * calls;
        const task_handle rest = create_task(park);
        std::vector<std::thread> senders;
        for (int t = 0; t < threads; ++t) {
            senders.emplace_back([&, t, &l = get_running_loop()] {
                for (int i = 0; i < calls; ++i) {
                    l.call_soon_threadsafe([&, t, i] {
                        seen[static_cast<std::size_t>(t)].push_back(i);
                        if (--left == 0)
                            rest.cancel();
                    });
                }
            });
        }
        rest.join();
        for (auto& t : senders)
            t.join();
        for (const auto& one : seen) {
            CHECK(one.size() == calls);
            CHECK(std::is_sorted(one.begin(), one.end()));
        }
    });
}

TEST_CASE_METHOD(fixture, "a callback that throws is told to the exception handler, and the loop goes on") {
    reports told;
    run([&] {
        told.install();
        loop& l = get_running_loop();
        bool called = false;
        l.call_soon([] { throw std::runtime_error("soon"); });
        l.call_later(1ms, [] { throw std::runtime_error("later"); });
        l.call_soon([] { throw cancelled("not a task"); });
        l.call_soon([&] { called = true; });
        sleep(1s);
        CHECK(called);
    });
    REQUIRE(told.seen.size() == 3);
    CHECK(told.seen[0].exception == "soon");
    CHECK(told.seen[1].exception == "cancelled: not a task");
    CHECK(told.seen[2].exception == "later");
    for (const auto& r : told.seen) {
        CHECK_FALSE(r.message.empty());
        CHECK(r.task == 0);
    }
}

TEST_CASE_METHOD(fixture, "the exception handler gets the loop that it is set for") {
    run([] {
        loop* given = nullptr;
        get_running_loop().set_exception_handler([&](loop& l, const exception_context&) { given = &l; });
        get_running_loop().call_soon([] { throw 1; });
        yield_now();
        CHECK(given == &get_running_loop());
    });
}

TEST_CASE_METHOD(fixture, "loop: is open and running while it runs, also while what is left is cancelled") {
    bool running = false, closed = true;
    run([&] {
        loop& l = get_running_loop();
        CHECK(l.is_running());
        CHECK_FALSE(l.is_closed());
        create_task([&] {
            at_exit leave{[&] {
                running = l.is_running();
                closed = l.is_closed();
            }};
            park();
        });
        yield_now();
    });
    CHECK(running);
    CHECK_FALSE(closed);
}

TEST_CASE_METHOD(fixture, "loop: debug can be switched") {
    run([] {
        loop& l = get_running_loop();
        l.set_debug(true);
        CHECK(l.get_debug());
        l.set_debug(false);
        CHECK_FALSE(l.get_debug());
    });
}

TEST_CASE_METHOD(fixture, "loop: time moves forward as time passes") {
    run([] {
        const auto start = get_running_loop().time();
        sleep(5s);
        CHECK(get_running_loop().time() == start + 5s);
    });
}

TEST_CASE_METHOD(
    fixture, "callbacks that schedule each other without end keep neither timers nor tasks from running") {
    run([] {
        loop& l = get_running_loop();
        bool stop = false;
        std::function<void()> again = [&] {
            virtual_clock::pass(1us);
            if (!stop)
                l.call_soon(again);
        };
        l.call_soon(again);
        sleep(10ms);
        stop = true;
        yield_now();
    });
}
