// <weft/task.hpp>: handles, names, done callbacks, join; current_task and all_tasks.

#include <algorithm>
#include <set>
#include <stdexcept>
#include <unordered_set>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

TEST_CASE_METHOD(fixture, "task_handle: copies name the same task, equal, ordered by id and hashable") {
    run([] {
        auto a = create_task([] { return 1; });
        auto b = create_task([] { return 2; });
        const task_handle copy = a;
        CHECK(copy == a);
        CHECK(copy != b);
        CHECK(a.id() < b.id());
        CHECK(a < b);
        CHECK(std::set<task_handle>{b, a, copy}.size() == 2);
        CHECK(*std::set<task_handle>{b, a}.begin() == a);
        std::unordered_set<task_handle> set{a, b, copy};
        CHECK(set.size() == 2);
        CHECK(std::unordered_set<task<int>>{a, b, a}.size() == 2);
    });
}

TEST_CASE_METHOD(fixture, "task_handle: a default one is empty and false") {
    task_handle none;
    CHECK_FALSE(none);
    CHECK(none == task_handle());
    CHECK_FALSE(task<int>());
    CHECK_THROWS_AS(none.done(), std::logic_error);
    CHECK_THROWS_AS(none.join(), std::logic_error);
    run([&] {
        auto t = create_task([] {});
        CHECK(t);
        CHECK(none != t);
    });
}

TEST_CASE_METHOD(fixture, "task_handle: const ones act on the task") {
    run([] {
        const task_handle t = create_task(park);
        t.set_name("named");
        CHECK(t.name() == "named");
        CHECK(t.cancel());
        t.join();
        CHECK(t.cancelled());
    });
}

TEST_CASE_METHOD(fixture, "task_handle: the name is the one given, or tells tasks apart") {
    run([] {
        auto named = create_task({.name = "reader"}, [] { return current_task().name(); });
        CHECK(named.name() == "reader");
        CHECK(named.get() == "reader");
        auto a = create_task([] {});
        auto b = create_task([] {});
        CHECK_FALSE(a.name().empty());
        CHECK(a.name() != b.name());
        current_task().set_name("main");
        CHECK(current_task().name() == "main");
    });
}

TEST_CASE_METHOD(fixture, "task_handle: ids are never used again, on any loop") {
    std::set<std::uint64_t> seen;
    std::atomic<std::uint64_t> elsewhere{0};
    for (int i = 0; i < 3; ++i) {
        run([&] {
            for (int k = 0; k < 10; ++k)
                CHECK(seen.insert(create_task([] {}).id()).second);
        });
        std::thread([&] { run([&] { elsewhere = current_task().id(); }); }).join();
        CHECK(seen.insert(elsewhere).second);
    }
}

TEST_CASE_METHOD(fixture, "task_handle: dropping all handles detaches, and the task runs on") {
    run([] {
        bool ended = false;
        create_task([&] {
            sleep(1s);
            ended = true;
        });
        sleep(2s);
        CHECK(ended);
    });
}

TEST_CASE_METHOD(fixture, "task_handle: outlives its loop") {
    task<int> value;
    task<> failure, dropped;
    run([&] {
        value = create_task([] { return 8; });
        failure = create_task([] { throw std::runtime_error("kept"); });
        yield_now();
        dropped = create_task(park);
    });
    CHECK(value.get() == 8);
    CHECK(thrown_by<std::runtime_error>([&] { failure.get(); }) == "kept");
    CHECK(dropped.cancelled());
    CHECK_FALSE(dropped.cancel());
    dropped.join();
}

TEST_CASE_METHOD(fixture, "join: waits for the end and never throws what the task threw") {
    run([] {
        auto failed = create_task([] {
            sleep(1s);
            throw std::runtime_error("not for join");
        });
        failed.join();
        CHECK(failed.done());
        failed.join();
        CHECK(failed.exception() != nullptr);
        auto ended = create_task([] { throw cancelled(); });
        ended.join();
        CHECK(ended.cancelled());
    });
}

TEST_CASE_METHOD(fixture, "join: wakes those who wait in the order they came") {
    notes log;
    run([&] {
        auto t = create_task([] { sleep(1s); });
        for (const char* name : {"first", "second", "third"}) {
            create_task([&log, t, name] {
                t.join();
                log.push_back(name);
            });
        }
        sleep(2s);
    });
    CHECK(log == notes{"first", "second", "third"});
}

TEST_CASE_METHOD(fixture, "join and get: of oneself throw logic_error") {
    run([] {
        CHECK_THROWS_AS(current_task().join(), std::logic_error);
        task<int> t;
        t = create_task([&]() -> int {
            CHECK_THROWS_AS(t.join(), std::logic_error);
            return t.get();
        });
        CHECK_THROWS_AS(t.get(), std::logic_error);
    });
}

TEST_CASE_METHOD(fixture,
                 "add_done_callback: calls in the order of registration, on the task's loop, after the end") {
    notes log;
    run([&] {
        auto t = create_task([&] { log.push_back("task"); });
        t.add_done_callback([&] { log.push_back("first"); });
        t.add_done_callback([&, loop = &get_running_loop()](task_handle done) {
            CHECK(done == t);
            CHECK(done.done());
            CHECK(&get_running_loop() == loop);
            log.push_back("second");
        });
        t.add_done_callback([&] { log.push_back("third"); });
        sleep(1s);
    });
    CHECK(log == notes{"task", "first", "second", "third"});
}

