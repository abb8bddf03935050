// <weft/timeout.hpp>: wait_for and move_on_after; deadlines on every clock and of every size.

#include <limits>
#include <memory>
#include <stdexcept>

#include <weft/timeout.hpp>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

TEST_CASE_METHOD(fixture, "wait_for(callable): is timeout, in the caller's own fiber") {
    run([] {
        const task_handle self = current_task();
        CHECK(wait_for([] { return 1; }, 1s) == 1);
        wait_for([&] { CHECK(current_task() == self); }, 1s);
        CHECK_THROWS_AS(wait_for(park, 1s), timeout_error);
        CHECK_THROWS_AS(wait_for([] { throw 1; }, 1s), int);
    });
}

TEST_CASE_METHOD(fixture, "wait_for(task): gives the result or the error that comes in time") {
    run([] {
        auto value = create_task([] {
            sleep(1s);
            return 2;
        });
        CHECK(wait_for(value, 2s) == 2);
        CHECK(wait_for(value, 0s) == 2);
        CHECK(wait_for(value, -1s) == 2);
        auto failed = create_task([] { throw std::out_of_range("x"); });
        CHECK_THROWS_AS(wait_for(failed, 1s), std::out_of_range);
        int x = 0;
        CHECK(&wait_for(create_task([&]() -> int& { return x; }), 1s) == &x);
        wait_for(create_task([] {}), 1s);
        CHECK(*wait_for(create_task([] { return std::make_unique<int>(3); }), 1s) == 3);
    });
}

TEST_CASE_METHOD(fixture, "wait_for(task): moves the value of the last handle, copies otherwise") {
    run([] {
        CHECK(wait_for(create_task([] { return counted(1); }), 1s).value == 1);
        CHECK(counted::copies == 0);
        auto t = create_task([] { return counted(2); });
        CHECK(wait_for(t, 1s).value == 2);
        CHECK(counted::copies == 1);
        CHECK(t.get().value == 2);
    });
}

TEST_CASE_METHOD(
    fixture,
    "wait_for(task): at the deadline cancels the task, waits for its end, then throws timeout_error") {
    run([] {
        const auto start = get_running_loop().time();
        bool ended = false;
        auto t = create_task([&] {
            at_exit slow{[&] {
                sleep(1s);
                ended = true;
            }};
            park();
        });
        CHECK_THROWS_AS(wait_for(t, 1s), timeout_error);
        CHECK(ended);
        CHECK(t.cancelled());
        CHECK(get_running_loop().time() - start == 2s);
        CHECK(current_task().cancelling() == 0);
        yield_now();
    });
}

TEST_CASE_METHOD(fixture, "wait_for(task): zero and negative times do so at once") {
    run([] {
        for (const auto time : {0s, -1s}) {
            bool ran = false;
            auto t = create_task([&] { ran = true; });
            CHECK_THROWS_AS(wait_for(t, time), timeout_error);
            CHECK(t.cancelled());
            CHECK_FALSE(ran);
        }
    });
}

TEST_CASE_METHOD(fixture, "wait_for(task): a result or an error in spite of the deadline is the outcome") {
    run([] {
        auto stubborn = create_task([] {
            CHECK_THROWS_AS(park(), cancelled);
            sleep(1s);
            return 7;
        });
        CHECK(wait_for(stubborn, 1s) == 7);
        auto failing = create_task([] {
            CHECK_THROWS_AS(park(), cancelled);
            throw std::out_of_range("while ending");
        });
        CHECK_THROWS_AS(wait_for(failing, 1s), std::out_of_range);
        yield_now();
        CHECK(current_task().cancelling() == 0);
    });
}

TEST_CASE_METHOD(
    fixture, "wait_for(task): a task that ends at the deadline, before it is cancelled, gives its result") {
    run([] {
        auto t = create_task([] {
            sleep(1s);
            return 8;
        });
        yield_now();
        CHECK(wait_for(t, 1s) == 8);
        yield_now();
    });
}

TEST_CASE_METHOD(
    fixture,
    "wait_for(task): a task that is cancelled at the deadline, before it has run to its end, timed out") {
    run([] {
        auto t = create_task([] { sleep(1s); });
        CHECK_THROWS_AS(wait_for(t, 1s), timeout_error);  // the deadline was set first
        CHECK(t.cancelled());
    });
}

