// loop::run_forever, run_until_complete, stop, is_running, is_closed; and what a stop() does to runner::run.

#include <memory>
#include <stdexcept>
#include <thread>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

TEST_CASE_METHOD(fixture, "run_forever: runs callbacks and tasks until a callback stops it") {
    notes log;
    runner r;
    loop& l = r.get_loop();
    l.call_soon([&] {
        log.push_back("callback");
        create_task([&] {
            sleep(1s);
            log.push_back("task");
            l.call_soon([&] { l.stop(); });
        });
    });
    CHECK_FALSE(l.is_running());
    l.call_soon([&] { CHECK(l.is_running()); });
    l.run_forever();
    CHECK_FALSE(l.is_running());
    CHECK(log == notes{"callback", "task"});
}

TEST_CASE_METHOD(fixture, "run_forever: stop ends it after the turn, and what comes later stays for the next run") {
    notes log;
    runner r;
    loop& l = r.get_loop();
    l.call_soon([&] {
        l.stop();
        log.push_back("a");
        l.call_later(1ms, [&] {
            log.push_back("next run");
            l.stop();
        });
    });
    l.call_soon([&] { log.push_back("b"); });
    l.run_forever();
    CHECK(log == notes{"a", "b"});
    l.run_forever();
    CHECK(log == notes{"a", "b", "next run"});
}

TEST_CASE_METHOD(fixture, "run_forever: a stop that came before makes it one turn long") {
    runner r;
    loop& l = r.get_loop();
    bool first = false, later = false;
    l.call_soon([&] { first = true; });
    l.call_later(1h, [&] { later = true; });
    l.stop();
    l.run_forever();
    CHECK(first);
    CHECK_FALSE(later);
}

TEST_CASE_METHOD(fixture, "run_forever: a task may stop it, and goes on in the next run") {
    notes log;
    runner r;
    loop& l = r.get_loop();
    l.call_soon([&] {
        create_task([&] {
            l.stop();
            log.push_back("before");
            yield_now();
            sleep(1s);
            log.push_back("after");
            l.stop();
        });
    });
    l.run_forever();
    CHECK(log == notes{"before"});
    l.run_forever();
    CHECK(log == notes{"before", "after"});
}

TEST_CASE("run_forever: another thread may stop it while it sleeps") {
    weft_test::leak_check leaks;
    runner r;
    loop& l = r.get_loop();
    for (int round = 0; round < 100; ++round) {
        std::thread other([&] {
            l.stop();
        });
        l.run_forever();   // stopped before, in the first turn, or asleep
        other.join();
    }
    CHECK_FALSE(l.is_closed());
}

TEST_CASE("run_forever: is_running is seen by other threads") {
    weft_test::leak_check leaks;
    runner r;
    loop& l = r.get_loop();
    std::atomic<bool> seen{false};
    std::thread other([&] {
        while (!l.is_running()) std::this_thread::yield();
        seen = true;
        l.stop();
    });
    l.run_forever();
    other.join();
    CHECK(seen);
}

TEST_CASE_METHOD(fixture, "run_forever: a callback that throws is reported, and the loop goes on") {
    reports told;
    runner r;
    loop& l = r.get_loop();
    l.call_soon([&] { told.install(); });
    l.call_soon([] { throw std::runtime_error("broken"); });
    l.call_later(1s, [&] { l.stop(); });
    l.run_forever();
    REQUIRE(told.seen.size() == 1);
    CHECK(told.seen[0].message == "a callback threw");
    CHECK(told.seen[0].exception == "broken");
}

TEST_CASE_METHOD(fixture, "run_forever: refused inside a running loop, on another thread, and once the loop is closed") {
    runner r;
    loop& l = r.get_loop();
    r.run([&] {
        CHECK(thrown_by<std::logic_error>([&] { l.run_forever(); }).find("running on this thread already") != std::string::npos);
        CHECK(throws<std::logic_error>([&] { l.run_until_complete([] {}); }));
        CHECK(throws<std::logic_error>([&] { l.run_once(1s); }));
        CHECK(l.is_running());
    });
    std::thread([&] {
        CHECK(thrown_by<std::logic_error>([&] { l.run_forever(); }).find("another thread") != std::string::npos);
    }).join();
    r.close();
    CHECK(l.is_closed());
    CHECK(thrown_by<invalid_state>([&] { l.run_forever(); }) == "loop::run_forever: the loop is closed");
    CHECK(throws<invalid_state>([&] { l.run_until_complete([] {}); }));
    CHECK(throws<invalid_state>([&] { l.run_once(1s); }));
}

