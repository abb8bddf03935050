// <weft/cancel_scope.hpp>: cancelling at once, from everywhere; deadlines; shields; nesting; what leaves a scope.

#include <weft/cancel_scope.hpp>

#include <stdexcept>

#include <weft/event.hpp>
#include <weft/gather.hpp>
#include <weft/task_group.hpp>
#include <weft/timeout.hpp>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

namespace {

std::chrono::steady_clock::time_point after(std::chrono::nanoseconds time) {
    return get_running_loop().time() + time;
}

}  // namespace

TEST_CASE_METHOD(fixture, "cancel_scope: a body that finishes says so, and gives its value") {
    run([] {
        CHECK(cancel_scope().run([] { yield_now(); }));
        cancel_scope scope;
        CHECK(scope.run([&](cancel_scope& inside) {
                  CHECK(&inside == &scope);
                  return 7;
              }) == 7);
        CHECK_FALSE(scope.cancel_requested());
        CHECK_FALSE(scope.cancelled_caught());
        std::string text = "kept";
        auto reference = cancel_scope().run([&]() -> std::string& { return text; });
        CHECK(&reference->get() == &text);
        auto moved = cancel_scope().run([] { return std::make_unique<int>(3); });
        CHECK(**moved == 3);
        CHECK_THROWS_AS(cancel_scope().run([] { throw std::runtime_error("its own"); }), std::runtime_error);
    });
}

TEST_CASE_METHOD(fixture, "cancel_scope: a scope cancelled in its body, by a callback, by a task and by a timer cuts the body off") {
    run([] {
        const auto cut = [](auto&& cancel_it) {
            cancel_scope scope;
            const bool finished = scope.run([&] {
                const counted local;
                cancel_it(scope);
                park();
            });
            CHECK(scope.cancelled_caught());
            CHECK(scope.cancel_requested());
            CHECK(current_task().cancelling() == 0);
            yield_now();   // nothing is left pending
            return !finished;
        };
        CHECK(cut([](cancel_scope& s) { CHECK(s.cancel()); }));
        CHECK(cut([](cancel_scope& s) { get_running_loop().call_soon([&] { s.cancel(); }); }));
        CHECK(cut([](cancel_scope& s) { create_task([&] { s.cancel(); }); }));
        CHECK(cut([](cancel_scope& s) { get_running_loop().call_later(1s, [&] { s.cancel(); }); }));
        CHECK(cut([](cancel_scope& s) { s.reschedule(after(1s)); }));
        CHECK_FALSE(cancel_scope().run([](cancel_scope& s) {
            s.cancel();
            yield_now();
            return 1;
        }));
    });
}

TEST_CASE_METHOD(fixture, "cancel_scope: a plain thread and a task of another loop cancel a scope") {
    run([] {
        for (const bool with_loop : {false, true}) {
            cancel_scope scope;
            std::thread other([&] {
                if (with_loop)
                    run([&] { scope.cancel("from another loop"); });
                else
                    scope.cancel("from a thread");
            });
            const std::string message = thrown_by([&] {
                scope.run([] {
                    try {
                        park();
                    } catch (const cancelled& c) {
                        throw std::runtime_error(c.message());
                    }
                });
            });
            CHECK(message == "another");   // the runtime_error passes
            other.join();
            CHECK(scope.reason() == (with_loop ? "from another loop" : "from a thread"));
            yield_now();
        }
    });
}

TEST_CASE_METHOD(fixture, "cancel_scope: a scope cancelled before it runs is cut off by its first blocking call") {
    run([] {
        cancel_scope scope;
        CHECK(scope.cancel("early"));
        notes log;
        CHECK_FALSE(scope.run([&] {
            log.push_back("begun");
            yield_now();
            log.push_back("not reached");
        }));
        CHECK(log == notes{"begun"});
        cancel_scope passed({.deadline = after(-1s)});
        CHECK_FALSE(passed.run(park));
        cancel_scope never_blocks;
        never_blocks.cancel();
        CHECK(never_blocks.run([] { return 5; }) == 5);
        yield_now();
    });
}

TEST_CASE_METHOD(fixture, "cancel_scope: after its body has ended, and outside of a task, it is not run, and cancel says so") {
    cancel_scope scope;
    CHECK_THROWS_AS(scope.run([] {}), no_running_loop);
    run([&] {
        get_running_loop().call_soon([&] { CHECK_THROWS_AS(scope.run([] {}), no_running_task); });
        yield_now();
        CHECK(scope.run([&] { CHECK_THROWS_AS(scope.run([] {}), invalid_state); }));
        CHECK_THROWS_AS(scope.run([] {}), invalid_state);
        CHECK_FALSE(scope.cancel());
        CHECK_FALSE(scope.cancel(1s));
        CHECK_FALSE(scope.reschedule(after(1s)));
        CHECK_FALSE(scope.cancelled_caught());
    });
    CHECK_THROWS_AS(cancel_scope({.grace = -1ns}), std::invalid_argument);
}

