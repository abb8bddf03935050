// <weft/task_group.hpp>: groups that are cancelled from outside or by deadlines, with and without failures.

#include <stdexcept>

#include <weft/task_group.hpp>
#include <weft/timeout.hpp>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

TEST_CASE_METHOD(fixture,
                 "task group: cancelled from outside in its body, cancels and awaits the children, then throws") {
    run([] {
        notes log;
        auto parent = create_task([&] {
            with_task_group([&](task_group& group) {
                group.create_task([&] {
                    at_exit leave{[&] {
                        sleep(1s);
                        log.push_back("child");
                    }};
                    park();
                });
                at_exit leave{[&] { log.push_back("body"); }};
                park();
            });
        });
        turns(3);
        parent.cancel("outside");
        parent.join();
        CHECK(log == notes{"body", "child"});
        CHECK(reports::text(parent.exception()) == "cancelled: outside");
    });
}

TEST_CASE_METHOD(fixture, "task group: cancelled from outside while it waits for children does the same") {
    run([] {
        bool cut = false;
        auto parent = create_task([&] {
            with_task_group([&](task_group& group) {
                group.create_task([&] {
                    at_exit leave{[&] {
                        sleep(1s);
                        cut = true;
                    }};
                    park();
                });
            });
        });
        turns(3);
        parent.cancel("outside");
        parent.join();
        CHECK(cut);
        CHECK(reports::text(parent.exception()) == "cancelled: outside");
    });
}

TEST_CASE_METHOD(fixture,
                 "task group: failures after a cancellation from outside are thrown, it stays pending") {
    for (const bool in_body : {true, false}) {
        run([&] {
            notes log;
            auto parent = create_task([&] {
                try {
                    with_task_group([&](task_group& group) {
                        group.create_task([] {
                            try {
                                park();
                            } catch (const cancelled&) {
                                throw std::runtime_error("failed while ending");
                            }
                        });
                        if (in_body)
                            park();
                    });
                } catch (const exception_group& group) {
                    log.push_back(reports::text(group.exceptions().front()));
                }
                CHECK(current_task().cancelling() == 1);
                log.push_back(thrown_by(yield_now));
                yield_now();
                log.push_back("delivered once");
            });
            turns(3);
            parent.cancel("outside");
            parent.get();
            CHECK(log == notes{"failed while ending", "outside", "delivered once"});
        });
    }
}

TEST_CASE_METHOD(fixture,
                 "task group: failures before a cancellation from outside are thrown, it stays pending") {
    run([] {
        notes log;
        auto parent = create_task([&] {
            try {
                with_task_group([&](task_group& group) {
                    auto slow = group.create_task([] {
                        at_exit leave{[] { sleep(10s); }};
                        park();
                    });
                    group.create_task([] { throw std::runtime_error("child"); });
                    slow.join();
                });
            } catch (const exception_group& group) {
                log.push_back(reports::text(group.exceptions().front()));
            }
            log.push_back(thrown_by(yield_now));
        });
        sleep(1s);
        parent.cancel("outside");
        parent.get();
        CHECK(log == notes{"child", "outside"});
    });
}

TEST_CASE_METHOD(fixture,
                 "task group: a pending request when it opens is delivered in it, and stays a cancellation") {
    run([] {
        current_task().cancel("early");
        bool cut = false;
        CHECK(thrown_by([&] {
                  with_task_group([&](task_group& group) {
                      group.create_task([&] { cut = true; });
                      yield_now();
                  });
              }) == "early");
        CHECK_FALSE(cut);
        current_task().cancel("again");
        CHECK_THROWS_AS(with_task_group([](task_group& group) {
                            group.create_task({.eager = true}, [] { throw std::runtime_error("child"); });
                            park();
                        }),
                        exception_group);
        CHECK_THROWS_AS(yield_now(), cancelled);
        yield_now();
    });
}

TEST_CASE_METHOD(fixture, "task group: a request swallowed by the body does not end it") {
    run([] {
        auto parent = create_task([] {
            const int value = with_task_group([](task_group& group) {
                auto child = group.create_task([] {
                    sleep(1s);
                    return 3;
                });
                CHECK_THROWS_AS(park(), cancelled);
                return child.get();
            });
            yield_now();
            return value;
        });
        turns(2);
        parent.cancel();
        CHECK(parent.get() == 3);
    });
}

TEST_CASE_METHOD(fixture, "task group: a body that throws cancelled itself ends the children and throws it") {
    run([] {
        bool cut = false;
        CHECK(thrown_by([&] {
                  with_task_group([&](task_group& group) {
                      group.create_task([&] { cut = thrown_by(park) != "nothing"; });
                      yield_now();
                      throw cancelled("by itself");
                  });
              }) == "by itself");
        CHECK(cut);
        yield_now();
    });
}

TEST_CASE_METHOD(
    fixture,
    "task group: in a timeout is cut off with its children, and the deadline is told at its boundary") {
    run([] {
        int ended = 0;
        const auto child = [&] {
            at_exit leave{[&] { ++ended; }};
            park();
        };
        const auto body = [&](task_group& group) {
            group.create_task(child);
            group.create_task(child);
        };
        CHECK_THROWS_AS(timeout(1s, [&] { with_task_group(body); }), timeout_error);
        CHECK(ended == 2);
        CHECK(current_task().cancelling() == 0);
        yield_now();
    });
}

TEST_CASE_METHOD(fixture,
                 "task group: a timeout inside the body, and one inside a child, are failures of their own") {
    run([] {
        CHECK_THROWS_AS(with_task_group([](task_group&) { timeout(1s, park); }), exception_group);
        bool contains = false;
        try {
            with_task_group([](task_group& group) { group.create_task([] { timeout(1s, park); }); });
        } catch (const exception_group& group) {
            contains = group.contains<timeout_error>();
        }
        CHECK(contains);
        yield_now();
    });
}

TEST_CASE_METHOD(
    fixture, "task group: children that fail while the deadline around it passes: the group is the outcome") {
    run([] {
        const auto body = [](task_group& group) {
            group.create_task([] {
                try {
                    park();
                } catch (const cancelled&) {
                    throw std::runtime_error("while ending");
                }
            });
        };
        CHECK_THROWS_AS(timeout(1s, [&] { with_task_group(body); }), exception_group);
        CHECK(current_task().cancelling() == 0);
        yield_now();
    });
}

TEST_CASE_METHOD(
    fixture,
    "task group: opened in a destructor during unwinding works, and a request from outside stays pending") {
    run([] {
        notes log;
        auto t = create_task([&] {
            try {
                at_exit cleanup{[&] {
                    with_task_group([&](task_group& group) {
                        group.create_task([&] {
                            sleep(1s);
                            log.push_back("child");
                        });
                    });
                }};
                park();
            } catch (const cancelled&) {
            }
            log.push_back(thrown_by(yield_now));
        });
        yield_now();
        t.cancel("first");
        turns(3);
        t.cancel("second");
        t.get();
        CHECK(log == notes{"child", "second"});
    });
}
