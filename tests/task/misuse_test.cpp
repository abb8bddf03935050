// Misuse of tasks is told in a sentence that names the call and says what is wrong.

#include <csignal>
#include <stdexcept>

#include <weft/gather.hpp>
#include <weft/task_group.hpp>
#include <weft/timeout.hpp>

#include "child_process.hpp"
#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

namespace {

/// Whether f throws an E whose what() contains both words.
template <class E, class F> bool tells(F&& f, const std::string& call, const std::string& what) {
    const std::string text = thrown_by<E>(std::forward<F>(f));
    UNSCOPED_INFO(text);
    return text.find(call) != std::string::npos && text.find(what) != std::string::npos;
}

}  // namespace

TEST_CASE_METHOD(fixture, "misuse: a task that waits for itself") {
    run([] {
        std::optional<task<int>> self;
        self = create_task([&] {
            CHECK(tells<std::logic_error>([&] { self->join(); }, "join", "its own end"));
            CHECK(tells<std::logic_error>([&] { self->get(); }, "get", "its own end"));
            CHECK(tells<std::logic_error>([&] { shield(*self); }, "join", "its own end"));
            CHECK(tells<std::logic_error>([&] { wait_for(*self, 1s); }, "wait_for", "its own end"));
            return 1;
        });
        CHECK(self->get() == 1);
    });
}

TEST_CASE_METHOD(fixture, "misuse: waiting in a callback names the call, and touches nothing") {
    run([] {
        auto parked = create_task(park);
        yield_now();
        get_running_loop().call_soon([&] {
            const std::string where = "loop callback";
            CHECK(tells<no_running_task>([&] { parked.join(); }, "task_handle::join", where));
            CHECK(tells<no_running_task>([&] { parked.get(); }, "task::get", where));
            CHECK(tells<no_running_task>([&] { gather([] {}); }, "gather", where));
            CHECK(tells<no_running_task>([&] { wait({parked}); }, "wait", where));
            CHECK(tells<no_running_task>([] { sleep(1s); }, "sleep", where));
            CHECK(tells<no_running_task>([] { yield_now(); }, "yield_now", where));
            CHECK(tells<no_running_task>([] { timeout(1s, [] {}); }, "timeout", where));
            CHECK(tells<no_running_task>([] { with_task_group([](task_group&) {}); }, "with_task_group", where));
            CHECK(tells<no_running_task>([] { current_task(); }, "current_task", where));
        });
        yield_now();
        CHECK_FALSE(parked.done());
        CHECK(parked.cancelling() == 0);
        parked.cancel();
        parked.join();
    });
}

TEST_CASE_METHOD(fixture, "misuse: where no loop runs, the sentence says what to do") {
    CHECK(tells<no_running_loop>([] { create_task([] {}); }, "create_task", "weft::run"));
    CHECK(tells<no_running_loop>([] { timeout(1s, [] {}); }, "timeout", "weft::run"));
    CHECK(tells<no_running_loop>([] { all_tasks(); }, "all_tasks", "weft::run"));
    CHECK(tells<no_running_loop>([] { get_running_loop(); }, "get_running_loop", "weft::run"));
}

TEST_CASE_METHOD(fixture, "misuse: a run inside a running loop, and a runner that is closed") {
    run([] {
        CHECK(tells<std::logic_error>([] { run([] {}); }, "run", "running on this thread already"));
        CHECK(tells<std::logic_error>([] { runner another; }, "run", "running on this thread already"));
    });
    runner r;
    r.close();
    CHECK(tells<invalid_state>([&] { r.run([] {}); }, "runner::run", "closed"));
    CHECK(tells<invalid_state>([&] { r.get_loop(); }, "runner::get_loop", "closed"));
}

TEST_CASE_METHOD(fixture, "misuse: adding to a group that has ended, is ending, or is another loop's") {
    run([] {
        notes log;
        const auto add = [&](task_group& group) {
            return [&log, &group] {
                yield_now();
                log.push_back(thrown_by<std::logic_error>([&] { group.create_task([] { FAIL_CHECK("not started"); }); }));
            };
        };
        with_task_group([&](task_group& group) {
            group.create_task(yield_now);
            create_task(add(group));   // runs when the last child has ended, and the parent has not run yet
        });
        yield_now();
        with_task_group([&](task_group& group) {
            group.cancel();
            log.push_back(thrown_by<std::logic_error>([&] { group.create_task([] { FAIL_CHECK("not started"); }); }));
        });
        with_task_group([&](task_group& group) { std::thread([&] { run(add(group)); }).join(); });
        CHECK(log == notes{"task_group::create_task: the group has ended",
                           "task_group::create_task: the group is being cancelled; no child can be added",
                           "task_group::create_task: the group belongs to another loop"});
    });
}

TEST_CASE_METHOD(fixture, "misuse: empty handles, and results that are asked for too early") {
    run([] {
        const task<int> none;
        CHECK(tells<invalid_state>([&] { none.get(); }, "task::get", "empty"));
        CHECK(tells<invalid_state>([&] { none.cancel(); }, "task_handle::cancel", "empty"));
        CHECK(tells<invalid_state>([&] { none.name(); }, "task_handle::name", "empty"));
        CHECK(tells<invalid_state>([&] { none.add_done_callback([] {}); }, "add_done_callback", "empty"));
        CHECK(tells<std::invalid_argument>([&] { gather(none); }, "gather", "empty"));
        CHECK(tells<std::invalid_argument>([&] { wait({none}); }, "wait", "empty"));
        CHECK(tells<std::invalid_argument>([&] { wait(std::vector<task<int>>()); }, "wait", "empty"));
        CHECK(tells<std::invalid_argument>([&] { as_completed({none}); }, "as_completed", "empty"));
        CHECK(tells<invalid_state>([&] { wait_for(none, 1s); }, "task", "empty"));
        CHECK(tells<invalid_state>([&] { shield(none); }, "task", "empty"));
        const auto early = create_task([] { return 1; });
        CHECK(tells<invalid_state>([&] { early.result(); }, "task::result", "not done"));
        CHECK(tells<invalid_state>([&] { early.exception(); }, "task_handle::exception", "not done"));
        early.join();
    });
}

TEST_CASE_METHOD(fixture, "misuse: a runner that is closed inside its own run ends the process with a sentence") {
    const auto died = weft_test::in_child([] {
        runner r;
        r.run([&] { r.close(); });
    });
    CHECK(died.died_of(SIGABRT));
    CHECK(died.said("a runner was closed, or destroyed, inside a running loop") == 1);
}
