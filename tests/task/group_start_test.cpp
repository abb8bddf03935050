// <weft/task_group.hpp>: task_group::start, and the child that says when it is ready (trio's nursery.start).

#include <memory>
#include <stdexcept>

#include <weft/cancellation.hpp>
#include <weft/event.hpp>
#include <weft/task_group.hpp>
#include <weft/timeout.hpp>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

TEST_CASE_METHOD(fixture, "start: waits until the child is ready, gives its value, and the child runs on") {
    run([] {
        notes log;
        with_task_group([&](task_group& group) {
            const auto port = group.start<int>(
                [&](task_status<int> ready, const std::string& name) {
                    sleep(1s);
                    log.push_back(name + " is ready");
                    ready.started(8080);
                    sleep(1s);
                    log.push_back(name + " has ended");
                },
                "server");
            CHECK(port == 8080);
            log.push_back("started");
            group.start([&](task_status<> ready) { ready.started(); });
            auto pointer = group.start<std::unique_ptr<int>>({.name = "named"}, [](const auto& ready) {
                CHECK(current_task().name() == "named");
                ready.started(std::make_unique<int>(3));
            });
            CHECK(*pointer == 3);
        });
        CHECK(log == notes{"server is ready", "started", "server has ended"});
    });
}

TEST_CASE_METHOD(fixture, "start: an eager child may be ready, or end, before it first blocks") {
    run([] {
        with_task_group([&](task_group& group) {
            CHECK(group.start<int>({.eager = true}, [](task_status<int> ready) {
                ready.started(1);
                yield_now();
            }) == 1);
            CHECK(group.start<int>({.eager = true}, [](task_status<int> ready) { ready.started(2); }) == 2);
            CHECK_THROWS_AS(group.start({.eager = true}, [](task_status<>) {}), std::logic_error);
            CHECK_THROWS_AS(group.start({.eager = true}, [](task_status<>) { throw std::out_of_range("x"); }), std::out_of_range);
        });
    });
}

TEST_CASE_METHOD(fixture, "start: a child that fails before it is ready fails the caller, not the group") {
    run([] {
        notes log;
        with_task_group([&](task_group& group) {
            group.create_task([&] {
                sleep(5s);
                log.push_back("sibling went on");
            });
            CHECK_THROWS_AS(group.start([](task_status<>) {
                sleep(1s);
                throw std::out_of_range("no port");
            }),
                            std::out_of_range);
        });
        CHECK(log == notes{"sibling went on"});
        CHECK_THROWS_AS(with_task_group([&](task_group& group) {
            group.start([](task_status<>) { throw std::out_of_range("not caught by the body"); });
        }),
                        exception_group);
    });
}

TEST_CASE_METHOD(fixture, "start: a child that fails once it is ready is a failure of the group") {
    run([] {
        CHECK_THROWS_AS(with_task_group([&](task_group& group) {
            group.start([](task_status<> ready) {
                ready.started();
                throw std::out_of_range("late");
            });
            park();
        }),
                        exception_group);
        CHECK(current_task().cancelling() == 0);
    });
}

TEST_CASE_METHOD(fixture, "start: a child that returns without having been ready is a logic error") {
    run([] {
        with_task_group([&](task_group& group) {
            CHECK_THROWS_AS(group.start([](task_status<>) { sleep(1s); }), std::logic_error);
        });
    });
}

TEST_CASE_METHOD(fixture, "start: a child that is cancelled before it is ready makes start throw cancelled, and no more") {
    run([] {
        with_task_group([&](task_group& group) {
            task_handle child;
            get_running_loop().call_later(1s, [&] { child.cancel("the child alone"); });
            CHECK(thrown_by([&] {
                      group.start([&](task_status<>) {
                          child = current_task();
                          park();
                      });
                  }) == "the child alone");
            yield_now();
            CHECK(current_task().cancelling() == 0);
        });
    });
}

TEST_CASE_METHOD(fixture, "start: cancelled while it waits, it cancels the child, waits for its end and throws") {
    run([] {
        notes log;
        with_task_group([&](task_group& group) {
            CHECK_THROWS_AS(timeout(1s, [&] {
                group.start([&](task_status<> ready) {
                    const counted local;
                    try {
                        park();
                    } catch (const cancelled&) {
                        uncancellable([] { sleep(1s); });
                        ready.started();   // too late: nobody wants to know
                        log.push_back("child");
                        throw;
                    }
                });
            }),
                            timeout_error);
            log.push_back("body");
            yield_now();
        });
        CHECK(log == notes{"child", "body"});
    });
}

