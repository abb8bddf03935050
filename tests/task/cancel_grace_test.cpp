// <weft/cancel_scope.hpp>, <weft/cancellation.hpp>: the first phase of a cancellation. Who is asked, which waits end, what goes
// on, and what comes of it.

#include <weft/cancel_scope.hpp>

#include <weft/event.hpp>
#include <weft/gather.hpp>
#include <weft/mutex.hpp>
#include <weft/queue.hpp>
#include <weft/task_group.hpp>
#include <weft/timeout.hpp>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

namespace {

std::chrono::steady_clock::time_point now() {
    return get_running_loop().time();
}

/// Runs f in a scope that is asked after a second and cancelled nine seconds later; after how many seconds it had ended.
template <class F> long ended_after(F&& f) {
    const auto begin = now();
    cancel_scope scope;
    get_running_loop().call_later(1s, [&] { scope.cancel(9s, "shutting down"); });
    scope.run(f);
    yield_now();   // nothing is left pending
    return std::chrono::duration_cast<std::chrono::seconds>(now() - begin).count();
}

}  // namespace

TEST_CASE_METHOD(fixture, "cancel(grace): idle waits end at once, all others at the end of the grace period") {
    run([] {
        queue<int> items;
        event never;
        CHECK(ended_after([&] { items.get(); }) == 1);
        CHECK(ended_after([&] { if (items.try_get_for(1h)) FAIL_CHECK("an item"); }) == 1);
        CHECK(ended_after([&] { for ([[maybe_unused]] int i : items) {} }) == 1);
        CHECK(ended_after([&] { idle([&] { never.wait(); }); }) == 1);
        CHECK(ended_after([&] { idle(park); }) == 1);
        CHECK(ended_after([&] { never.wait(); }) == 10);
        CHECK(ended_after(park) == 10);
        CHECK(ended_after([&] { create_task([&] { sleep(20s); }).join(); }) == 10);
    });
}

TEST_CASE_METHOD(fixture, "cancel(grace): work that is done within the grace period is not cut off") {
    run([] {
        cancel_scope scope;
        bool asked_before = true, asked_after = false;
        CHECK(scope.run([&] {
            asked_before = cancel_requested();
            scope.cancel(10s);
            sleep(5s);
            asked_after = cancel_requested();
            return 3;
        }) == 3);
        CHECK_FALSE(asked_before);
        CHECK(asked_after);
        CHECK_FALSE(cancel_requested());
        CHECK(scope.cancel_requested());
        CHECK_FALSE(scope.cancelled_caught());
    });
}

TEST_CASE_METHOD(fixture, "cancel(grace): a consumer that is asked drains its queue and then ends") {
    run([] {
        queue<int> items;
        for (int i = 0; i < 5; ++i)
            items.put(i);
        int taken = 0;
        cancel_scope scope;
        scope.cancel(1h);
        CHECK_FALSE(scope.run([&] {
            for (;;) {
                items.get();
                ++taken;
                sleep(1s);
            }
        }));
        CHECK(taken == 5);
    });
}

TEST_CASE_METHOD(fixture, "cancel(grace): every idle wait ends, each time, until the scope is left") {
    run([] {
        queue<int> items;
        cancel_scope scope;
        int ended = 0;
        CHECK(scope.run([&] {
            scope.cancel(1h, "please");
            for (int i = 0; i < 3; ++i) {
                try {
                    items.get();
                } catch (const cancelled& c) {
                    CHECK(c.idle());
                    ++ended;
                }
                sleep(1s);
            }
        }));
        CHECK(ended == 3);
        items.put(1);
        CHECK(idle([&] { return items.get(); }) == 1);
        CHECK(current_task().cancelling() == 0);
    });
}