TEST_CASE_METHOD(fixture, "cancel_scope: it may be gone before those who would cancel it") {
    run([] {
        std::shared_ptr<cancel_scope> scope = std::make_shared<cancel_scope>();
        event ready, go;
        std::thread other([mine = scope, &ready, &go] {
            ready.set();
            go.wait();
            CHECK_FALSE(mine->cancel());
        });
        CHECK(scope->run([&] { ready.wait(); }));
        scope.reset();
        go.set();
        other.join();
        yield_now();
    });
}

TEST_CASE_METHOD(fixture, "cancel_scope: the deadline cuts off, can be put off, and not any more once it has come") {
    run([] {
        cancel_scope scope({.deadline = after(1s)});
        const auto begin = get_running_loop().time();
        CHECK_FALSE(scope.run([&] {
            CHECK(scope.reschedule(after(10s)));
            sleep(5s);
            CHECK_FALSE(scope.cancel_requested());
            CHECK(scope.reschedule(after(2s)));
            try {
                park();
            } catch (const cancelled&) {
                CHECK_FALSE(scope.reschedule(after(100s)));
                throw;
            }
        }));
        CHECK(get_running_loop().time() - begin == 7s);
        cancel_scope unlimited({.deadline = after(1s)});
        CHECK(unlimited.run([&] {
            CHECK(unlimited.reschedule(cancel_scope::time_point::max()));
            sleep(1h);
        }));
    });
}

TEST_CASE_METHOD(fixture, "cancel_scope: another thread may reschedule the deadline of a running scope") {
    run([] {
        cancel_scope scope;
        const auto now = get_running_loop().time();
        bool rescheduled = false;   // checked here: Catch2 checks on one thread at a time
        std::thread other([&] { rescheduled = scope.reschedule(now); });
        CHECK_FALSE(scope.run([] {
            for (;;)
                sleep(1ms);
        }));
        other.join();
        CHECK(rescheduled);
    });
}

TEST_CASE_METHOD(fixture, "cancel_scope: a request that was caught counts as delivered, and cancel() asks once more") {
    run([] {
        cancel_scope scope;
        int caught = 0;
        CHECK_FALSE(scope.run([&] {
            for (int i = 0; i < 3; ++i) {
                scope.cancel();
                scope.cancel();   // the same request still
                try {
                    yield_now();
                } catch (const cancelled&) {
                    ++caught;
                }
                yield_now();
            }
            scope.cancel();
            yield_now();
        }));
        CHECK(caught == 3);
        CHECK(current_task().cancelling() == 0);
        yield_now();
    });
}

TEST_CASE_METHOD(fixture, "cancel_scope: a body that returns or throws otherwise takes the request with it") {
    run([] {
        cancel_scope one, two;
        CHECK(one.run([&] {
            one.cancel();
            return 1;
        }) == 1);
        yield_now();
        CHECK_THROWS_AS(two.run([&] {
            two.cancel();
            throw std::runtime_error("instead");
        }),
                        std::runtime_error);
        yield_now();
        CHECK(current_task().cancelling() == 0);
        CHECK_FALSE(one.cancelled_caught());
    });
}

TEST_CASE_METHOD(fixture, "cancel_scope: a cancellation from outside passes, whatever the scope does in the same turn") {
    run([] {
        for (const bool scope_first : {true, false}) {
            cancel_scope scope;
            notes log;
            auto t = create_task([&] {
                log.push_back(thrown_by([&] { scope.run(park); }));
                log.push_back(std::to_string(current_task().cancelling()));
            });
            yield_now();
            if (scope_first)
                scope.cancel();
            t.cancel("outside");
            if (!scope_first)
                scope.cancel();
            t.join();
            CHECK(log == notes{"outside", "1"});
            CHECK_FALSE(scope.cancelled_caught());
        }
    });
}

TEST_CASE_METHOD(fixture, "cancel_scope: a `cancelled` of the body's own making passes") {
    run([] {
        CHECK(thrown_by([] { cancel_scope().run([] { throw cancelled("mine"); }); }) == "mine");
        auto work = create_task(park);
        get_running_loop().call_soon([&] { work.cancel("the work"); });
        CHECK(thrown_by([&] { cancel_scope().run([&] { work.get(); }); }) == "the work");
    });
}

TEST_CASE_METHOD(fixture, "cancel_scope: nested, the outer one cuts through the inner one, and the inner one keeps to itself") {
    run([] {
        cancel_scope outer, inner;
        notes log;
        CHECK_FALSE(outer.run([&] {
            cancel_scope first;
            CHECK_FALSE(first.run([&] {
                first.cancel();
                park();
            }));
            yield_now();
            inner.run([&] {
                get_running_loop().call_soon([&] { outer.cancel(); });
                park();
            });
            log.push_back("not reached");
        }));
        CHECK(log.empty());
        CHECK_FALSE(inner.cancelled_caught());
    });
}

