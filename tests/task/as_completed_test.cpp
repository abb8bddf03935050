// <weft/gather.hpp>: as_completed.

#include <iterator>
#include <list>
#include <ranges>
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

}  // namespace

TEST_CASE("as_completed: gives an input range of the handles") {
    using range = decltype(as_completed(std::declval<std::vector<task<int>>&>()));
    STATIC_REQUIRE(std::ranges::input_range<range>);
    STATIC_REQUIRE(std::is_same_v<std::ranges::range_value_t<range>, task<int>>);
    using handles = decltype(as_completed({task_handle(), task_handle()}));
    STATIC_REQUIRE(std::is_same_v<std::ranges::range_value_t<handles>, task_handle>);
}

TEST_CASE_METHOD(fixture, "as_completed: gives the tasks in the order in which they end") {
    run([] {
        std::vector<int> order;
        for (auto& t : as_completed({after(30ms), after(10ms), after(20ms)})) {
            CHECK(t.done());
            order.push_back(t.get());
        }
        CHECK(order == std::vector{10, 20, 30});
    });
}

TEST_CASE_METHOD(fixture, "as_completed: gives each when it has ended, not later") {
    run([] {
        const auto start = get_running_loop().time();
        std::vector<std::chrono::milliseconds> times;
        for (auto& t : as_completed(std::vector{after(30ms), after(10ms)})) {
            t.join();
            times.push_back(
                std::chrono::duration_cast<std::chrono::milliseconds>(get_running_loop().time() - start));
        }
        CHECK(times == std::vector{10ms, 30ms});
    });
}

TEST_CASE_METHOD(fixture, "as_completed: tasks that are done already come first, in input order") {
    run([] {
        auto a = after(1ms), b = after(2ms);
        wait({a, b});
        auto c = after(1ms);
        std::vector<task<int>> order;
        for (auto& t : as_completed({c, b, a}))
            order.push_back(t);
        CHECK(order == std::vector{b, a, c});
    });
}

TEST_CASE_METHOD(fixture, "as_completed: the loop's body may block while others end") {
    run([] {
        std::vector<int> order;
        for (auto& t : as_completed({after(10ms), after(30ms), after(20ms)})) {
            order.push_back(t.get());
            sleep(1s);
        }
        CHECK(order == std::vector{10, 20, 30});
    });
}

TEST_CASE_METHOD(fixture, "as_completed: gives failed and cancelled tasks, too") {
    run([] {
        auto failed = create_task([]() -> int { throw std::runtime_error("x"); });
        auto ended = create_task([]() -> int { throw cancelled(); });
        int seen = 0;
        for (auto& t : as_completed({failed, ended}))
            seen += t.exception() != nullptr;
        CHECK(seen == 2);
    });
}

TEST_CASE_METHOD(fixture, "as_completed: of nothing is empty") {
    run([] {
        for (auto& t : as_completed(std::vector<task<int>>()))
            t.join();
        for (auto& t : as_completed(std::vector<task<int>>(), 0s))
            t.join();
    });
}

TEST_CASE_METHOD(fixture, "as_completed: the same task twice comes twice") {
    run([] {
        auto t = after(1ms);
        int seen = 0;
        for (auto& done : as_completed({t, t}))
            seen += done == t;
        CHECK(seen == 2);
    });
}

TEST_CASE_METHOD(fixture, "as_completed: takes any range of handles, and may be left early") {
    run([] {
        std::list<task_handle> all{after(10ms), after(20ms)};
        for (auto& t : as_completed(all)) {
            CHECK(t == all.front());
            break;
        }
        CHECK_FALSE(all.back().done());
        all.back().join();
    });
}

TEST_CASE_METHOD(fixture, "as_completed: works with algorithms on ranges") {
    run([] {
        auto range = as_completed({after(2ms), after(1ms)});
        int sum = 0;
        std::ranges::for_each(range, [&](task<int>& t) { sum = 10 * sum + t.get(); });
        CHECK(sum == 12);
    });
}

TEST_CASE_METHOD(fixture, "as_completed: throws timeout_error when the time has run out") {
    run([] {
        const auto start = get_running_loop().time();
        auto slow = after(1h);
        std::vector<int> order;
        CHECK_THROWS_AS(
            [&] {
                for (auto& t : as_completed({slow, after(10ms), after(20ms)}, 1s))
                    order.push_back(t.get());
            }(),
            timeout_error);
        CHECK(order == std::vector{10, 20});
        CHECK(get_running_loop().time() - start == 1s);
        CHECK_FALSE(slow.done());
        CHECK(current_task().cancelling() == 0);
        yield_now();
    });
}

TEST_CASE_METHOD(fixture, "as_completed: the time counts from the call") {
    run([] {
        auto range = as_completed({after(1500ms)}, 1s);
        sleep(900ms);
        const auto start = get_running_loop().time();
        CHECK_THROWS_AS(range.begin(), timeout_error);
        CHECK(get_running_loop().time() - start == 100ms);
    });
}

TEST_CASE_METHOD(fixture,
                 "as_completed: tasks that ended in time are given however late they are asked for") {
    run([] {
        auto range = as_completed({after(10ms), after(20ms)}, 1s);
        sleep(1h);
        int seen = 0;
        for (auto& t : range)
            seen += t.done();
        CHECK(seen == 2);
    });
}

TEST_CASE_METHOD(fixture, "as_completed: cancelled, touches no task, and can be gone on with") {
    run([] {
        auto slow = after(1s);
        auto waiter = create_task([&] {
            auto range = as_completed({slow});
            CHECK(thrown_by([&] { range.begin(); }) == "only the waiter");
            int seen = 0;
            for (auto& t : range)
                seen += t == slow;
            CHECK(seen == 1);
        });
        turns(2);
        waiter.cancel("only the waiter");
        turns(1);
        CHECK_FALSE(slow.done());
        waiter.get();
        CHECK_FALSE(slow.cancelled());
    });
}

TEST_CASE_METHOD(fixture, "as_completed: an empty handle is an invalid_argument") {
    run([] { CHECK_THROWS_AS(as_completed({task<int>()}), std::invalid_argument); });
}