TEST_CASE_METHOD(fixture, "cancel(grace): an item handed over in the same turn as the ask is not lost") {
    run([] {
        for (const bool put_first : {true, false}) {
            queue<int> items;
            cancel_scope scope;
            std::optional<int> got;
            get_running_loop().call_soon([&] {
                if (put_first)
                    items.put_nowait(7);
                scope.cancel(1h);
                if (!put_first)
                    items.put_nowait(7);
            });
            scope.run([&] { got = items.get(); });
            CHECK(items.size() + (got ? 1U : 0U) == 1);
        }
    });
}

TEST_CASE_METHOD(fixture, "cancel(grace): a shorter grace period counts, a longer one does not, and cancel() ends it") {
    run([] {
        const auto begin = now();
        cancel_scope one, two;
        CHECK_FALSE(one.run([&] {
            one.cancel(10s);
            one.cancel(5s);
            one.cancel(20s);
            park();
        }));
        CHECK(now() - begin == 5s);
        CHECK_FALSE(two.run([&] {
            two.cancel(10s);
            get_running_loop().call_later(1s, [&] { two.cancel(); });
            park();
        }));
        CHECK(now() - begin == 6s);
        cancel_scope three;
        CHECK_FALSE(three.run([&] {
            three.cancel(-1s);
            yield_now();
        }));
    });
}

TEST_CASE_METHOD(fixture, "cancel(grace): a deadline may have a grace period, too") {
    run([] {
        const auto begin = now();
        cancel_scope scope({.deadline = begin + 1s, .grace = 2s});
        CHECK_FALSE(scope.run([&] {
            CHECK(thrown_by([] { idle(park); }).starts_with("deadline of a scope, cancel_grace_test.cpp:"));
            CHECK(now() - begin == 1s);
            CHECK_FALSE(scope.reschedule(begin + 1h));
            park();
        }));
        CHECK(now() - begin == 3s);
        cancel_scope endless({.deadline = now(), .grace = std::chrono::nanoseconds::max()});
        CHECK_FALSE(endless.run([] { idle(park); }));
    });
}

TEST_CASE_METHOD(fixture, "cancel(grace): a group that leaves its body by an idle wait lets its children end in their time") {
    run([] {
        queue<int> connections;
        notes log;
        cancel_scope scope;
        const auto begin = now();
        const auto handler = [&](int seconds) {
            sleep(std::chrono::seconds(seconds));
            log.push_back("done after " + std::to_string(seconds) + (cancel_requested() ? ", asked" : ""));
        };
        for (int seconds : {1, 3, 5, 30})
            connections.put(seconds);
        get_running_loop().call_later(2s, [&] { scope.cancel(10s, "restarting"); });
        CHECK_FALSE(scope.run([&] {
            with_task_group([&](task_group& group) {
                for (;;)
                    group.create_task([&, seconds = connections.get()] {
                        try {
                            handler(seconds);
                        } catch (const cancelled& c) {
                            log.push_back(c.message().substr(0, 8) + c.message().substr(c.message().size() - 10));
                            throw;
                        }
                    });
            });
        }));
        CHECK(now() - begin == 12s);
        CHECK(log == notes{"done after 1", "done after 3, asked", "done after 5, asked", "a scope,restarting"});
    });
}

TEST_CASE_METHOD(fixture, "cancel(grace): children are asked however deep, also those born later, and not those of plain tasks") {
    run([] {
        notes log;
        event never;
        const auto worker = [&](const std::string& name) {
            return [&, name] { log.push_back(name + ": " + (thrown_by([&] { idle([&] { never.wait(); }); }) == "nothing" ? "" : "ended")); };
        };
        auto plain = create_task([] {});
        cancel_scope scope;
        const auto begin = now();
        CHECK(scope.run([&] {
            plain = create_task(worker("plain"));
            with_task_group([&](task_group& group) {
                group.create_task(worker("child"));
                group.create_task([&] { gather(worker("gathered"), worker("gathered")); });
                group.create_task([&] {
                    with_task_group([&](task_group& inner) {
                        inner.create_task(worker("grandchild"));
                        sleep(2s);
                        inner.create_task(worker("late grandchild"));
                    });
                });
                group.create_task([&] { uncancellable([] { idle([] { sleep(3s); }); }); });
                sleep(1s);
                scope.cancel(1h);
                yield_now();
                group.create_task(worker("late"));
                gather(worker("late gathered"), worker("late gathered"));
            });
        }));
        CHECK(now() - begin == 3s);
        std::sort(log.begin(), log.end());
        CHECK(log == notes{"child: ended", "gathered: ended", "gathered: ended", "grandchild: ended", "late gathered: ended",
                           "late gathered: ended", "late grandchild: ended", "late: ended"});
        plain.cancel();
        plain.join();
    });
}