TEST_CASE_METHOD(fixture, "add_done_callback: on a done task calls at the next turn, not at once") {
    run([] {
        auto t = create_task([] {});
        t.join();
        bool called = false;
        t.add_done_callback([&] { called = true; });
        CHECK_FALSE(called);
        yield_now();
        CHECK(called);
    });
}

TEST_CASE_METHOD(fixture, "add_done_callback: calls for failures and cancellations, too") {
    run([] {
        int called = 0;
        auto failed = create_task([] { throw 1; });
        auto ended = create_task(park);
        failed.add_done_callback([&](const task_handle& t) { called += t.exception() != nullptr; });
        ended.add_done_callback([&](const task_handle& t) { called += t.cancelled(); });
        ended.cancel();
        sleep(1s);
        CHECK(called == 2);
    });
}

TEST_CASE_METHOD(fixture, "add_done_callback: takes functions that can only be moved, and frees them") {
    run([] {
        auto t = create_task([] {});
        int got = 0;
        t.add_done_callback([p = std::make_unique<int>(3), c = counted(), &got] { got = *p; });
        sleep(1s);
        CHECK(got == 3);
        CHECK(counted::live == 0);
    });
}

TEST_CASE_METHOD(
    fixture,
    "add_done_callback: a callback that throws is told to the exception handler, and the next is called") {
    reports told;
    run([&] {
        told.install();
        auto t = create_task([] {});
        bool called = false;
        t.add_done_callback([] { throw std::runtime_error("callback"); });
        t.add_done_callback([&] { called = true; });
        sleep(1s);
        CHECK(called);
    });
    REQUIRE(told.seen.size() == 1);
    CHECK(told.seen[0].exception == "callback");
}

TEST_CASE_METHOD(fixture, "remove_done_callback: takes back the one it names, once") {
    notes log;
    run([&] {
        auto t = create_task([] {});
        t.add_done_callback([&] { log.push_back("a"); });
        const callback_id b = t.add_done_callback([&, c = counted()] { log.push_back("b"); });
        t.add_done_callback([&] { log.push_back("c"); });
        CHECK(t.remove_done_callback(b));
        CHECK(counted::live == 0);
        CHECK_FALSE(t.remove_done_callback(b));
        sleep(1s);
        CHECK_FALSE(t.remove_done_callback(b));
    });
    CHECK(log == notes{"a", "c"});
}

TEST_CASE_METHOD(fixture, "add_done_callback: on a task whose loop is closed throws invalid_state") {
    task<> t;
    run([&] {
        t = create_task([] {});
        t.join();
    });
    CHECK_THROWS_AS(t.add_done_callback([] {}), invalid_state);
    run([&] { CHECK_THROWS_AS(t.add_done_callback([] {}), invalid_state); });
}

TEST_CASE_METHOD(fixture, "add_done_callback: on a task of another loop calls on that loop") {
    std::thread::id called_on;
    run([&] {
        task_handle here = create_task(park);
        std::thread other([&, here] {
            run([&] {
                here.add_done_callback([&] { called_on = std::this_thread::get_id(); });
                here.cancel();
                here.join();
            });
        });
        here.join();
        yield_now();
        CHECK(called_on == std::this_thread::get_id());
        other.join();
    });
}

TEST_CASE_METHOD(fixture, "done callback: may use what need not wait, and may not wait") {
    run([] {
        auto value = create_task([] { return 3; });
        auto pending = create_task(park);
        int got = 0;
        bool refused = false;
        value.add_done_callback([&] {
            value.join();
            got = value.get();
            refused = throws<no_running_task>([&] { pending.join(); }) &&
                      throws<no_running_task>([&] { pending.get(); }) &&
                      throws<no_running_task>([&] { sleep(1s); }) && throws<no_running_task>(yield_now) &&
                      throws<no_running_task>(current_task);
        });
        turns(3);
        CHECK(got == 3);
        CHECK(refused);
    });
}

TEST_CASE_METHOD(fixture, "current_task: is the task that runs, across switches") {
    run([] {
        const task_handle main = current_task();
        auto check = [] {
            const task_handle self = current_task();
            for (int i = 0; i < 5; ++i) {
                yield_now();
                CHECK(current_task() == self);
            }
            return self.id();   // a result that holds its own task would keep it for ever
        };
        auto a = create_task(check);
        auto b = create_task(check);
        CHECK(a.get() == a.id());
        CHECK(b.get() == b.id());
        CHECK(current_task() == main);
    });
}

TEST_CASE_METHOD(fixture, "all_tasks: lists this loop's unfinished tasks") {
    run([] {
        auto running = create_task(park);
        auto done = create_task([] {});
        done.join();
        auto fresh = create_task([] {});
        std::vector<task_handle> expected{current_task(), running, fresh}, listed = all_tasks();
        std::sort(expected.begin(), expected.end());
        std::sort(listed.begin(), listed.end());
        CHECK(listed == expected);
        std::vector<task_handle> elsewhere;
        std::thread([&] { run([&] { elsewhere = all_tasks(); }); }).join();
        CHECK(elsewhere.size() == 1);
    });
}