TEST_CASE_METHOD(fixture, "cancel_scope: nested and both cancelled at once, the outer one ends both") {
    run([] {
        for (const bool outer_first : {true, false}) {
            cancel_scope outer, inner;
            bool after_inner = false;
            CHECK_FALSE(outer.run([&] {
                inner.run([&] {
                    (outer_first ? outer : inner).cancel();
                    (outer_first ? inner : outer).cancel();
                    park();
                });
                after_inner = true;
                yield_now();
            }));
            CHECK_FALSE(after_inner);
            CHECK(outer.cancelled_caught());
            yield_now();
        }
    });
}

TEST_CASE_METHOD(fixture, "cancel_scope: a shield holds back requests from outside until it is left, and lets its own through") {
    run([] {
        notes log;
        auto t = create_task([&] {
            log.push_back(thrown_by([&] {
                cancel_scope shielded({.shield = true});
                CHECK(shielded.run([&] {
                    sleep(1s);
                    CHECK_FALSE(cancel_requested());
                    log.push_back("went on");
                }));
                cancel_scope another({.deadline = after(1s), .shield = true});
                CHECK_FALSE(another.run(park));
                log.push_back("own deadline");
                yield_now();
            }));
        });
        yield_now();
        t.cancel("outside");
        t.join();
        CHECK(log == notes{"went on", "own deadline", "outside"});
    });
}

TEST_CASE_METHOD(fixture, "cancel_scope: a shield holds back a scope around it, its deadline and its ask") {
    run([] {
        cancel_scope outer({.deadline = after(1s)});
        bool after_shield = false;
        CHECK_FALSE(outer.run([&] {
            CHECK(cancel_scope({.shield = true}).run([&] {
                idle([] { sleep(3s); });
                CHECK_FALSE(cancel_requested());
                CHECK(outer.cancel_requested());
            }));
            after_shield = true;
            CHECK(cancel_requested());
            yield_now();
        }));
        CHECK(after_shield);
    });
}

TEST_CASE_METHOD(fixture, "cancel_scope: in a destructor run by an exception, a scope's own deadline works and others wait") {
    run([] {
        notes log;
        cancel_scope outer;
        CHECK_THROWS_AS(outer.run([&] {
            at_exit leave{[&] {
                outer.cancel();
                sleep(1s);
                CHECK_FALSE(cancel_requested());
                cancel_scope inner({.deadline = after(1s)});
                log.push_back(inner.run([] { sleep(1h); }) ? "finished" : "cut off");
            }};
            throw std::runtime_error("unwinding");
        }),
                        std::runtime_error);
        CHECK(log == notes{"cut off"});
        yield_now();
    });
}

TEST_CASE_METHOD(fixture, "cancel_scope: cancelling it ends the groups and gathers in it, children first") {
    run([] {
        notes log;
        const auto child = [&] {
            at_exit leave{[&] { log.push_back("child"); }};
            park();
        };
        cancel_scope scope;
        CHECK_FALSE(scope.run([&] {
            get_running_loop().call_later(1s, [&] { scope.cancel(); });
            with_task_group([&](task_group& group) {
                group.create_task([&] { gather(child, child); });
                group.create_task(child);
            });
        }));
        CHECK(log == notes{"child", "child", "child"});
        yield_now();
    });
}

TEST_CASE_METHOD(fixture, "cancel_scope: with timeouts in and around it, each one ends what it stands for") {
    run([] {
        CHECK_THROWS_AS(timeout(1s, [] { cancel_scope().run(park); }), timeout_error);
        cancel_scope scope({.deadline = after(1s)});
        CHECK_FALSE(scope.run([] { timeout(2s, park); }));
        cancel_scope slow({.deadline = after(2s)});
        CHECK_THROWS_AS(slow.run([] { timeout(1s, park); }), timeout_error);
        cancel_scope same({.deadline = after(1s)});
        CHECK_FALSE(same.run([] { timeout(1s, park); }));
        CHECK(current_task().cancelling() == 0);
        yield_now();
    });
}

TEST_CASE_METHOD(fixture, "cancel_scope: many threads cancel and reschedule it at any moment of its life") {
    run([] {
        for (int round = 0; round < 50; ++round) {
            cancel_scope scope;
            std::atomic<bool> go{false};
            std::vector<std::thread> threads;
            for (int t = 0; t < 3; ++t)
                threads.emplace_back([&, t] {
                    while (!go)
                        std::this_thread::yield();
                    if (t == 0)
                        scope.reschedule(std::chrono::steady_clock::time_point::max());
                    else
                        scope.cancel("by thread");
                });
            if (round % 2)
                go = true;
            const bool finished = scope.run([&] {
                go = true;
                for (int i = 0; i < round; ++i)
                    yield_now();
            });
            CHECK((finished || scope.cancelled_caught()));
            for (auto& t : threads)
                t.join();
            CHECK(current_task().cancelling() == 0);
            yield_now();
        }
    });
}
