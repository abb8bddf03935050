// <weft/timeout.hpp>: timeout, timeout_at and their scopes. wait_for and move_on_after are in wait_for_test.cpp.

#include <limits>
#include <memory>
#include <stdexcept>

#include <weft/timeout.hpp>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;
using clock_type = std::chrono::steady_clock;

TEST_CASE_METHOD(fixture, "timeout: gives what the body returns in time") {
    run([] {
        CHECK(timeout(1s, [] {
                  sleep(999ms);
                  return 1;
              }) == 1);
        CHECK(*timeout(1s, [] { return std::make_unique<int>(2); }) == 2);
        int x = 0;
        CHECK(&timeout(1s, [&]() -> int& { return x; }) == &x);
        STATIC_REQUIRE(std::is_void_v<decltype(timeout(1s, [] {}))>);
        STATIC_REQUIRE(std::is_same_v<decltype(timeout(1s, [](timeout_scope&) { return 1L; })), long>);
        timeout(1s, [] {});
    });
}

TEST_CASE_METHOD(fixture, "timeout: runs the body in the caller's own fiber") {
    run([] {
        const task_handle self = current_task();
        timeout(1s, [&] { CHECK(current_task() == self); });
    });
}

TEST_CASE_METHOD(fixture, "timeout: a body cut off at the deadline gives timeout_error") {
    run([] {
        const auto start = get_running_loop().time();
        bool unwound = false;
        CHECK_THROWS_AS(timeout(1s,
                                [&] {
                                    at_exit leave{[&] { unwound = true; }};
                                    park();
                                }),
                        timeout_error);
        CHECK(unwound);
        CHECK(get_running_loop().time() - start == 1s);
        CHECK(current_task().cancelling() == 0);
        yield_now();
        sleep(2s);
    });
}

TEST_CASE_METHOD(fixture, "timeout: inside the body the expiry is a cancellation") {
    run([] {
        timeout(1s, [] {
            CHECK_THROWS_AS(park(), cancelled);
            CHECK(current_task().cancelling() == 1);
        });
        CHECK(current_task().cancelling() == 0);
    });
}

TEST_CASE_METHOD(fixture,
                 "timeout: zero and negative cancel at the first check, and spare a body that never blocks") {
    run([] {
        for (const auto time : {0s, -1s, std::chrono::seconds::min()}) {
            bool started = false;
            CHECK_THROWS_AS(timeout(time,
                                    [&] {
                                        started = true;
                                        yield_now();
                                        FAIL_CHECK("went on");
                                    }),
                            timeout_error);
            CHECK(started);
            CHECK(timeout(time, [] { return 3; }) == 3);
            yield_now();
        }
    });
}

TEST_CASE_METHOD(fixture, "timeout: what the body throws is what comes out") {
    run([] {
        CHECK_THROWS_AS(timeout(1s, [] { throw std::out_of_range("x"); }), std::out_of_range);
        CHECK_THROWS_AS(timeout(1s,
                                [] {
                                    CHECK_THROWS_AS(park(), cancelled);
                                    throw std::out_of_range("after the deadline");
                                }),
                        std::out_of_range);
        CHECK(thrown_by([] { timeout(1s, [] { throw cancelled("in time, by itself"); }); }) ==
              "in time, by itself");
        yield_now();
    });
}

TEST_CASE_METHOD(fixture, "timeout: a body that swallows the cancellation and returns has its value") {
    run([] {
        const int value = timeout(1s, [](timeout_scope& scope) {
            CHECK_THROWS_AS(park(), cancelled);
            CHECK(scope.expired());
            sleep(1h);
            return 5;
        });
        CHECK(value == 5);
        yield_now();
    });
}

TEST_CASE_METHOD(fixture, "timeout: a request not delivered when the body returns is withdrawn") {
    run([] {
        CHECK(timeout(0s, [] { return 1; }) == 1);
        CHECK(current_task().cancelling() == 0);
        yield_now();
        // The deadline passes while the body is ready to run, but before its end it never checks again.
        auto t = create_task([] {
            return timeout(1s, [](timeout_scope& scope) {
                sleep(1s - 1ns);
                virtual_clock::pass(1s);
                return scope.expired();
            });
        });
        CHECK_FALSE(t.get());
        sleep(1s);
    });
}

