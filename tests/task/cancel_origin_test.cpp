// cancelled::message(): where a cancellation comes from, where nobody has given it a message.

#include <stdexcept>

#include <weft/cancel_scope.hpp>
#include <weft/gather.hpp>
#include <weft/task_group.hpp>
#include <weft/timeout.hpp>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

namespace {

/// What the body's wait throws is noted, and goes on.
struct listener {
    std::string heard = "nothing";
    void operator()() {
        try {
            park();
        } catch (const cancelled& c) {
            heard = c.message();
            throw;
        }
    }
};

std::string here(int line) {
    return "cancel_origin_test.cpp:" + std::to_string(line);
}

}  // namespace

TEST_CASE_METHOD(fixture, "origin: a timeout's cancellation names the call and its place") {
    run([] {
        listener in;
        CHECK_THROWS_AS(timeout(1s, std::ref(in)), timeout_error);
        CHECK(in.heard == "deadline of timeout, " + here(__LINE__ - 1));
        CHECK_THROWS_AS(timeout_at(get_running_loop().time(), std::ref(in)), timeout_error);
        CHECK(in.heard == "deadline of timeout_at, " + here(__LINE__ - 1));
        CHECK_THROWS_AS(wait_for(std::ref(in), 1s), timeout_error);
        CHECK(in.heard == "deadline of wait_for, " + here(__LINE__ - 1));
        CHECK_FALSE(move_on_after(1s, std::ref(in)));
        CHECK(in.heard == "deadline of move_on_after, " + here(__LINE__ - 1));
        CHECK_THROWS_AS(wait_for(create_task(std::ref(in)), 1s), timeout_error);
        CHECK(in.heard == "deadline of wait_for, " + here(__LINE__ - 1));
    });
}

TEST_CASE_METHOD(fixture, "origin: a scope's cancellation names the scope, its place, who cancelled it and why") {
    run([] {
        listener in;
        const int line = __LINE__ + 1;
        cancel_scope named({.name = "fetching", .deadline = get_running_loop().time() + 1s}), unnamed;
        CHECK_FALSE(named.run(std::ref(in)));
        CHECK(in.heard == "deadline of scope fetching, " + here(line));
        unnamed.cancel("too slow");
        CHECK_FALSE(unnamed.run(std::ref(in)));
        CHECK(in.heard == "a scope, " + here(line) + ", cancelled at " + here(__LINE__ - 2) + ": too slow");
        cancel_scope silent({.name = "s"});
        silent.cancel();
        CHECK_FALSE(silent.run(std::ref(in)));
        CHECK(in.heard == "scope s, " + here(__LINE__ - 3) + ", cancelled at " + here(__LINE__ - 2));
    });
}

TEST_CASE_METHOD(fixture, "origin: the last cancel() that changes something gives the reason") {
    run([] {
        listener in;
        cancel_scope scope({.name = "s"});
        CHECK_FALSE(scope.run([&] {
            scope.cancel(10s, "first");
            scope.cancel(20s, "later, and so without effect");
            CHECK(scope.reason() == "first");
            scope.cancel(5s, "sooner");
            CHECK(scope.reason() == "sooner");
            in();
        }));
        CHECK(in.heard.ends_with(": sooner"));
    });
}

TEST_CASE_METHOD(fixture, "origin: children of a group hear which sibling failed and how, or who cancelled the group") {
    run([] {
        listener in, body;
        CHECK_THROWS_AS(with_task_group([&](task_group& group) {
            group.create_task(std::ref(in));
            group.create_task({.name = "bad"}, [] { throw std::runtime_error("boom"); });
            body();
        }),
                        exception_group);
        CHECK(in.heard == "task 'bad' of the group failed: std::runtime_error: boom");
        CHECK(body.heard == in.heard);
        with_task_group([&](task_group& group) {
            group.create_task(std::ref(in));
            yield_now();
            group.cancel();
        });
        CHECK(in.heard == "task group cancelled at " + here(__LINE__ - 2));
        CHECK_THROWS_AS(with_task_group([&](task_group& group) {
            group.create_task(std::ref(in));
            yield_now();
            throw std::runtime_error("boom");
        }),
                        exception_group);
        CHECK(in.heard == "the body of the task group failed: std::runtime_error: boom");
    });
}

TEST_CASE_METHOD(fixture, "origin: what cancels the parent of a group or gather is what its children hear") {
    run([] {
        listener in, gathered;
        auto t = create_task([&] {
            with_task_group([&](task_group& group) {
                group.create_task(std::ref(in));
                group.create_task([&] { gather(std::ref(gathered), [] { park(); }); });
            });
        });
        turns(3);
        t.cancel("from above");
        t.join();
        CHECK(in.heard == "from above");
        CHECK(gathered.heard == "from above");
        CHECK_THROWS_AS(timeout(1s, [&] { gather(std::ref(gathered)); }), timeout_error);
        CHECK(gathered.heard == "deadline of timeout, " + here(__LINE__ - 1));
        CHECK_THROWS_AS(gather(std::ref(gathered), [] { throw std::runtime_error("boom"); }), std::runtime_error);
        CHECK(gathered.heard == "gather: another one ended with std::runtime_error: boom");
    });
}

TEST_CASE_METHOD(fixture, "origin: a request from outside keeps its own message beside a scope's, in either order") {
    run([] {
        for (const bool outside_first : {true, false}) {
            listener in;
            cancel_scope scope;
            auto t = create_task([&] { scope.run(std::ref(in)); });
            yield_now();
            if (outside_first)
                t.cancel("outside");
            scope.cancel("inside");
            if (!outside_first)
                t.cancel("outside");
            t.join();
            CHECK(in.heard == "outside");
        }
    });
}

TEST_CASE_METHOD(fixture, "origin: a request that was taken back leaves no message behind") {
    run([] {
        notes log;
        auto t = create_task([&] {
            log.push_back(thrown_by([] { uncancellable([] { sleep(2s); }), yield_now(); }));
            current_task().uncancel();
            log.push_back(thrown_by([] { timeout(1s, [] { throw cancelled("mine"); }); }));
            log.push_back(thrown_by(park));
        });
        sleep(1s);
        t.cancel("taken back");
        t.uncancel();
        sleep(5s);
        t.cancel();
        t.join();
        CHECK(log == notes{"nothing", "mine", ""});
    });
}

TEST_CASE_METHOD(fixture, "origin: of two scopes that end at once, each is named while it is the one that counts") {
    run([] {
        listener in;
        cancel_scope outer({.name = "outer"});
        CHECK_FALSE(outer.run([&] {
            outer.cancel();
            cancel_scope inner({.name = "inner"});
            CHECK(inner.run([&] { inner.cancel(); }));   // does not block: nothing is delivered in it
            in();
        }));
        CHECK(in.heard.starts_with("scope outer, "));
    });
}