TEST_CASE_METHOD(fixture, "wait_for(task): a task that is cancelled by others is cancelled, not timed out") {
    run([] {
        auto t = create_task(park);
        create_task([t] { t.cancel("by others"); });
        CHECK(thrown_by([&] { wait_for(t, 1s); }) == "by others");
        CHECK(current_task().cancelling() == 0);
    });
}

TEST_CASE_METHOD(fixture,
                 "wait_for(task): forwards an outside cancellation and throws it when the task has ended") {
    run([] {
        notes log;
        auto work = create_task([&] {
            log.push_back(thrown_by(park));
            sleep(1s);
            log.push_back("work ends");
            return 1;
        });
        auto waiter =
            create_task([&] { log.push_back("waiter: " + thrown_by([&] { wait_for(work, 1h); })); });
        turns(2);
        waiter.cancel("stop");
        waiter.join();
        CHECK(log == notes{"stop", "work ends", "waiter: stop"});
    });
}

TEST_CASE_METHOD(fixture, "wait_for(task): an outside cancellation right after the deadline stays one") {
    run([] {
        auto work = create_task(park);
        task<> waiter;
        get_running_loop().call_later(1s, [&] { waiter.cancel("outside"); });
        waiter = create_task([&] { wait_for(work, 1s); });
        waiter.join();
        CHECK(reports::text(waiter.exception()) == "cancelled: outside");
        CHECK(work.cancelled());
    });
}

TEST_CASE_METHOD(fixture, "wait_for(task): an outside cancellation right before the deadline stays one") {
    run([] {
        auto work = create_task(park);
        auto waiter = create_task([&] { wait_for(work, 1s); });
        turns(2);
        std::thread([waiter] { waiter.cancel("outside"); }).join();
        virtual_clock::pass(1s);
        waiter.join();
        CHECK(reports::text(waiter.exception()) == "cancelled: outside");
        CHECK(work.cancelled());
    });
}

TEST_CASE_METHOD(fixture,
                 "wait_for(task): an outside cancellation while it waits for the end stays a cancellation") {
    run([] {
        auto work = create_task([] {
            at_exit slow{[] { sleep(10s); }};
            park();
        });
        auto waiter = create_task([&] { wait_for(work, 1s); });
        sleep(2s);
        waiter.cancel("outside");
        waiter.join();
        CHECK(waiter.cancelled());
        CHECK(work.done());
    });
}

TEST_CASE_METHOD(fixture, "wait_for(task): of oneself throws logic_error") {
    run([] {
        task<> t;
        t = create_task([&] { wait_for(t, 1s); });
        CHECK_THROWS_AS(t.get(), std::logic_error);
    });
}

TEST_CASE_METHOD(fixture, "move_on_after: true if the body finished, false if it was cut off") {
    run([] {
        CHECK(move_on_after(1s, [] { sleep(999ms); }));
        CHECK_FALSE(move_on_after(1s, park));
        CHECK(move_on_after(0s, [] {}));
        CHECK_FALSE(move_on_after(0s, yield_now));
        CHECK_FALSE(move_on_after(-1s, yield_now));
        CHECK(move_on_after(1s, [] { return 5; }));
        CHECK(move_on_after(1s, [](timeout_scope& scope) {
            scope.reschedule(std::chrono::steady_clock::time_point::max());
        }));
        CHECK(current_task().cancelling() == 0);
        yield_now();
    });
}

TEST_CASE_METHOD(fixture, "move_on_after: passes exceptions and outside cancellations on") {
    run([] {
        CHECK_THROWS_AS(move_on_after(1s, [] { throw 1; }), int);
        current_task().cancel("outside");
        CHECK(thrown_by([] { move_on_after(0s, park); }) == "outside");
        current_task().uncancel();
    });
}

TEST_CASE_METHOD(fixture, "move_on_after: nested, each is cut off by its own deadline only") {
    run([] {
        notes log;
        const bool outer = move_on_after(2s, [&] {
            log.push_back(move_on_after(1s, park) ? "finished" : "cut off");
            log.push_back(move_on_after(5s, park) ? "finished" : "cut off");
            log.push_back("not reached");
        });
        CHECK_FALSE(outer);
        CHECK(log == notes{"cut off"});
    });
}