TEST_CASE_METHOD(fixture, "cancel(grace): a group around the scope, and children of an inner scope's group, are told apart") {
    run([] {
        notes log;
        const auto worker = [&](const std::string& name) {
            return [&, name] { log.push_back(name + ": " + (move_on_after(10s, [&] { idle(park); }) ? "" : "not asked")); };
        };
        with_task_group([&](task_group& around) {
            around.create_task(worker("sibling"));
            cancel_scope scope;
            scope.run([&] {
                scope.cancel(1h);
                around.create_task(worker("added from inside"));
                yield_now();
            });
        });
        CHECK(log == notes{"sibling: not asked", "added from inside: not asked"});
    });
}

TEST_CASE_METHOD(fixture, "cancel(grace): a gather whose child leaves an idle wait gives the others their time, then ends") {
    run([] {
        notes log;
        cancel_scope scope;
        queue<int> items;
        CHECK_FALSE(scope.run([&] {
            get_running_loop().call_later(1s, [&] { scope.cancel(1h); });
            gather([&] { return items.get(); },
                   [&] {
                       sleep(5s);
                       log.push_back("done");
                       return 1;
                   });
            log.push_back("not reached");
        }));
        CHECK(log == notes{"done"});
        cancel_scope with_outcomes;
        CHECK(with_outcomes.run([&] {
            with_outcomes.cancel(1h);
            const auto [item, other] = gather(return_exceptions, [&] { return items.get(); }, [] { return 2; });
            CHECK_FALSE(item.has_value());
            CHECK(*other == 2);
        }));
    });
}

TEST_CASE_METHOD(fixture, "cancel(grace): a child that fails in the grace period is a failure of the group, as ever") {
    run([] {
        cancel_scope scope;
        queue<int> items;
        CHECK_THROWS_AS(scope.run([&] {
            get_running_loop().call_later(1s, [&] { scope.cancel(1h); });
            with_task_group([&](task_group& group) {
                group.create_task([] {
                    sleep(5s);
                    throw std::runtime_error("late");
                });
                items.get();
            });
        }),
                        exception_group);
        CHECK_FALSE(scope.cancelled_caught());
        yield_now();
    });
}

TEST_CASE_METHOD(fixture, "cancel(grace): nested, who is asked takes its own; the scope around it goes on until its next idle wait") {
    run([] {
        notes log;
        cancel_scope outer, inner;
        CHECK_FALSE(outer.run([&] {
            CHECK_FALSE(inner.run([&] {
                inner.cancel(1h);
                outer.cancel(1h);
                idle(park);
            }));
            log.push_back("between");
            sleep(1s);
            idle(park);
            log.push_back("not reached");
        }));
        CHECK(log == notes{"between"});
        cancel_scope around, inside;
        CHECK_FALSE(around.run([&] {
            around.cancel(1h);
            inside.run([] { idle(park); });
            log.push_back("not reached");
        }));
        CHECK_FALSE(inside.cancelled_caught());
        CHECK(log == notes{"between"});
    });
}

