// <weft/cancellation.hpp>: uncancellable.

#include <memory>
#include <stdexcept>

#include <weft/cancellation.hpp>
#include <weft/gather.hpp>
#include <weft/task_group.hpp>
#include <weft/timeout.hpp>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

TEST_CASE_METHOD(fixture, "uncancellable: gives what the function gives, in the caller's own fiber") {
    run([] {
        const task_handle self = current_task();
        CHECK(uncancellable([&] {
                  CHECK(current_task() == self);
                  return 1;
              }) == 1);
        CHECK(*uncancellable([] { return std::make_unique<int>(2); }) == 2);
        int x = 0;
        CHECK(&uncancellable([&]() -> int& { return x; }) == &x);
        uncancellable([] {});
        CHECK_THROWS_AS(uncancellable([] { throw 1; }), int);
        yield_now();
    });
}

TEST_CASE_METHOD(fixture,
                 "uncancellable: holds a request back, and the first blocking call after it delivers it") {
    run([] {
        notes log;
        auto t = create_task([&] {
            uncancellable([&] {
                sleep(1s);
                yield_now();
                log.push_back("slept");
            });
            log.push_back("after");
            log.push_back(thrown_by(yield_now));
        });
        yield_now();
        t.cancel("held back");
        t.get();
        CHECK(log == notes{"slept", "after", "held back"});
    });
}

TEST_CASE_METHOD(fixture, "uncancellable: holds back a request that was pending before it") {
    run([] {
        current_task().cancel("before");
        uncancellable([] {
            yield_now();
            sleep(1s);
            create_task([] { sleep(1s); }).get();
        });
        CHECK(thrown_by(yield_now) == "before");
    });
}

TEST_CASE_METHOD(fixture, "uncancellable: get inside it waits, and forwards nothing") {
    run([] {
        auto work = create_task([] {
            sleep(1s);
            return 7;
        });
        auto t = create_task([&] { return uncancellable([&] { return work.get(); }); });
        turns(2);
        t.cancel();
        CHECK(t.get() == 7);
        CHECK(work.cancelling() == 0);
    });
}

TEST_CASE_METHOD(fixture, "uncancellable: a request taken back meanwhile is never delivered") {
    run([] {
        auto t = create_task([] {
            uncancellable([] { sleep(1s); });
            yield_now();
        });
        yield_now();
        t.cancel();
        turns(2);
        CHECK(t.cancelling() == 1);
        CHECK(t.uncancel() == 0);
        t.get();
    });
}

TEST_CASE_METHOD(fixture, "uncancellable: nested, holds until the outermost ends") {
    run([] {
        notes log;
        current_task().cancel("later");
        uncancellable([&] {
            uncancellable([] { sleep(1s); });
            yield_now();
            log.push_back("still held");
        });
        log.push_back(thrown_by(yield_now));
        CHECK(log == notes{"still held", "later"});
    });
}

TEST_CASE_METHOD(
    fixture, "uncancellable: a timeout opened inside works, and does not see the request that is held back") {
    run([] {
        current_task().cancel("held back");
        uncancellable([] {
            CHECK_THROWS_AS(timeout(1s, park), timeout_error);
            CHECK_FALSE(move_on_after(1s, park));
            CHECK(timeout(1s, [] { return 1; }) == 1);
            CHECK_THROWS_AS(timeout(1s, [] { timeout(2s, park); }), timeout_error);
            CHECK_THROWS_AS(wait_for(create_task(park), 1s), timeout_error);
            yield_now();
        });
        CHECK(current_task().cancelling() == 1);
        CHECK(thrown_by(yield_now) == "held back");
    });
}

TEST_CASE_METHOD(fixture,
                 "uncancellable: a request that comes while a timeout inside waits does not disturb it") {
    run([] {
        notes log;
        auto t = create_task([&] {
            uncancellable([&] {
                log.push_back(move_on_after(10s, [] { sleep(5s); }) ? "finished" : "cut off");
                log.push_back(move_on_after(10s, park) ? "finished" : "cut off");
            });
            log.push_back(thrown_by(yield_now));
        });
        sleep(1s);
        t.cancel("outside");
        t.get();
        CHECK(log == notes{"finished", "cut off", "outside"});
    });
}

TEST_CASE_METHOD(
    fixture,
    "uncancellable: a task group opened inside works, and does not see the request that is held back") {
    run([] {
        current_task().cancel("held back");
        uncancellable([] {
            CHECK(with_task_group([](task_group& group) {
                      return group
                          .create_task([] {
                              sleep(1s);
                              return 1;
                          })
                          .get();
                  }) == 1);
            CHECK_THROWS_AS(with_task_group([](task_group& group) {
                                group.create_task([] { throw std::runtime_error("child"); });
                                park();
                            }),
                            exception_group);
            with_task_group([](task_group& group) {
                group.cancel();
                park();
            });
            yield_now();
        });
        CHECK(thrown_by(yield_now) == "held back");
    });
}

TEST_CASE_METHOD(
    fixture,
    "uncancellable: a deadline outside is held back like any request from outside, and expires after it") {
    run([] {
        notes log;
        CHECK_THROWS_AS(timeout(1s,
                                [&] {
                                    uncancellable([&] {
                                        sleep(5s);
                                        log.push_back("slept");
                                    });
                                    log.push_back("after");
                                    yield_now();
                                    log.push_back("not reached");
                                }),
                        timeout_error);
        CHECK(log == notes{"slept", "after"});
        CHECK(timeout(1s, [] {
                  return uncancellable([] {
                      sleep(5s);
                      return 3;
                  });
              }) == 3);
        yield_now();
    });
}

TEST_CASE_METHOD(fixture, "uncancellable: an exception ends the holding, too") {
    run([] {
        current_task().cancel("held back");
        CHECK_THROWS_AS(uncancellable([] {
                            yield_now();
                            throw std::out_of_range("x");
                        }),
                        std::out_of_range);
        CHECK(thrown_by(yield_now) == "held back");
    });
}

TEST_CASE_METHOD(fixture, "uncancellable: protects only its own fiber, not the tasks started inside") {
    run([] {
        uncancellable([] {
            auto child = create_task(park);
            yield_now();
            child.cancel();
            child.join();
            CHECK(child.cancelled());
        });
    });
}

TEST_CASE_METHOD(fixture, "uncancellable: cancelled thrown by the function itself passes") {
    run([] {
        CHECK(thrown_by([] { uncancellable([] { throw cancelled("mine"); }); }) == "mine");
        auto work = create_task([] { throw cancelled("the work"); });
        CHECK(thrown_by([&] { uncancellable([&] { work.get(); }); }) == "the work");
    });
}