TEST_CASE_METHOD(fixture, "timeout: nested, the inner one that expires first is the inner's error") {
    run([] {
        notes log;
        timeout(2s, [&] {
            CHECK_THROWS_AS(timeout(1s, park), timeout_error);
            log.push_back("inner");
            sleep(500ms);
            log.push_back("outer goes on");
        });
        CHECK(log == notes{"inner", "outer goes on"});
        sleep(5s);
    });
}

TEST_CASE_METHOD(fixture, "timeout: nested, the outer one that expires first wins at its own boundary") {
    run([] {
        std::string inner;
        CHECK_THROWS_AS(timeout(1s,
                                [&] {
                                    try {
                                        timeout(2s, park);
                                    } catch (const timeout_error&) {
                                        inner = "timeout_error";
                                    } catch (const cancelled&) {
                                        inner = "cancelled";
                                        throw;
                                    }
                                }),
                        timeout_error);
        CHECK(inner == "cancelled");
        CHECK(current_task().cancelling() == 0);
        sleep(5s);
    });
}

TEST_CASE_METHOD(fixture, "timeout: nested with one deadline, the outer wins, and there is one error") {
    run([] {
        for (const auto time : {1s, 0s, -1s}) {
            int inner = 0, outer = 0;
            const auto when = get_running_loop().time() + time;
            try {
                timeout_at(when, [&] {
                    try {
                        timeout_at(when, park);
                    } catch (const timeout_error&) {
                        ++inner;
                    }
                    sleep(1h);
                });
            } catch (const timeout_error&) {
                ++outer;
            }
            CHECK(inner == 0);
            CHECK(outer == 1);
            CHECK(current_task().cancelling() == 0);
            yield_now();
        }
    });
}

TEST_CASE_METHOD(fixture, "timeout: nested, the outer expires while the inner's error is on its way") {
    run([] {
        int inner = 0;
        const auto body = [&] {
            try {
                timeout(1s, [] {
                    at_exit slow{[] { sleep(1h); }};
                    park();
                });
            } catch (const timeout_error&) {
                ++inner;
            }
            yield_now();
        };
        CHECK_THROWS_AS(timeout(2s, body), timeout_error);
        CHECK(inner == 0);
        yield_now();
    });
}

TEST_CASE_METHOD(fixture, "timeout: three deep, only the one that expired is told") {
    run([] {
        notes log;
        const auto level = [&](const char* name, auto time, auto body) {
            try {
                timeout(time, body);
                log.push_back(std::string(name) + " finished");
            } catch (const timeout_error&) {
                log.push_back(std::string(name) + " timed out");
            }
        };
        level("outer", 3s, [&] { level("middle", 1s, [&] { level("inner", 2s, park); }); });
        CHECK(log == notes{"middle timed out", "outer finished"});
    });
}

TEST_CASE_METHOD(fixture, "timeout: an outside cancellation that comes right after the deadline stays one") {
    run([] {
        const auto when = get_running_loop().time() + 1s;
        task<> t;
        get_running_loop().call_at(when,
                                   [&] { t.cancel("outside"); });  // runs between the expiry and the body
        t = create_task([&] { timeout_at(when, park); });
        t.join();
        CHECK(t.cancelled());
        CHECK(reports::text(t.exception()) == "cancelled: outside");
    });
}

TEST_CASE_METHOD(fixture, "timeout: an outside cancellation that comes right before the deadline stays one") {
    run([] {
        auto t = create_task([&] { timeout(1s, park); });
        yield_now();
        std::thread([t] {
            t.cancel("outside");
        }).join();  // the loop hears of it in the turn in which the time is up
        virtual_clock::pass(1s);
        t.join();
        CHECK(t.cancelled());
        CHECK(reports::text(t.exception()) == "cancelled: outside");
    });
}