TEST_CASE_METHOD(fixture, "timeout_at: takes a point of any clock") {
    run([] {
        const auto start = get_running_loop().time();
        CHECK_THROWS_AS(timeout_at(start + 5s, park), timeout_error);
        CHECK(get_running_loop().time() == start + 5s);

        CHECK_THROWS_AS(timeout_at(std::chrono::system_clock::now() + 1min, park), timeout_error);
        CHECK(get_running_loop().time() - start > 5s);
        CHECK(get_running_loop().time() - start <= 65s);

        CHECK_THROWS_AS(timeout_at(std::chrono::system_clock::now() - 1h, yield_now), timeout_error);
        CHECK_THROWS_AS(timeout_at(std::chrono::system_clock::time_point::min(), yield_now), timeout_error);
        CHECK_THROWS_AS(timeout_at(std::chrono::steady_clock::time_point::min(), yield_now), timeout_error);
    });
}

TEST_CASE_METHOD(fixture, "durations beyond a century are no deadline") {
    run([] {
        const auto never = [](auto time) {
            timeout(time, [](timeout_scope& scope) {
                CHECK(scope.when() == std::chrono::steady_clock::time_point::max());
            });
            auto sleeper = create_task([=] { sleep(time); });
            sleep(10'000h);
            CHECK_FALSE(sleeper.done());
            sleeper.cancel();
            sleeper.join();
        };
        never(std::chrono::hours::max());
        never(std::chrono::nanoseconds::max());
        never(std::chrono::years(400));
        never(std::chrono::years::max());
        never(std::chrono::duration<double>(1e300));
        never(std::chrono::duration<double, std::ratio<86400>>(std::numeric_limits<double>::infinity()));
        never(std::chrono::duration<long double>(1e30L));
        never(std::chrono::duration<int, std::ratio<86400 * 365>>(1000));
    });
}

TEST_CASE_METHOD(fixture, "points in time beyond a century are no deadline") {
    run([] {
        using namespace std::chrono;
        const auto never = [](auto when) {
            timeout_at(when,
                       [](timeout_scope& scope) { CHECK(scope.when() == steady_clock::time_point::max()); });
        };
        never(system_clock::time_point::max());
        never(steady_clock::time_point::max());
        never(sys_seconds::max());
        never(sys_days(year(3000) / 1 / 1));
        never(sys_days(year::max() / 1 / 1));
        never(time_point<steady_clock, hours>::max());
        never(time_point<steady_clock, hours>(hours::max() - hours(1)));
        never(time_point<system_clock, duration<double>>(duration<double>(1e300)));
    });
}

TEST_CASE_METHOD(fixture, "points in time far in the past have passed") {
    run([] {
        using namespace std::chrono;
        const auto passed = [](auto when) {
            timeout_at(when, [](timeout_scope& scope) { CHECK(scope.expired()); });
            sleep_until(when);
        };
        passed(system_clock::time_point::min());
        passed(steady_clock::time_point::min());
        passed(sys_seconds::min());
        passed(sys_days(year(-30000) / 1 / 1));
        passed(time_point<steady_clock, hours>::min());
        passed(time_point<system_clock, duration<double>>(duration<double>(-1e300)));
    });
}

TEST_CASE_METHOD(fixture, "durations that are no number have passed") {
    run([] {
        const std::chrono::duration<double> nan(std::numeric_limits<double>::quiet_NaN());
        sleep(nan);
        CHECK(timeout(nan, [] { return 1; }) == 1);
        CHECK_THROWS_AS(timeout(nan, yield_now), timeout_error);
    });
}

TEST_CASE_METHOD(fixture, "durations are rounded up: nothing wakes early") {
    run([] {
        const auto start = get_running_loop().time();
        sleep(std::chrono::duration<double, std::nano>(0.25));
        CHECK(get_running_loop().time() - start == 1ns);
        sleep(std::chrono::duration<double>(1.5));
        CHECK(get_running_loop().time() - start >= 1500ms);
        using thirds = std::chrono::duration<int, std::ratio<1, 3>>;
        const auto second = get_running_loop().time();
        sleep(thirds(1));
        CHECK(get_running_loop().time() - second == 333'333'334ns);
    });
}
