// <weft/task_group.hpp>: how groups end. Cancellation from outside and cancel() are in task_group_cancel_test.cpp.

#include <memory>
#include <stdexcept>

#include <weft/task_group.hpp>
#include <weft/timeout.hpp>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

namespace {

/// What the group that body runs in throws, one text for each failure, in order.
template <class F> notes failures_of(F body) {
    try {
        with_task_group(body);
    } catch (const exception_group& group) {
        notes all;
        for (const auto& e : group.exceptions())
            all.push_back(reports::text(e));
        return all;
    }
    return {"none"};
}

}  // namespace

TEST_CASE_METHOD(fixture, "task group: gives the body's value after every child has ended") {
    run([] {
        notes log;
        const auto start = get_running_loop().time();
        const int value = with_task_group([&](task_group& group) {
            group.create_task([&] {
                sleep(2s);
                log.push_back("slow child");
            });
            group.create_task([&] { log.push_back("quick child"); });
            log.push_back("body");
            return 4;
        });
        log.push_back("after");
        CHECK(value == 4);
        CHECK(log == notes{"body", "quick child", "slow child", "after"});
        CHECK(get_running_loop().time() - start == 2s);
    });
}

TEST_CASE_METHOD(fixture, "task group: the body's value may be nothing, a reference, or move-only") {
    run([] {
        STATIC_REQUIRE(std::is_void_v<decltype(with_task_group([](task_group&) {}))>);
        with_task_group([](task_group&) {});
        int x = 0;
        CHECK(&with_task_group([&](task_group&) -> int& { return x; }) == &x);
        CHECK(*with_task_group([](task_group&) { return std::make_unique<int>(5); }) == 5);
    });
}

TEST_CASE_METHOD(fixture, "task group: runs the body in the caller's own fiber") {
    run([] {
        const task_handle self = current_task();
        with_task_group([&](task_group&) { CHECK(current_task() == self); });
    });
}

TEST_CASE_METHOD(fixture, "task group: children are tasks with results, arguments and options") {
    run([] {
        with_task_group([](task_group& group) {
            auto sum = group.create_task([](int a, std::unique_ptr<int> b) { return a + *b; }, 1,
                                         std::make_unique<int>(2));
            auto named = group.create_task({.name = "child"}, [] { return current_task().name(); });
            bool ran = false;
            auto eager = group.create_task({.eager = true}, [&] { ran = true; });
            CHECK(ran);
            CHECK(eager.done());
            CHECK(sum.get() == 3);
            CHECK(named.get() == "child");
        });
    });
}

TEST_CASE_METHOD(fixture, "task group: what children return can be taken after the group") {
    run([] {
        task<int> a, b;
        with_task_group([&](task_group& group) {
            a = group.create_task([] { return 1; });
            b = group.create_task([] { return 2; });
        });
        CHECK(a.result() + b.result() == 3);
    });
}

TEST_CASE_METHOD(fixture, "task group: children may add children") {
    run([] {
        int ran = 0;
        with_task_group([&](task_group& group) {
            group.create_task([&] {
                sleep(1s);
                for (int i = 0; i < 3; ++i) {
                    group.create_task([&] {
                        sleep(1s);
                        group.create_task([&] { ++ran; });
                    });
                }
            });
        });
        CHECK(ran == 3);
    });
}

TEST_CASE_METHOD(
    fixture, "task group: the first failure cancels the siblings and the body, and is thrown as a group") {
    run([] {
        notes log;
        const auto failures = failures_of([&](task_group& group) {
            group.create_task([&] {
                log.push_back("sibling: " + std::string(thrown_by(park) == "nothing" ? "ran" : "cut off"));
            });
            group.create_task([] {
                sleep(1s);
                throw std::runtime_error("first");
            });
            at_exit leave{[&] { log.push_back("body cut off"); }};
            park();
        });
        CHECK(failures == notes{"first"});
        CHECK(log.size() == 2);
        CHECK(current_task().cancelling() == 0);
        yield_now();
        sleep(1s);
    });
}

