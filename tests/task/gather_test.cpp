// <weft/gather.hpp>: gather, of tasks and of callables.

#include <list>
#include <memory>
#include <ranges>
#include <span>
#include <stdexcept>

#include <weft/gather.hpp>
#include <weft/timeout.hpp>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

namespace {

template <class T> auto value_after(std::chrono::milliseconds time, T value) {
    return [=] {
        sleep(time);
        return value;
    };
}

auto failure_after(std::chrono::milliseconds time, const char* message) {
    return [=] {
        sleep(time);
        throw std::runtime_error(message);
    };
}

}  // namespace

TEST_CASE_METHOD(fixture, "gather: gives the results of tasks in the order of the arguments") {
    run([] {
        auto a = create_task(value_after(3ms, 1));
        auto b = create_task(value_after(1ms, std::string("two")));
        auto c = create_task([] { sleep(2ms); });
        auto results = gather(a, b, c);
        STATIC_REQUIRE(std::is_same_v<decltype(results), std::tuple<int, std::string, std::monostate>>);
        CHECK(std::get<0>(results) == 1);
        CHECK(std::get<1>(results) == "two");
    });
}

TEST_CASE_METHOD(fixture, "gather: runs callables as tasks, at the same time, started in order") {
    run([] {
        notes log;
        const auto start = get_running_loop().time();
        const task_handle self = current_task();
        const auto [a, b, c] = gather(
            [&] {
                CHECK(current_task() != self);
                log.push_back("a");
                sleep(1s);
                return 1;
            },
            [&] {
                log.push_back("b");
                sleep(1s);
                return 2.5;
            },
            [&] { log.push_back("c"); });
        CHECK(a == 1);
        CHECK(b == 2.5);
        static_cast<void>(c);
        CHECK(log == notes{"a", "b", "c"});
        CHECK(get_running_loop().time() - start == 1s);
    });
}

TEST_CASE_METHOD(fixture, "gather: takes tasks and callables mixed, references and move-only results") {
    run([] {
        int x = 0;
        auto results = gather(
            create_task([] { return std::make_unique<int>(1); }), [&]() -> int& { return x; },
            [] { return 3; });
        STATIC_REQUIRE(std::is_same_v<decltype(results), std::tuple<std::unique_ptr<int>, int&, int>>);
        CHECK(*std::get<0>(results) == 1);
        CHECK(&std::get<1>(results) == &x);
        CHECK(std::get<2>(results) == 3);
    });
}

TEST_CASE_METHOD(fixture, "gather: takes move-only callables") {
    run([] {
        auto [a] = gather([p = std::make_unique<int>(4)] { return *p; });
        CHECK(a == 4);
    });
}

TEST_CASE_METHOD(
    fixture,
    "gather: of nothing is the empty tuple, of one thing a tuple of one, of an empty range an empty vector") {
    run([] {
        STATIC_REQUIRE(std::is_same_v<decltype(gather()), std::tuple<>>);
        CHECK(gather() == std::tuple<>());
        CHECK(gather([] { return 1; }) == std::tuple(1));
        CHECK(gather(std::vector<task<int>>()).empty());
        gather(std::vector<task<>>());
        CHECK(gather(return_exceptions) == std::tuple<>());
        CHECK(gather(return_exceptions, std::vector<task<int>>()).empty());
    });
}