TEST_CASE_METHOD(fixture, "loop: every use of a closed one is told apart by name") {
    runner r;
    loop& l = r.get_loop();
    r.close();
    const auto closed = [](const char* call, auto&& f) {
        CHECK(thrown_by<invalid_state>(f) == std::string(call) + ": the loop is closed");
    };
    closed("loop::call_soon", [&] { l.call_soon([] {}); });
    closed("loop::call_soon_threadsafe", [&] { l.call_soon_threadsafe([] {}); });
    closed("loop::call_at", [&] { l.call_later(1s, [] {}); });
    closed("loop::add_reader", [&] { l.add_reader(0, [] {}); });
    closed("loop::add_writer", [&] { l.add_writer(0, [] {}); });
    closed("loop::remove_reader", [&] { l.remove_reader(0); });
    closed("loop::remove_writer", [&] { l.remove_writer(0); });
    closed("loop::add_signal_handler", [&] { l.add_signal_handler(10, [] {}); });
    closed("loop::remove_signal_handler", [&] { l.remove_signal_handler(10); });
    closed("loop::fd", [&] { l.fd(); });
    closed("loop::set_exception_handler", [&] { l.set_exception_handler({}); });
    closed("loop::set_debug", [&] { l.set_debug(true); });
    l.stop();   // nothing to stop
    CHECK_FALSE(l.is_running());
}

TEST_CASE_METHOD(fixture, "run_until_complete: gives the value, a reference, nothing, or what the function throws") {
    runner r;
    loop& l = r.get_loop();
    int target = 0;
    CHECK(l.run_until_complete([] {
        sleep(1s);
        return 7;
    }) == 7);
    int& reference = l.run_until_complete([&]() -> int& { return target; });
    CHECK(&reference == &target);
    l.run_until_complete([&] { target = 3; });
    CHECK(target == 3);
    CHECK(*l.run_until_complete([p = std::make_unique<int>(5)]() mutable { return std::move(p); }) == 5);
    CHECK(thrown_by<std::runtime_error>([&] { l.run_until_complete([] { throw std::runtime_error("mine"); }); }) == "mine");
    CHECK(throws<cancelled>([&] { l.run_until_complete([] { current_task().cancel(), yield_now(); }); }));
    CHECK_FALSE(l.is_closed());
}

TEST_CASE_METHOD(fixture, "run_until_complete: goes on with a task of an earlier run") {
    runner r;
    loop& l = r.get_loop();
    task<int> left = l.run_until_complete([] {
        return create_task([] {
            sleep(1s);
            return 11;
        });
    });
    CHECK_FALSE(left.done());
    CHECK(l.run_until_complete(left) == 11);
    CHECK(l.run_until_complete(left) == 11);
}

TEST_CASE_METHOD(fixture, "run_until_complete: a stop that comes first is an error, and the task goes on later") {
    runner r;
    loop& l = r.get_loop();
    bool ended = false;
    const auto f = [&, c = counted()] {
        l.call_soon([&] { l.stop(); });
        sleep(1s);
        ended = true;
    };
    CHECK(throws<invalid_state>([&] { l.run_until_complete(f); }));
    CHECK_FALSE(ended);
    l.call_later(2s, [&] { l.stop(); });
    l.run_forever();
    CHECK(ended);
}

TEST_CASE_METHOD(fixture, "run_until_complete: a stop that comes first leaves a task's value, or exception, to the next call") {
    runner r;
    loop& l = r.get_loop();
    std::vector<std::string> reports;
    l.set_exception_handler([&](loop&, const exception_context& context) { reports.push_back(context.message); });
    task<std::unique_ptr<int>> value;
    task<> failure;
    l.run_until_complete([&] {
        value = create_task([] { return sleep(1s), std::make_unique<int>(5); });
        failure = create_task([] {
            sleep(1s);
            throw std::runtime_error("mine");
        });
    });
    l.call_soon([&] { l.stop(); });
    CHECK(throws<invalid_state>([&] { l.run_until_complete(value); }));
    l.call_soon([&] { l.stop(); });
    CHECK(throws<invalid_state>([&] { l.run_until_complete(failure); }));
    const auto got = l.run_until_complete(value);
    REQUIRE(got);
    CHECK(*got == 5);
    CHECK(thrown_by<std::runtime_error>([&] { l.run_until_complete(failure); }) == "mine");
    r.close();
    CHECK(reports.empty());
}