TEST_CASE_METHOD(fixture, "cancel(grace): scopes may be asked in any order, and left in the order of nesting") {
    run([] {
        cancel_scope a({.name = "a"}), b({.name = "b"}), c({.name = "c"});
        const auto asker = [] { return thrown_by([] { idle(park); }).substr(0, 7); };
        a.run([&] {
            b.run([&] {
                c.run([&] {
                    b.cancel(1h);
                    CHECK(asker() == "scope b");
                    c.cancel(1h);
                    a.cancel(1h);
                    CHECK(asker() != "nothing");
                });
                CHECK(asker() != "nothing");
            });
            CHECK(asker() == "scope a");
        });
        CHECK(move_on_after(1s, [] { idle([] { sleep(1ms); }); }));
    });
}

TEST_CASE_METHOD(fixture, "cancel(grace): uncancellable and unwinding keep idle waits going") {
    run([] {
        cancel_scope scope;
        const auto begin = now();
        CHECK_FALSE(scope.run([&] {
            scope.cancel(1h);
            uncancellable([] {
                CHECK_FALSE(cancel_requested());
                idle([] { sleep(1s); });
            });
            at_exit leave{[] {
                CHECK_FALSE(cancel_requested());
                idle([] { sleep(1s); });
            }};
            idle(park);
        }));
        CHECK(now() - begin == 2s);
    });
}

TEST_CASE_METHOD(fixture, "idle: what catches a cancellation in it and goes on waiting waits as ever") {
    run([] {
        // Each of these waits on until what it waits for has ended, though it was asked.
        const auto child = [] { uncancellable([] { sleep(2s); }); };
        const auto asked = [](auto&& f) {
            const auto begin = now();
            cancel_scope scope;
            get_running_loop().call_later(1s, [&] { scope.cancel(1h); });
            scope.run([&] { idle(f); });
            return now() - begin;
        };
        CHECK(asked([&] { create_task(child).get(); }) == 2s);
        CHECK(asked([&] { gather(child, child); }) == 2s);
        CHECK(asked([&] { with_task_group([&](task_group& group) { group.create_task(child); }); }) == 2s);
        CHECK(asked([&] {
                  try {
                      park();
                  } catch (const cancelled&) {
                      sleep(4s);
                  }
              }) == 5s);
    });
}

TEST_CASE_METHOD(fixture, "idle: a task's own cancellation is delivered there as anywhere, with its message") {
    run([] {
        std::string message;
        bool was_idle = true;
        auto t = create_task([&] {
            try {
                idle(park);
            } catch (const cancelled& c) {
                message = c.message();
                was_idle = c.idle();
            }
        });
        yield_now();
        t.cancel("outside");
        t.join();
        CHECK(message == "outside");
        CHECK_FALSE(was_idle);
        CHECK(idle([] { return 4; }) == 4);
    });
    CHECK(idle([] { return 5; }) == 5);
    CHECK_FALSE(cancel_requested());
}

TEST_CASE_METHOD(fixture, "cancel_requested: a request from outside shows until it is delivered") {
    run([] {
        notes log;
        auto t = create_task([&] {
            yield_now();
            log.push_back(cancel_requested() ? "asked" : "not asked");
            uncancellable([&] { log.push_back(cancel_requested() ? "asked" : "not asked"); });
            CHECK(thrown_by(yield_now) == "x");
            log.push_back(cancel_requested() ? "asked" : "not asked");
        });
        yield_now();
        get_running_loop().call_soon([&] { CHECK_FALSE(cancel_requested()); });
        // Between the wake and the turn of the task: the request waits for the next blocking call.
        auto early = create_task({.eager = true}, [&] {
            current_task().cancel("self");
            log.push_back(cancel_requested() ? "asked" : "not asked");
        });
        t.cancel("x");
        t.join();
        CHECK(log.front() == "asked");
    });
}

TEST_CASE_METHOD(fixture, "cancel(grace): an idle wait that is timed ends by its deadline as ever") {
    run([] {
        queue<int> items;
        cancel_scope scope;
        CHECK(scope.run([&] {
            CHECK_FALSE(items.try_get_for(1s));
            CHECK_THROWS_AS(timeout(1s, [&] { items.get(); }), timeout_error);
        }));
    });
}