TEST_CASE_METHOD(fixture, "task group: siblings of a failed child are cancelled a turn later, so they may fail, too") {
    run([] {
        bool ran = false, started = false;
        CHECK(failures_of([&](task_group& group) {
                  group.create_task([] { throw std::runtime_error("first"); });
                  group.create_task([&] { ran = true; });
                  group.create_task([] { throw std::runtime_error("second"); });
                  group.create_task([&] {
                      group.create_task([&] { started = true; });   // its first turn comes after that
                      park();
                  });
              }) == notes{"first", "second"});
        CHECK(ran);
        CHECK_FALSE(started);
    });
}

TEST_CASE_METHOD(fixture, "task group: may be gone a turn after a failure") {
    run([] {
        for (bool body_goes_on : {false, true})
            CHECK(failures_of([&](task_group& group) {
                      auto child = group.create_task([] { throw std::runtime_error("only"); });
                      if (body_goes_on) child.join();
                  }) == notes{"only"});
        turns(3);
        CHECK(current_task().cancelling() == 0);
    });
}

TEST_CASE_METHOD(fixture, "task group: all failures are thrown, in the order in which they happened") {
    run([] {
        const auto fails_when_cancelled = [](const char* name, std::chrono::seconds after) {
            try {
                park();
            } catch (const cancelled&) {
                sleep(after);
                throw std::runtime_error(name);
            }
        };
        CHECK(failures_of([&](task_group& group) {
                  group.create_task(fails_when_cancelled, "third", 2s);
                  group.create_task(fails_when_cancelled, "second", 1s);
                  group.create_task([] {
                      yield_now();
                      throw std::runtime_error("first");
                  });
              }) == notes{"first", "second", "third"});
    });
}

TEST_CASE_METHOD(fixture, "task group: the body's own failure is one of them, in its place") {
    run([] {
        CHECK(failures_of([](task_group&) { throw std::runtime_error("body"); }) == notes{"body"});
        const auto failing_child = [] {
            try {
                park();
            } catch (const cancelled&) {
                throw std::runtime_error("child");
            }
        };
        CHECK(failures_of([&](task_group& group) {
                  group.create_task(failing_child);
                  yield_now();
                  throw std::runtime_error("body");
              }) == notes{"body", "child"});
        CHECK(failures_of([&](task_group& group) {
                  group.create_task([] { throw std::runtime_error("child"); });
                  try {
                      park();
                  } catch (const cancelled&) {
                      throw std::runtime_error("body");
                  }
              }) == notes{"child", "body"});
    });
}

TEST_CASE_METHOD(fixture, "task group: a failing body cancels the children") {
    run([] {
        bool cut = false;
        CHECK(failures_of([&](task_group& group) {
                  group.create_task([&] { cut = thrown_by(park) != "nothing"; });
                  yield_now();
                  throw std::runtime_error("body");
              }) == notes{"body"});
        CHECK(cut);
    });
}

TEST_CASE_METHOD(fixture,
                 "task group: a child that fails while the group waits at its end cancels the others") {
    run([] {
        const auto start = get_running_loop().time();
        CHECK(failures_of([&](task_group& group) {
                  group.create_task([] { sleep(1h); });
                  group.create_task([] {
                      sleep(1s);
                      throw std::runtime_error("late");
                  });
                  return 1;
              }) == notes{"late"});
        CHECK(get_running_loop().time() - start == 1s);
    });
}

TEST_CASE_METHOD(fixture, "task group: an eager child that fails at once is a failure like any") {
    run([] {
        bool went_on = false;
        CHECK(failures_of([&](task_group& group) {
                  group.create_task({.eager = true}, [] { throw std::runtime_error("at once"); });
                  yield_now();
                  went_on = true;
              }) == notes{"at once"});
        CHECK_FALSE(went_on);
        yield_now();
    });
}

TEST_CASE_METHOD(fixture, "task group: a child that ends cancelled on its own is no failure") {
    run([] {
        notes log;
        with_task_group([&](task_group& group) {
            auto child = group.create_task(park);
            group.create_task([] { throw cancelled("by itself"); });
            group.create_task([&] {
                sleep(1s);
                log.push_back("sibling");
            });
            yield_now();
            child.cancel();
            child.join();
            CHECK(child.cancelled());
        });
        CHECK(log == notes{"sibling"});
    });
}