TEST_CASE_METHOD(fixture, "gather: of a range of tasks gives a vector in input order") {
    run([] {
        std::vector<task<int>> tasks;
        for (int i = 0; i < 10; ++i)
            tasks.push_back(create_task(value_after(std::chrono::milliseconds(10 - i), i)));
        auto results = gather(tasks);
        STATIC_REQUIRE(std::is_same_v<decltype(results), std::vector<int>>);
        CHECK(results == std::vector{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
        for (auto& t : tasks)
            CHECK(t);
    });
}

TEST_CASE_METHOD(fixture, "gather: of a range of tasks without results gives nothing") {
    run([] {
        std::list<task<>> tasks;
        int ran = 0;
        for (int i = 0; i < 3; ++i)
            tasks.push_back(create_task([&] { ++ran; }));
        STATIC_REQUIRE(std::is_void_v<decltype(gather(tasks))>);
        gather(tasks);
        CHECK(ran == 3);
    });
}

TEST_CASE_METHOD(fixture, "gather: of a range of callables") {
    run([] {
        std::vector<std::function<int()>> calls;
        for (int i = 0; i < 4; ++i)
            calls.push_back([i] { return i * i; });
        CHECK(gather(calls) == std::vector{0, 1, 4, 9});
        CHECK(gather(std::move(calls)) == std::vector{0, 1, 4, 9});
    });
}

#if !defined(__clang__) || __clang_major__ >= 16   // older ones do not understand libstdc++'s views
TEST_CASE_METHOD(fixture, "gather: of a view that makes its elements") {
    run([] {
        const std::vector numbers{1, 2, 3};
        CHECK(gather(numbers | std::views::transform([](int n) { return [n] { return 10 * n; }; })) ==
              std::vector{10, 20, 30});
        CHECK(gather(numbers | std::views::transform([](int n) { return create_task([n] { return n; }); })) ==
              std::vector{1, 2, 3});
    });
}

TEST_CASE_METHOD(fixture, "gather: of a view of tasks leaves the tasks to their owner") {
    run([] {
        std::vector<task<int>> tasks;
        for (int i = 0; i < 3; ++i)
            tasks.push_back(create_task([i] { return i; }));
        CHECK(gather(tasks | std::views::take(2)) == std::vector{0, 1});
        CHECK(gather(std::span(tasks)) == std::vector{0, 1, 2});
        for (auto& t : tasks)
            CHECK(t);
    });
}
#endif

TEST_CASE_METHOD(fixture,
                 "gather: moves the result out of a last handle, and copies it while another is left") {
    run([] {
        auto [a] = gather(create_task([] { return counted(1); }));
        auto [b] = gather([] { return counted(2); });
        CHECK(counted::copies == 0);
        auto t = create_task([] { return counted(3); });
        auto [c] = gather(t);
        CHECK(counted::copies == 1);
        CHECK(a.value + b.value + c.value == 6);
        CHECK(t.get().value == 3);
        std::vector<task<counted>> tasks;
        tasks.push_back(create_task([] { return counted(4); }));
        counted::copies = 0;
        CHECK(gather(std::move(tasks)).front().value == 4);
        CHECK(counted::copies == 0);
    });
}

TEST_CASE_METHOD(fixture, "gather: the same task twice fills both places") {
    run([] {
        auto t = create_task([] { return std::string("once"); });
        CHECK(gather(t, t) == std::tuple(std::string("once"), std::string("once")));
        CHECK(gather(std::vector{t, t, t}) == std::vector<std::string>(3, "once"));
        auto failed = create_task(failure_after(1ms, "twice"));
        auto [a, b] = gather(return_exceptions, failed, failed);
        CHECK(reports::text(a.error()) == "twice");
        CHECK(reports::text(b.error()) == "twice");
    });
}

TEST_CASE_METHOD(fixture, "gather(tasks): the first exception is thrown at once, the others run on") {
    run([] {
        const auto start = get_running_loop().time();
        auto slow = create_task(value_after(50ms, 1));
        auto second = create_task(failure_after(20ms, "second"));
        auto first = create_task(failure_after(10ms, "first"));
        CHECK(thrown_by<std::runtime_error>([&] { gather(slow, second, first); }) == "first");
        CHECK(get_running_loop().time() - start == 10ms);
        CHECK_FALSE(slow.done());
        CHECK(slow.get() == 1);
    });
}

TEST_CASE_METHOD(fixture,
                 "gather(tasks): a cancelled gather cancels them all, and throws when all have ended") {
    run([] {
        notes log;
        const auto work = [&](const char* name) {
            log.push_back(name + (": " + thrown_by(park)));
            sleep(1s);
            log.push_back(std::string(name) + " ends");
        };
        auto a = create_task(work, "a");
        auto b = create_task(work, "b");
        auto done = create_task([] {});
        auto gatherer =
            create_task([&] { log.push_back("gather: " + thrown_by([&] { gather(a, b, done); })); });
        turns(2);
        gatherer.cancel("all of you");
        gatherer.join();
        CHECK(log == notes{"a: all of you", "b: all of you", "a ends", "b ends", "gather: all of you"});
    });
}

TEST_CASE_METHOD(
    fixture, "gather(callables): on the first exception cancels the rest, and throws when all have ended") {
    run([] {
        int in_frame = 0;  // what the callables refer to
        const auto slow = [&] {
            at_exit leave{[&] {
                sleep(1s);
                ++in_frame;
            }};
            park();
        };
        CHECK(thrown_by<std::runtime_error>([&] { gather(slow, failure_after(5ms, "first"), slow); }) ==
              "first");
        CHECK(in_frame == 2);
        CHECK(all_tasks().size() == 1);
    });
}

TEST_CASE_METHOD(fixture, "gather(callables): of several exceptions the first is thrown") {
    run([] {
        const auto fails_in_turn = [] {
            try {
                park();
            } catch (const cancelled&) {
                throw std::runtime_error("because of the first");
            }
        };
        CHECK(thrown_by<std::runtime_error>([&] { gather(fails_in_turn, failure_after(1ms, "first")); }) ==
              "first");
    });
}

TEST_CASE_METHOD(fixture,
                 "gather(callables): a cancelled gather cancels them, and throws when all have ended") {
    run([] {
        int ended = 0;
        const auto slow = [&] {
            at_exit leave{[&] {
                sleep(1s);
                ++ended;
            }};
            park();
        };
        auto gatherer = create_task([&] { gather(slow, slow); });
        turns(2);
        gatherer.cancel("stop");
        gatherer.join();
        CHECK(ended == 2);
        CHECK(reports::text(gatherer.exception()) == "cancelled: stop");
    });
}

TEST_CASE_METHOD(
    fixture,
    "gather(callables): a failure before a cancellation from outside is thrown, that stays pending") {
    run([] {
        notes log;
        auto gatherer = create_task([&] {
            const auto slow = [] {
                at_exit leave{[] { sleep(10s); }};
                park();
            };
            log.push_back(thrown_by<std::runtime_error>([&] { gather(slow, failure_after(1ms, "first")); }));
            log.push_back(thrown_by(yield_now));
        });
        sleep(1s);
        gatherer.cancel("outside");
        gatherer.get();
        CHECK(log == notes{"first", "outside"});
    });
}

TEST_CASE_METHOD(fixture, "gather(mixed): a failure cancels the callables only") {
    run([] {
        auto task_of_ours = create_task(value_after(50ms, 1));
        bool callable_cut = false;
        const auto callable = [&] { callable_cut = thrown_by(park) != "nothing"; };
        CHECK_THROWS_AS(gather(task_of_ours, callable, failure_after(1ms, "x")), std::runtime_error);
        CHECK(callable_cut);
        CHECK_FALSE(task_of_ours.done());
        CHECK(task_of_ours.get() == 1);
    });
}

TEST_CASE_METHOD(
    fixture,
    "gather: a child that was cancelled on its own gives cancelled, and the caller is not cancelled") {
    run([] {
        auto a = create_task(park);
        auto b = create_task(value_after(1s, 1));
        create_task([a] { a.cancel("on its own"); });
        CHECK(thrown_by([&] { gather(a, b); }) == "on its own");
        CHECK(current_task().cancelling() == 0);
        yield_now();
        CHECK(b.get() == 1);
        CHECK(thrown_by([] { gather([] { throw cancelled("by itself"); }, park); }) == "by itself");
        yield_now();
    });
}

TEST_CASE_METHOD(fixture, "gather: of done tasks need not wait, and does not check") {
    run([] {
        auto a = create_task([] { return 1; });
        a.join();
        current_task().cancel("pending");
        CHECK(gather(a, a) == std::tuple(1, 1));
        CHECK(thrown_by(yield_now) == "pending");
    });
}

TEST_CASE_METHOD(fixture,
                 "gather: if a callable cannot be started, those that were have ended when it throws") {
    struct unmovable {
        counted c;
        bool* ran;
        unmovable(bool* r) : ran(r) {}
        unmovable(const unmovable& other) : ran(other.ran) { throw std::runtime_error("no copy"); }
        void operator()() const { *ran = true; }
    };
    run([] {
        bool ran = false;
        const unmovable bad(&ran);
        CHECK(thrown_by<std::runtime_error>([&] { gather([&] { ran = true; }, bad); }) == "no copy");
        CHECK_FALSE(ran);
        CHECK(all_tasks().size() == 1);
    });
}

TEST_CASE_METHOD(fixture, "gather: an empty handle is an invalid_argument") {
    run([] { CHECK_THROWS_AS(gather(task<int>()), std::invalid_argument); });
}

TEST_CASE_METHOD(fixture, "gather: inside a timeout is cut off with all its callables") {
    run([] {
        int ended = 0;
        const auto slow = [&] {
            at_exit leave{[&] { ++ended; }};
            park();
        };
        CHECK_THROWS_AS(timeout(1s, [&] { gather(slow, slow, slow); }), timeout_error);
        CHECK(ended == 3);
    });
}
