// <weft/gather.hpp>: wait.

#include <list>
#include <set>
#include <stdexcept>

#include <weft/gather.hpp>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

namespace {

auto after(std::chrono::milliseconds time) {
    return create_task([=] {
        sleep(time);
        return static_cast<int>(time.count());
    });
}

task<int> failing_after(std::chrono::milliseconds time) {
    return create_task([=]() -> int {
        sleep(time);
        throw std::runtime_error("failed");
    });
}

using tasks = std::vector<task<int>>;

}  // namespace

TEST_CASE_METHOD(fixture, "wait: for all of them, and gives them in input order") {
    run([] {
        auto a = after(3ms), b = after(1ms), c = after(2ms);
        const wait_result<task<int>> result = wait({a, b, c});
        CHECK(result.done == tasks{a, b, c});
        CHECK(result.pending.empty());
        CHECK(get_running_loop().time() == virtual_clock::now());
    });
}

TEST_CASE_METHOD(fixture, "wait: first_completed returns when one has ended") {
    run([] {
        const auto start = get_running_loop().time();
        auto a = after(30ms), b = after(10ms), c = after(20ms);
        auto result = wait({a, b, c}, return_when::first_completed);
        CHECK(result.done == tasks{b});
        CHECK(result.pending == tasks{a, c});
        CHECK(get_running_loop().time() - start == 10ms);
    });
}

TEST_CASE_METHOD(fixture, "wait: first_completed gives all that have ended") {
    run([] {
        auto a = after(10ms), b = after(20ms), c = after(10ms);
        auto result = wait({a, b, c}, return_when::first_completed);
        CHECK(result.done == tasks{a, c});
        CHECK(result.pending == tasks{b});
    });
}

TEST_CASE_METHOD(fixture, "wait: first_exception returns when one has failed, or all have ended") {
    run([] {
        auto a = after(30ms), b = failing_after(20ms), c = after(10ms);
        auto result = wait({a, b, c}, return_when::first_exception);
        CHECK(result.done == tasks{b, c});
        CHECK(result.pending == tasks{a});
        auto quiet = wait({a, c}, return_when::first_exception);
        CHECK(quiet.done == tasks{a, c});
        CHECK(b.exception());
    });
}

TEST_CASE_METHOD(fixture, "wait: a cancelled task is no exception for first_exception") {
    run([] {
        auto a = after(30ms), b = create_task([]() -> int { throw cancelled(); });
        auto result = wait({a, b}, return_when::first_exception);
        CHECK(result.done == tasks{a, b});
    });
}

TEST_CASE_METHOD(fixture, "wait: throws no task's exception") {
    run([] {
        auto a = failing_after(1ms);
        CHECK(wait({a}).done == tasks{a});
        CHECK(a.exception());
    });
}

TEST_CASE_METHOD(
    fixture, "wait: with a time returns what there is when it has run out, and never throws timeout_error") {
    run([] {
        const auto start = get_running_loop().time();
        auto a = after(10ms), b = after(30ms);
        auto result = wait({a, b}, 20ms);
        CHECK(result.done == tasks{a});
        CHECK(result.pending == tasks{b});
        CHECK(get_running_loop().time() - start == 20ms);
        CHECK(wait({b}, 1ms).pending == tasks{b});
        CHECK(wait({a, b}, 1h).pending.empty());
        CHECK(wait({a, b}, std::chrono::hours::max()).pending.empty());
        auto c = after(1ms), d = after(2ms);
        CHECK(wait({c, d}, 1h, return_when::first_completed).done == tasks{c});
        d.join();
    });
}

TEST_CASE_METHOD(fixture, "wait: with no time looks, and does not wait for time to pass") {
    run([] {
        const auto start = get_running_loop().time();
        auto done = create_task([] { return 1; });
        done.join();
        auto pending = after(1ms);
        for (const auto time : {0ms, -1ms}) {
            auto result = wait({done, pending}, time);
            CHECK(result.done == tasks{done});
            CHECK(result.pending == tasks{pending});
        }
        CHECK(get_running_loop().time() == start);
        pending.join();
    });
}

