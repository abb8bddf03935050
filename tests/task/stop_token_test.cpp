// <weft/stop_token.hpp>: current_stop_token and cancel_on.

#include <weft/stop_token.hpp>

#include <weft/cancellation.hpp>
#include <weft/event.hpp>
#include <weft/task_group.hpp>
#include <weft/timeout.hpp>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

TEST_CASE_METHOD(fixture, "current_stop_token: a cancellation stops it at once, on the thread that asks") {
    run([] {
        std::stop_token token;
        std::thread::id stopped_on;
        event ready;
        auto t = create_task([&] {
            token = current_stop_token();
            CHECK(token == current_stop_token());
            std::stop_callback callback(token, [&] { stopped_on = std::this_thread::get_id(); });
            ready.set();
            park();
        });
        ready.wait();
        CHECK_FALSE(token.stop_requested());
        std::thread other([&] {
            t.cancel();
            CHECK(token.stop_requested());
            CHECK(stopped_on == std::this_thread::get_id());
        });
        other.join();
        t.join();
    });
}

TEST_CASE_METHOD(fixture, "current_stop_token: a computing task sees a cancellation by another thread without blocking") {
    run([] {
        auto t = create_task([] {
            const auto token = current_stop_token();
            while (!token.stop_requested())
                std::this_thread::yield();
            return 4;
        });
        std::thread other([&] { t.cancel(); });
        CHECK(t.get() == 4);
        other.join();
    });
}

TEST_CASE_METHOD(fixture, "current_stop_token: it is stopped by the scopes around it, not by those that are opened later") {
    run([] {
        const auto outside = current_stop_token();
        std::stop_token between, inside;
        move_on_after(1s, [&] {
            between = current_stop_token();
            move_on_after(2s, [&] {
                inside = current_stop_token();
                CHECK_FALSE(move_on_after(500ms, park));
                CHECK_FALSE(inside.stop_requested());
                park();
            });
        });
        CHECK_FALSE(outside.stop_requested());
        CHECK(between.stop_requested());
        CHECK(inside.stop_requested());
        std::stop_token of_group;
        CHECK_THROWS_AS(with_task_group([&](task_group& group) {
            of_group = current_stop_token();
            group.create_task([] { throw std::runtime_error("x"); });
            park();
        }),
                        exception_group);
        CHECK(of_group.stop_requested());
        CHECK_FALSE(outside.stop_requested());
        std::stop_token of_scope;
        cancel_scope scope;
        scope.run([&] {
            of_scope = current_stop_token();
            scope.cancel(1s);
            CHECK_FALSE(of_scope.stop_requested());   // only asked
            park();
        });
        CHECK(of_scope.stop_requested());
    });
}

TEST_CASE_METHOD(fixture, "current_stop_token: when the scope is left, it is stopped no more") {
    run([] {
        std::stop_token of_scope, of_task;
        auto t = create_task([&] {
            of_task = current_stop_token();
            timeout(1s, [&] { of_scope = current_stop_token(); });
            park();
        });
        yield_now();
        CHECK_FALSE(of_scope.stop_possible());
        t.cancel();
        t.join();
        CHECK(of_task.stop_requested());
        CHECK_FALSE(of_scope.stop_requested());
        auto returns = create_task([&] { of_task = current_stop_token(); });
        returns.join();
        returns = {};
        CHECK_FALSE(of_task.stop_possible());
    });
}

TEST_CASE_METHOD(fixture, "current_stop_token: a request that is pending has stopped it; one that was delivered has not") {
    run([] {
        auto t = create_task({.eager = true}, [] {
            const auto before = current_stop_token();
            current_task().cancel();
            CHECK(before.stop_requested());
            CHECK(current_stop_token().stop_requested());
            CHECK_THROWS_AS(yield_now(), cancelled);
            const auto after = current_stop_token();
            CHECK_FALSE(after.stop_requested());
            CHECK(after.stop_possible());
            current_task().cancel();
            CHECK(after.stop_requested());
        });
        t.join();
    });
}

