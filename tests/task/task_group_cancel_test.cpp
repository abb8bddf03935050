// <weft/task_group.hpp>: task_group::cancel().

#include <stdexcept>

#include <weft/task_group.hpp>
#include <weft/timeout.hpp>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

TEST_CASE_METHOD(fixture, "cancel(): ends children and body; a body without a value returns normally") {
    run([] {
        notes log;
        with_task_group([&](task_group& group) {
            group.create_task([&] {
                at_exit leave{[&] {
                    sleep(1s);
                    log.push_back("child");
                }};
                park();
            });
            group.create_task([&] { group.cancel(); });
            at_exit leave{[&] { log.push_back("body"); }};
            park();
        });
        log.push_back("after");
        CHECK(log.size() == 3);
        CHECK(log.back() == "after");
        CHECK(current_task().cancelling() == 0);
        yield_now();
    });
}

TEST_CASE_METHOD(fixture, "cancel(): reaches the children in the order in which they were added") {
    run([] {
        notes log;
        with_task_group([&](task_group& group) {
            for (const char* name : {"a", "b", "c", "d"}) {
                group.create_task([&log, name] {
                    if (name[0] == 'b') return;   // one that has ended before
                    at_exit leave{[&] { log.push_back(name); }};
                    park();
                });
            }
            turns(2);
            group.cancel();
        });
        CHECK(log == notes{"a", "c", "d"});
    });
}

TEST_CASE_METHOD(fixture, "cancel(): a body with a value that was cut off throws cancelled") {
    run([] {
        CHECK_THROWS_AS(with_task_group([&](task_group& group) {
                            group.cancel();
                            yield_now();
                            return 1;
                        }),
                        cancelled);
        CHECK(current_task().cancelling() == 0);
        yield_now();
    });
}

TEST_CASE_METHOD(fixture, "cancel(): a body that had returned gives its value") {
    run([] {
        CHECK(with_task_group([](task_group& group) {
                  group.create_task([&] {
                      sleep(1s);
                      group.cancel();
                  });
                  group.create_task(park);
                  return 5;
              }) == 5);
        CHECK(with_task_group([](task_group& group) {
                  group.create_task(park);
                  group.cancel();
                  return 6;
              }) == 6);
        CHECK(with_task_group([](task_group& group) {
                  group.cancel();
                  CHECK_THROWS_AS(park(), cancelled);
                  return 7;
              }) == 7);
        CHECK(current_task().cancelling() == 0);
        yield_now();
    });
}

TEST_CASE_METHOD(fixture, "cancel(): cancels the child that calls it, too, and can be repeated") {
    run([] {
        bool went_on = false;
        with_task_group([&](task_group& group) {
            group.create_task([&] {
                group.cancel();
                group.cancel();
                yield_now();
                went_on = true;
            });
        });
        CHECK_FALSE(went_on);
    });
}

TEST_CASE_METHOD(fixture, "cancel(): from a callback and from another task") {
    run([] {
        with_task_group([](task_group& group) {
            get_running_loop().call_soon([&] { group.cancel(); });
            park();
        });
        task_group* open = nullptr;
        auto other = create_task([&] {
            while (!open)
                yield_now();
            open->cancel();
        });
        with_task_group([&](task_group& group) {
            open = &group;
            park();
        });
        other.get();
    });
}

TEST_CASE_METHOD(fixture,
                 "cancel(): an eager child in whose first turn it came is cancelled like its siblings") {
    run([] {
        const auto start = get_running_loop().time();
        with_task_group([](task_group& group) {
            group.create_task({.eager = true}, [&] {
                group.cancel();
                sleep(1h);
            });
        });
        CHECK_THROWS_AS(with_task_group([](task_group& group) {
                            group.create_task({.eager = true}, [&] {
                                group.create_task({.eager = true},
                                                  [] { throw std::runtime_error("sibling"); });
                                sleep(1h);
                            });
                        }),
                        exception_group);
        CHECK(get_running_loop().time() == start);
    });
}

TEST_CASE_METHOD(fixture, "cancel(): no child can be added after it") {
    run([] {
        with_task_group([](task_group& group) {
            group.cancel();
            CHECK_THROWS_AS(group.create_task([c = counted()] {}), std::logic_error);
        });
        CHECK(counted::live == 0);
    });
}

TEST_CASE_METHOD(fixture, "cancel(): with a child that fails in spite of it the failure is thrown") {
    run([] {
        CHECK_THROWS_AS(with_task_group([](task_group& group) {
                            group.create_task([] {
                                try {
                                    park();
                                } catch (const cancelled&) {
                                    throw std::runtime_error("while ending");
                                }
                            });
                            yield_now();
                            group.cancel();
                        }),
                        exception_group);
        yield_now();
    });
}

TEST_CASE_METHOD(fixture, "cancel(): together with a cancellation from outside, that stays one") {
    for (const bool outside_first : {true, false}) {
        run([&] {
            task<> parent;
            parent = create_task([&] {
                with_task_group([&](task_group& group) {
                    get_running_loop().call_soon([&] {
                        if (outside_first)
                            parent.cancel("outside");
                        group.cancel();
                        if (!outside_first)
                            parent.cancel("outside");
                    });
                    park();
                });
            });
            parent.join();
            CHECK(parent.cancelled());
        });
    }
}

TEST_CASE_METHOD(fixture, "cancel(): of an inner group does not end the outer one") {
    run([] {
        notes log;
        with_task_group([&](task_group& outer) {
            outer.create_task([&] {
                sleep(1s);
                log.push_back("outer's child");
            });
            with_task_group([](task_group& inner) {
                inner.create_task(park);
                inner.cancel();
                park();
            });
            yield_now();
            log.push_back("body goes on");
        });
        CHECK(log == notes{"body goes on", "outer's child"});
    });
}

TEST_CASE_METHOD(fixture,
                 "cancel(): of the outer group ends the inner one, which does not take it for its own") {
    run([] {
        bool inner_returned = false;
        with_task_group([&](task_group& outer) {
            with_task_group([&](task_group& inner) {
                inner.create_task([&] {
                    outer.cancel();
                    inner.cancel();
                });
                park();
            });
            inner_returned = true;
        });
        CHECK_FALSE(inner_returned);
        yield_now();
    });
}