TEST_CASE_METHOD(fixture, "run_until_complete: a stop in the turn in which the function returns changes nothing") {
    runner r;
    loop& l = r.get_loop();
    CHECK(l.run_until_complete([&] {
        l.stop();
        return 1;
    }) == 1);
    bool more = false;
    l.call_later(1s, [&] {
        more = true;
        l.stop();
    });
    l.run_forever();   // is not ended by the stop of before
    CHECK(more);
}

TEST_CASE_METHOD(fixture, "runner: a stop ends the main task before run throws, so that its captures are safe") {
    runner r;
    notes log;
    const auto run_it = [&] {
        r.run([&] {
            at_exit note{[&] { log.push_back("unwound"); }};
            get_running_loop().call_soon([] { get_running_loop().stop(); });
            sleep(1h);
            log.push_back("never");
        });
    };
    CHECK(thrown_by<invalid_state>(run_it) == "runner::run: the loop was stopped before the main task had returned");
    CHECK(log == notes{"unwound"});
    CHECK(r.run([] { return 4; }) == 4);
}

TEST_CASE_METHOD(fixture, "runner: a main task that returns all the same, although the loop was stopped, gives its value") {
    runner r;
    CHECK(r.run([] {
        get_running_loop().stop();
        try {
            sleep(1h);
        } catch (const cancelled&) {
        }
        return 9;
    }) == 9);
}

TEST_CASE_METHOD(fixture, "runner: runs several times, lets other tasks go on, and is closed more than once") {
    runner r;
    notes log;
    task<> other;
    r.run([&] {
        other = create_task([&] {
            sleep(1s);
            log.push_back("other");
        });
    });
    CHECK_FALSE(other.done());
    r.run([] { sleep(2s); });
    CHECK(other.done());
    CHECK(&r.get_loop() == &r.get_loop());
    r.close();
    r.close();
    CHECK(throws<invalid_state>([&] { r.run([] {}); }));
    CHECK(throws<invalid_state>([&] { r.get_loop(); }));
}

TEST_CASE_METHOD(fixture, "loop: tasks that are born while it frees what is left are ended before they begin") {
    static task<> born;
    static bool began;
    began = false;
    struct starts_a_task {
        ~starts_a_task() {
            if (!std::exchange(moved, true)) born = create_task([c = counted()] { began = true; });
        }
        starts_a_task() = default;
        starts_a_task(starts_a_task&& other) noexcept { other.moved = true; }
        bool moved = false;
    };
    run([] { get_running_loop().call_later(1h, [last = starts_a_task()] {}); });
    CHECK(born.done());
    CHECK(born.cancelled());
    CHECK_FALSE(began);
    born = {};
}

TEST_CASE("call_soon_threadsafe: races with the end of the loop; the call is made, freed, or refused") {
    weft_test::leak_check leaks;
    counted::live = 0;
    for (int round = 0; round < 200; ++round) {
        auto r = std::make_unique<runner>();
        loop& l = r->get_loop();
        std::atomic<bool> refused{false};
        std::atomic<int> made{0}, called{0};
        std::thread other([&] {
            while (!refused) {
                try {
                    l.call_soon_threadsafe([&called, c = counted()] { ++called; });
                    ++made;
                } catch (const invalid_state&) {
                    refused = true;
                }
            }
        });
        while (made == 0) std::this_thread::yield();
        r->run([] { yield_now(); });
        r->close();
        other.join();
        CHECK(called <= made);
    }
    CHECK(counted::live == 0);
}

TEST_CASE("handle: cancel from another thread races with the call, which is made or not, but never in part") {
    weft_test::leak_check leaks;
    counted::live = 0;
    run([] {
        loop& l = get_running_loop();
        std::atomic<int> called{0};
        for (int round = 0; round < 500; ++round) {
            std::atomic<bool> go{false};
            std::thread other([&] {
                handle h = l.call_soon_threadsafe([&called, c = counted()] { ++called; });
                h.cancel();
                if (!h.cancelled()) called = 1000;
                go = true;
            });
            while (!go) sleep(10us);
            other.join();
        }
        sleep(1ms);
        CHECK(called <= 500);
        CHECK(counted::live == 0);
    });
    CHECK(counted::live == 0);
}

TEST_CASE_METHOD(fixture, "handle: cancel from another thread keeps a timer from being called") {
    runner r;
    loop& l = r.get_loop();
    bool called = false;
    handle h = l.call_later(1s, [&, c = counted()] { called = true; });
    std::thread([h]() mutable { h.cancel(); }).join();
    CHECK(h.cancelled());
    r.run([] { sleep(2s); });
    CHECK_FALSE(called);
    CHECK(counted::live == 0);
}