TEST_CASE_METHOD(fixture, "start: cancelled while it waits, the child's failure is not lost: it is the group's") {
    run([] {
        std::string what = thrown_by<exception_group>([] {
            with_task_group([&](task_group& group) {
                move_on_after(1s, [&] {
                    group.start([](task_status<>) {
                        at_exit fail{[] {}};
                        try {
                            park();
                        } catch (const cancelled&) {
                        }
                        throw std::runtime_error("while cleaning up");
                    });
                });
                park();
            });
        });
        CHECK(what.find("while cleaning up") != std::string::npos);
    });
}

TEST_CASE_METHOD(fixture, "start: cancelled in the turn in which the child is ready, it throws, and the child stays") {
    run([] {
        for (const bool ready_first : {true, false}) {
            bool child_ran_on = false;
            with_task_group([&](task_group& group) {
                event go;
                auto starter = create_task([&] {
                    group.start([&](task_status<> ready) {
                        try {
                            go.wait();
                        } catch (const cancelled&) {
                            return;
                        }
                        ready.started();
                        sleep(1s);
                        child_ran_on = true;
                    });
                });
                turns(3);
                if (ready_first) {
                    go.set();
                    yield_now();   // the child is ready; the starter has not run
                }
                starter.cancel("now");
                starter.join();
                CHECK(starter.cancelled());
            });
            CHECK(child_ran_on == ready_first);
        }
    });
}

TEST_CASE_METHOD(fixture, "start: the group's end ends a child that is not ready, and whoever waits for it") {
    run([] {
        notes log;
        auto outsider = create_task([] {});
        with_task_group([&](task_group& group) {
            outsider = create_task([&] {
                log.push_back(thrown_by([&] { group.start([](task_status<>) { park(); }); }).substr(0, 20));
            });
            sleep(1s);
            group.cancel();
        });
        outsider.join();
        CHECK(log == notes{"task group cancelled"});
        // The group waits for a child that is not ready as for any other.
        with_task_group([&](task_group& group) {
            outsider = create_task([&] {
                CHECK(group.start<int>([](task_status<int> ready) {
                    sleep(2s);
                    ready.started(2);
                    sleep(2s);
                }) == 2);
                log.push_back("ready");
            });
            yield_now();
        });
        CHECK(log.back() == "ready");
    });
}

TEST_CASE_METHOD(fixture, "start: started() is called once, by a child that has not ended") {
    run([] {
        with_task_group([&](task_group& group) {
            std::optional<task_status<int>> kept;
            CHECK(group.start<int>([&](task_status<int> ready) {
                kept = ready;
                ready.started(1);
                CHECK_THROWS_AS(ready.started(2), invalid_state);
            }) == 1);
            yield_now();
            CHECK_THROWS_AS(kept->started(3), invalid_state);
            CHECK_THROWS_AS(group.start<int>([&](task_status<int> ready) { kept = ready; }), std::logic_error);
            CHECK_THROWS_AS(kept->started(4), invalid_state);
        });
    });
}

TEST_CASE_METHOD(fixture, "start: refuses where it cannot wait, and where the group takes no children") {
    run([] {
        with_task_group([&](task_group& group) {
            get_running_loop().call_soon([&] {
                CHECK_THROWS_AS(group.start([](task_status<> ready) { ready.started(); }), no_running_task);
            });
            yield_now();
            group.cancel();
            CHECK_THROWS_AS(group.start([](task_status<> ready) { ready.started(); }), std::logic_error);
        });
    });
}

TEST_CASE_METHOD(fixture, "start: children of the group start others, and wait for each other to be ready") {
    run([] {
        notes log;
        with_task_group([&](task_group& group) {
            group.start([&](task_status<> outer) {
                group.start([&](task_status<> inner) {
                    log.push_back("inner");
                    inner.started();
                });
                log.push_back("outer");
                outer.started();
            });
            log.push_back("body");
        });
        CHECK(log == notes{"inner", "outer", "body"});
    });
}