TEST_CASE_METHOD(fixture, "current_stop_token: in uncancellable it is not stopped by what that holds back") {
    run([] {
        std::stop_token held, outer;
        auto t = create_task([&] {
            outer = current_stop_token();
            uncancellable([&] {
                held = current_stop_token();
                sleep(2s);
                CHECK_FALSE(held.stop_requested());
                CHECK(outer.stop_requested());
                CHECK_FALSE(move_on_after(1s, [&] {
                    held = current_stop_token();
                    park();
                }));
                CHECK(held.stop_requested());
            });
        });
        sleep(1s);
        t.cancel();
        t.join();
    });
}

TEST_CASE_METHOD(fixture, "current_stop_token: the callback of a sibling's failure may use the tasks of the group") {
    run([] {
        std::string seen;
        CHECK_THROWS_AS(with_task_group([&](task_group& group) {
            auto bad = group.create_task({.name = "bad"}, [] {
                yield_now();
                throw std::runtime_error("x");
            });
            group.create_task([&seen, bad] {
                const std::stop_callback callback(current_stop_token(), [&] { seen = bad.name() + (bad.done() ? " is done" : ""); });
                park();
            });
        }),
                        exception_group);
        CHECK(seen == "bad is done");
    });
}

TEST_CASE_METHOD(fixture, "current_stop_token: outside of a task it is never stopped") {
    CHECK_FALSE(current_stop_token().stop_possible());
    run([] {
        get_running_loop().call_soon([] { CHECK_FALSE(current_stop_token().stop_possible()); });
        yield_now();
    });
}

TEST_CASE_METHOD(fixture, "cancel_on: a stop cancels the task, with a message, at once or from another thread") {
    run([] {
        std::stop_source source;
        notes log;
        auto t = create_task([&] {
            const cancel_on guard(source.get_token(), "stopped");
            log.push_back(thrown_by(park));
            const cancel_on again(source.get_token());
            log.push_back(thrown_by(yield_now));
        });
        yield_now();
        std::thread([&] { source.request_stop(); }).join();
        t.join();
        CHECK(log == notes{"stopped", "stop requested"});
        CHECK(t.cancelling() == 2);
    });
}

TEST_CASE_METHOD(fixture, "cancel_on: when it is gone, a stop does nothing") {
    run([] {
        std::stop_source source;
        {
            const cancel_on guard(source.get_token());
        }
        source.request_stop();
        yield_now();
        CHECK(current_task().cancelling() == 0);
    });
}

TEST_CASE_METHOD(fixture, "cancel_on: a stop cancels a scope, and ends with it") {
    run([] {
        std::stop_source source;
        cancel_scope scope;
        CHECK_FALSE(scope.run([&] {
            const cancel_on guard(scope, source.get_token(), "shut down");
            get_running_loop().call_later(1s, [&] { source.request_stop(); });
            park();
        }));
        CHECK(scope.reason() == "shut down");
        CHECK(current_task().cancelling() == 0);
        yield_now();
        cancel_scope stopped;
        const cancel_on guard(stopped, source.get_token());
        CHECK_FALSE(stopped.run(park));
    });
}

TEST_CASE_METHOD(fixture, "cancel_on: needs a task, or a scope") {
    std::stop_source source;
    CHECK_THROWS_AS((void)cancel_on(source.get_token()), no_running_task);
    cancel_scope scope;
    {
        const cancel_on guard(scope, source.get_token());
        source.request_stop();
    }
    CHECK(scope.cancel_requested());
}

TEST_CASE_METHOD(fixture, "cancel_on: stops and ends race without harm") {
    run([] {
        for (int round = 0; round < 200; ++round) {
            std::stop_source source;
            std::atomic<bool> go{false};
            std::thread other([&] {
                while (!go)
                    std::this_thread::yield();
                source.request_stop();
            });
            auto t = create_task([&] {
                go = true;
                {
                    const cancel_on guard(source.get_token());
                    for (int i = 0; i < round % 7; ++i)
                        std::this_thread::yield();
                }
                try {
                    yield_now();
                } catch (const cancelled&) {
                }
            });
            t.join();
            other.join();
            CHECK(t.cancelling() <= 1);
        }
    });
}