TEST_CASE_METHOD(fixture, "task group: a body that gets a failed child's exception fails with it, too") {
    run([] {
        const auto failures = failures_of([](task_group& group) {
            auto child = group.create_task([] { throw std::runtime_error("child"); });
            child.join();
            child.get();
        });
        REQUIRE_FALSE(failures.empty());
        CHECK(failures.front() == "child");
        yield_now();
    });
}

TEST_CASE_METHOD(fixture, "task group: exceptions of any type, and nested groups") {
    run([] {
        try {
            with_task_group([](task_group& outer) {
                outer.create_task([] { throw 7; });
                outer.create_task([] {
                    try {
                        park();
                    } catch (const cancelled&) {
                        with_task_group([](task_group& inner) {
                            inner.create_task({.eager = true}, [] { throw std::out_of_range("deep"); });
                        });
                    }
                });
                yield_now();
            });
            FAIL_CHECK("nothing was thrown");
        } catch (const exception_group& group) {
            CHECK(group.exceptions().size() == 2);
            CHECK(group.contains<int>());
            CHECK(group.contains<exception_group>());
            CHECK(group.contains<std::out_of_range>());
        }
        try {
            with_task_group([](task_group&) {
                with_task_group([](task_group& inner) {
                    inner.create_task({.eager = true}, [] { throw std::out_of_range("deep"); });
                    inner.create_task([] {});
                });
            });
        } catch (const exception_group& group) {
            CHECK(group.contains<std::out_of_range>());
            CHECK(group.contains<std::logic_error>());
            CHECK_FALSE(group.contains<std::runtime_error>());
            CHECK(group.contains<exception_group>());
        }
    });
}

TEST_CASE("exception_group: lists its failures in what(), and copies without throwing") {
    const exception_group group({std::make_exception_ptr(std::out_of_range("too far")),
                                 std::make_exception_ptr(7),
                                 std::make_exception_ptr(std::runtime_error("too late"))});
    const std::string what = group.what();
    CHECK(what.find("too far") != std::string::npos);
    CHECK(what.find("too late") != std::string::npos);
    CHECK(what.find("out_of_range") != std::string::npos);
    CHECK(what.find("int") != std::string::npos);
    STATIC_REQUIRE(std::is_nothrow_copy_constructible_v<exception_group>);
    STATIC_REQUIRE(std::is_base_of_v<std::exception, exception_group>);
    const exception_group copy = group;
    CHECK(copy.what() == what);
    CHECK(copy.exceptions() == group.exceptions());
}

TEST_CASE_METHOD(fixture, "task group: adding to a group that is being cancelled throws logic_error") {
    run([] {
        CHECK_THROWS_AS(with_task_group([&](task_group& group) {
                            group.create_task([&] {
                                try {
                                    park();
                                } catch (const cancelled&) {
                                    CHECK_THROWS_AS(group.create_task([c = counted()] {}), std::logic_error);
                                    CHECK(counted::live == 0);
                                }
                            });
                            group.create_task([] { throw std::runtime_error("x"); });
                            CHECK_THROWS_AS(park(), cancelled);
                            CHECK_THROWS_AS(group.create_task([] {}), std::logic_error);
                        }),
                        exception_group);
    });
}

TEST_CASE_METHOD(fixture, "task group: groups within groups end from the inside out") {
    run([] {
        notes log;
        with_task_group([&](task_group& outer) {
            outer.create_task([&] {
                with_task_group([&](task_group& inner) {
                    inner.create_task([&] {
                        sleep(2s);
                        log.push_back("inner child");
                    });
                });
                log.push_back("inner group");
            });
            with_task_group([&](task_group& second) {
                second.create_task([&] {
                    sleep(1s);
                    log.push_back("second's child");
                });
            });
            log.push_back("body");
        });
        log.push_back("outer group");
        CHECK(log == notes{"second's child", "body", "inner child", "inner group", "outer group"});
    });
}

TEST_CASE_METHOD(fixture, "task group: the children are destroyed when it returns") {
    run([] {
        with_task_group([](task_group& group) {
            for (int i = 0; i < 100; ++i)
                group.create_task([c = counted()] { sleep(1s); });
        });
        CHECK(counted::live == 0);
        CHECK(all_tasks().size() == 1);
    });
}