TEST_CASE_METHOD(fixture, "wait: no task that it gives as pending has ended") {
    run([] {
        auto a = after(10ms);
        yield_now();
        // It ends at the instant at which the time has run out, before the waiter has run again.
        auto result = wait({a}, 10ms);
        CHECK(a.done());
        CHECK(result.done == tasks{a});
        CHECK(result.pending.empty());
    });
}

TEST_CASE_METHOD(fixture, "wait: tasks that are done already are given at once, and it does not check") {
    run([] {
        auto a = create_task([] { return 1; });
        a.join();
        current_task().cancel("pending");
        CHECK(wait({a}).done == tasks{a});
        auto b = after(1h);
        CHECK(wait({a, b}, return_when::first_completed).done == tasks{a});
        CHECK(thrown_by(yield_now) == "pending");
    });
}

TEST_CASE_METHOD(fixture, "wait: cancelled, touches no task") {
    run([] {
        auto a = after(1h);
        auto waiter = create_task([&] { wait({a}); });
        turns(2);
        waiter.cancel("only the waiter");
        waiter.join();
        CHECK(reports::text(waiter.exception()) == "cancelled: only the waiter");
        CHECK_FALSE(a.done());
        CHECK(a.cancelling() == 0);
    });
}

TEST_CASE_METHOD(fixture, "wait: for no tasks is an invalid_argument") {
    run([] {
        CHECK_THROWS_AS(wait(tasks()), std::invalid_argument);
        CHECK_THROWS_AS(wait(tasks(), 1s), std::invalid_argument);
        CHECK_THROWS_AS(wait(std::initializer_list<task_handle>{}), std::invalid_argument);
        CHECK_THROWS_AS(wait({task<int>()}), std::invalid_argument);
    });
}

TEST_CASE_METHOD(fixture, "wait: takes containers of tasks and of handles, and braced lists of either") {
    run([] {
        auto a = after(1ms);
        auto b = create_task([] { return std::string("b"); });
        const std::vector<task_handle> vector{a, b};
        CHECK(wait(vector).done == vector);
        CHECK(wait(std::list<task_handle>{a, b}).done == vector);
        CHECK(wait(std::set<task<int>>{a}).done == tasks{a});
        CHECK(wait<task_handle>({a, b}).done == vector);
        CHECK(wait<task_handle>({a, b}, 1s).done == vector);
        CHECK(wait<task_handle>({a, b}, 1s, return_when::first_exception).done == vector);
        CHECK(wait(tasks{a}, 1s, return_when::first_completed).done == tasks{a});
        CHECK(wait(tasks{a}, return_when::first_completed).done == tasks{a});
        STATIC_REQUIRE(std::is_same_v<decltype(wait(tasks{a})), wait_result<task<int>>>);
        STATIC_REQUIRE(std::is_same_v<decltype(wait({a})), wait_result<task<int>>>);
        STATIC_REQUIRE(std::is_same_v<decltype(wait(vector)), wait_result<task_handle>>);
    });
}

TEST_CASE_METHOD(fixture, "wait: the same task twice is there twice") {
    run([] {
        auto a = after(1ms);
        CHECK(wait({a, a}).done == tasks{a, a});
    });
}

TEST_CASE_METHOD(fixture, "wait: leaves the handles of an lvalue range alone") {
    run([] {
        tasks mine{after(1ms), after(2ms)};
        wait(mine);
        for (auto& t : mine)
            CHECK(t.done());
    });
}

TEST_CASE_METHOD(fixture, "wait: several wait for the same tasks") {
    run([] {
        auto a = after(10ms), b = after(20ms);
        notes log;
        auto first = create_task([&] {
            wait({a, b}, return_when::first_completed);
            log.push_back("first");
        });
        auto all = create_task([&] {
            wait({b, a});
            log.push_back("all");
        });
        wait({first, all});
        CHECK(log == notes{"first", "all"});
    });
}