TEST_CASE_METHOD(fixture,
                 "timeout: an outside cancellation while the expired body unwinds stays a cancellation") {
    run([] {
        auto t = create_task([] {
            timeout(1s, [] {
                at_exit slow{[] { sleep(2s); }};
                park();
            });
        });
        sleep(2s);
        t.cancel("outside");
        t.join();
        CHECK(t.cancelled());
    });
}

TEST_CASE_METHOD(fixture, "timeout: a cancellation that was pending before an expired scope stays one") {
    run([] {
        for (const auto time : {0s, -5s, 1s}) {
            current_task().cancel("outside");
            CHECK(thrown_by([&] { timeout(time, [] { sleep(1h); }); }) == "outside");
            CHECK(current_task().cancelling() == 1);
            current_task().uncancel();
        }
        yield_now();
    });
}

TEST_CASE_METHOD(fixture,
                 "timeout: inside a task that had swallowed a cancellation still gives timeout_error") {
    run([] {
        current_task().cancel();
        CHECK_THROWS_AS(yield_now(), cancelled);
        CHECK_THROWS_AS(timeout(1s, park), timeout_error);
        CHECK(current_task().cancelling() == 1);
        CHECK_THROWS_AS(timeout(1s,
                                [] {
                                    current_task().uncancel();
                                    park();
                                }),
                        timeout_error);
        CHECK(current_task().cancelling() == 0);
    });
}

TEST_CASE_METHOD(fixture, "timeout_scope: when tells the deadline, expired whether it was reached") {
    run([] {
        const auto start = get_running_loop().time();
        timeout(1s, [&](timeout_scope& scope) {
            CHECK(scope.when() == start + 1s);
            CHECK_FALSE(scope.expired());
            sleep(1s - 1ns);
            CHECK_FALSE(scope.expired());
            CHECK_THROWS_AS(park(), cancelled);
            CHECK(scope.expired());
        });
        timeout(0s, [](timeout_scope& scope) { CHECK(scope.expired()); });
    });
}

TEST_CASE_METHOD(fixture, "reschedule: moves the deadline later, earlier, into the past, and away") {
    run([] {
        const auto start = get_running_loop().time();
        timeout(1s, [&](timeout_scope& scope) {
            scope.reschedule(start + 3s);
            CHECK(scope.when() == start + 3s);
            sleep(2s);
            scope.reschedule(clock_type::time_point::max());
            CHECK(scope.when() == clock_type::time_point::max());
            sleep(1h);
        });
        const auto again = get_running_loop().time();
        CHECK_THROWS_AS(timeout(1h,
                                [&](timeout_scope& scope) {
                                    scope.reschedule(again + 1s);
                                    park();
                                }),
                        timeout_error);
        CHECK(get_running_loop().time() == again + 1s);
        CHECK_THROWS_AS(timeout(1h,
                                [&](timeout_scope& scope) {
                                    scope.reschedule(again);
                                    CHECK(scope.expired());
                                    yield_now();
                                }),
                        timeout_error);
    });
}

TEST_CASE_METHOD(fixture, "reschedule: after the expiry throws invalid_state") {
    run([] {
        timeout(0s, [](timeout_scope& scope) {
            CHECK_THROWS_AS(scope.reschedule(clock_type::time_point::max()), invalid_state);
            CHECK(scope.expired());
        });
        timeout(1s, [](timeout_scope& scope) {
            CHECK_THROWS_AS(park(), cancelled);
            CHECK_THROWS_AS(scope.reschedule(get_running_loop().time() + 1s), invalid_state);
        });
    });
}

TEST_CASE_METHOD(fixture, "timeout: thousands of scopes that do not expire leave no timer behind") {
    run([] {
        for (int i = 0; i < 5000; ++i)
            timeout(1h, [] {});
        const auto start = get_running_loop().time();
        sleep(10h);
        CHECK(get_running_loop().time() - start == 10h);
    });
}
