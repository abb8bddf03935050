// <weft/task.hpp>: how tasks start, what they give back, what they throw. Handles are in task_handle_test.cpp.

#include <cstdint>
#include <memory>
#include <stdexcept>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

TEST_CASE_METHOD(fixture, "create_task: starts at the next turn, first in first out") {
    notes log;
    run([&] {
        for (const char* name : {"a", "b", "c"})
            create_task([&log, name] { log.push_back(name); });
        log.push_back("main");
        yield_now();
        log.push_back("main again");
    });
    CHECK(log == notes{"main", "a", "b", "c", "main again"});
}

TEST_CASE_METHOD(fixture, "create_task: tasks and callbacks start in one order") {
    notes log;
    run([&] {
        create_task([&] { log.push_back("task 1"); });
        get_running_loop().call_soon([&] { log.push_back("callback"); });
        create_task([&] { log.push_back("task 2"); });
        yield_now();
    });
    CHECK(log == notes{"task 1", "callback", "task 2"});
}

TEST_CASE_METHOD(fixture, "create_task: a task made by a task starts after those that were ready before") {
    notes log;
    run([&] {
        create_task([&] {
            log.push_back("a");
            create_task([&] { log.push_back("child of a"); });
        });
        create_task([&] { log.push_back("b"); });
        turns(2);
    });
    CHECK(log == notes{"a", "b", "child of a"});
}

TEST_CASE_METHOD(fixture, "create_task: copies or moves the function and its arguments once into the task") {
    run([] {
        counted kept(1);
        auto t =
            create_task([](const counted& a, counted&& b) { return a.value + b.value; }, kept, counted(2));
        kept.value = 100;
        CHECK(counted::copies == 1);
        CHECK(t.get() == 3);
    });
}

TEST_CASE_METHOD(fixture, "create_task: decays its arguments as std::thread does") {
    run([] {
        int x = 1;
        create_task([](int& y) { y = 2; }, std::ref(x)).get();
        CHECK(x == 2);
        char text[] = "local";
        auto t = create_task([](std::string s) { return s; }, text);
        CHECK(t.get() == "local");
        CHECK(create_task(&std::string::size, std::string("four")).get() == 4);
        auto moved = create_task([](std::unique_ptr<int> p) { return *p; }, std::make_unique<int>(6));
        CHECK(moved.get() == 6);
    });
}

TEST_CASE_METHOD(
    fixture, "create_task: destroys the function and its arguments when the task ends, not when handles do") {
    run([] {
        auto t = create_task([c = counted()] {});
        CHECK(counted::live > 0);
        t.join();
        CHECK(counted::live == 0);
    });
}

TEST_CASE_METHOD(fixture, "create_task: a task with the usual stack does not get the small one that has just become free") {
    run([] {
        constexpr std::size_t much = 100 * 1024;
        const auto use = [] {
            volatile char room[much];
            room[0] = 1;
            room[much - 1] = 2;
            return room[0] + room[much - 1];
        };
        auto small = create_task({.stack_size = 16 * 1024}, [] {});
        auto usual = create_task(use);
        small.join();
        CHECK(usual.get() == 3);
    });
}

TEST_CASE_METHOD(fixture, "create_task: a stack size that cannot be is an invalid_argument that names it") {
    run([] {
        bool ran = false;
        for (const std::size_t size : {std::size_t{1}, SIZE_MAX}) {
            const std::string message = thrown_by<std::invalid_argument>([&] {
                create_task({.stack_size = size, .eager = true}, [&ran, c = counted()] { ran = true; });
            });
            CHECK(message.find("stack_size") != std::string::npos);
        }
        CHECK_FALSE(ran);
        CHECK(all_tasks().size() == 1);
    });
}

TEST_CASE_METHOD(fixture, "create_task: functions, arguments and results are aligned as their types demand") {
    struct alignas(128) wide {
        bool aligned() const {
            const void* here = this;
            asm volatile("" : "+r"(here));   // the compiler would answer from the type alone
            return reinterpret_cast<std::uintptr_t>(here) % alignof(wide) == 0;
        }
        char bytes[128] = {};
    };
    run([] {
        for (int i = 0; i < 8; ++i) {
            auto t = create_task(
                [captured = wide()](const wide& argument) {
                    CHECK(captured.aligned());
                    CHECK(argument.aligned());
                    return wide();
                },
                wide());
            CHECK(t.get().aligned());
        }
    });
}

TEST_CASE_METHOD(fixture, "eager: runs at once until it first blocks") {
    notes log;
    run([&] {
        create_task([&] { log.push_back("ready before"); });
        auto t = create_task({.eager = true}, [&] {
            log.push_back("eager");
            yield_now();
            log.push_back("eager again");
        });
        log.push_back("main");
        t.join();
    });
    CHECK(log == notes{"eager", "main", "ready before", "eager again"});
}

TEST_CASE_METHOD(fixture, "eager: a task that never blocks is done when create_task returns") {
    run([] {
        auto t = create_task({.eager = true}, [] { return 4; });
        CHECK(t.done());
        CHECK(t.result() == 4);
        auto failed = create_task({.eager = true}, [] { throw std::runtime_error("at once"); });
        CHECK(failed.done());
        CHECK_THROWS_AS(failed.get(), std::runtime_error);
    });
}

TEST_CASE_METHOD(fixture, "eager: runs on its own stack, as a task of its own") {
    run([] {
        const task_handle creator = current_task();
        task_handle inside;
        auto t = create_task({.name = "inner", .eager = true}, [&] { inside = current_task(); });
        CHECK(inside == t);
        CHECK(inside != creator);
        CHECK(current_task() == creator);
    });
}

TEST_CASE_METHOD(fixture, "eager: nested, each creator goes on when its child first blocks") {
    notes log;
    run([&] {
        auto outer = create_task({.eager = true}, [&] {
            log.push_back("outer");
            auto inner = create_task({.eager = true}, [&] {
                log.push_back("inner");
                yield_now();
                log.push_back("inner ends");
            });
            log.push_back("outer goes on");
            inner.join();
            log.push_back("outer ends");
        });
        log.push_back("main");
        outer.join();
    });
    CHECK(log == notes{"outer", "inner", "outer goes on", "main", "inner ends", "outer ends"});
}

TEST_CASE_METHOD(fixture, "eager: can be started by a callback") {
    notes log;
    run([&] {
        task_handle t;
        get_running_loop().call_soon([&] {
            t = create_task({.eager = true}, [&] {
                log.push_back("eager");
                yield_now();
                log.push_back("ends");
            });
            log.push_back("callback");
        });
        yield_now();
        t.join();
    });
    CHECK(log == notes{"eager", "callback", "ends"});
}

TEST_CASE_METHOD(fixture, "eager: what it makes ready runs after what was ready before") {
    notes log;
    run([&] {
        create_task([&] { log.push_back("before"); });
        create_task({.eager = true}, [&] {
            create_task([&] { log.push_back("child"); });
            log.push_back("eager");
        });
        turns(1);
    });
    CHECK(log == notes{"eager", "before", "child"});
}

TEST_CASE_METHOD(fixture, "task: get gives values, nothing, references and move-only values") {
    run([] {
        CHECK(create_task([] { return 1; }).get() == 1);
        STATIC_REQUIRE(std::is_void_v<decltype(create_task([] {}).get())>);
        create_task([] {}).get();

        int x = 0;
        task<int&> reference = create_task([&]() -> int& { return x; });
        STATIC_REQUIRE(std::is_same_v<decltype(reference.get()), int&>);
        CHECK(&reference.get() == &x);
        CHECK(&std::move(reference).get() == &x);

        task<std::unique_ptr<int>> only = create_task([] { return std::make_unique<int>(2); });
        CHECK(*only.get() == 2);
        CHECK(*only.get() == 2);
        std::unique_ptr<int> taken = std::move(only).get();
        CHECK(*taken == 2);
    });
}

TEST_CASE_METHOD(fixture, "task: get of a kept handle gives the value in place, again and again") {
    run([] {
        auto t = create_task([] { return std::string("value"); });
        STATIC_REQUIRE(std::is_same_v<decltype(t.get()), std::string&>);
        std::string& first = t.get();
        CHECK(&t.get() == &first);
        CHECK(&t.result() == &first);
        const auto& constant = t;
        CHECK(&constant.get() == &first);
    });
}

TEST_CASE_METHOD(fixture, "task: get of the last handle moves the value out") {
    run([] {
        CHECK(create_task([] { return counted(3); }).get().value == 3);
        CHECK(counted::copies == 0);
        auto t = create_task([] { return counted(4); });
        t.join();
        CHECK(std::move(t).get().value == 4);
        CHECK(counted::copies == 0);
    });
}

TEST_CASE_METHOD(fixture, "task: get of an expiring handle copies while another handle is left") {
    run([] {
        auto t = create_task([] { return counted(5); });
        task_handle other = t;
        CHECK(std::move(t).get().value == 5);
        CHECK(counted::copies == 1);
        auto u = create_task([] { return counted(6); });
        auto v = u;
        CHECK(std::move(u).get().value == 6);
        CHECK(v.get().value == 6);
    });
}

TEST_CASE_METHOD(fixture,
                 "task: get of an expiring handle moves a move-only value whoever else has a handle") {
    run([] {
        auto t = create_task([] { return std::make_unique<int>(7); });
        auto other = t;
        CHECK(*std::move(t).get() == 7);
        CHECK(other.get() == nullptr);
    });
}

TEST_CASE_METHOD(fixture, "task: get and result rethrow what the task threw, again and again") {
    run([] {
        auto t = create_task([]() -> int { throw std::out_of_range("7"); });
        CHECK(thrown_by<std::out_of_range>([&] { t.get(); }) == "7");
        CHECK(thrown_by<std::out_of_range>([&] { t.result(); }) == "7");
        CHECK(thrown_by<std::out_of_range>([&] { std::move(t).get(); }) == "7");
        CHECK(throws<int>([] { create_task([] { throw 1; }).get(); }));
    });
}

TEST_CASE_METHOD(fixture, "task: result and exception of an unfinished task throw invalid_state") {
    run([] {
        auto t = create_task([] { return 1; });
        CHECK_THROWS_AS(t.result(), invalid_state);
        CHECK_THROWS_AS(t.exception(), invalid_state);
        t.join();
        CHECK(t.result() == 1);
        CHECK(t.exception() == nullptr);
    });
}

TEST_CASE_METHOD(fixture, "task: exception is null for a value, else what was thrown, also a cancelled") {
    run([] {
        auto failed = create_task([] { throw std::runtime_error("e"); });
        auto ended = create_task([] { throw cancelled("c"); });
        failed.join();
        ended.join();
        CHECK(reports::text(failed.exception()) == "e");
        CHECK(reports::text(ended.exception()) == "cancelled: c");
        CHECK_FALSE(failed.cancelled());
        CHECK(ended.cancelled());
    });
}

TEST_CASE_METHOD(fixture, "task: a result that cannot be stored is the task's exception") {
    struct fragile {
        fragile() = default;
        fragile(const fragile&) { throw std::runtime_error("no copy"); }
    };
    run([] {
        static const fragile one;
        auto t = create_task([]() -> fragile { return one; });
        CHECK(thrown_by<std::runtime_error>([&] { t.get(); }) == "no copy");
    });
}

TEST_CASE_METHOD(fixture,
                 "sleep: wakes sleepers in the order of their times, equal ones in the order they came") {
    notes log;
    run([&] {
        const auto sleeper = [&](const char* name, std::chrono::milliseconds time) {
            sleep(time);
            log.push_back(name);
        };
        create_task(sleeper, "30", 30ms);
        create_task(sleeper, "10", 10ms);
        create_task(sleeper, "20 first", 20ms);
        create_task(sleeper, "20 second", 20ms);
        const auto start = get_running_loop().time();
        sleep(1s);
        CHECK(get_running_loop().time() - start == 1s);
    });
    CHECK(log == notes{"10", "20 first", "20 second", "30"});
}

TEST_CASE_METHOD(fixture, "sleep: zero and negative times let the others run once") {
    run([] {
        int ran = 0;
        for (const auto time : {0ms, -5ms, std::chrono::milliseconds::min()}) {
            create_task([&] { ++ran; });
            sleep(time);
        }
        CHECK(ran == 3);
        const auto start = get_running_loop().time();
        sleep_until(start - 1h);
        CHECK(get_running_loop().time() == start);
    });
}

template <class T>
concept sleeps_for = requires(T t) {
    weft::sleep(t);
};
TEST_CASE("sleep: takes durations, no numbers") {
    STATIC_REQUIRE(sleeps_for<std::chrono::duration<double>>);
    STATIC_REQUIRE_FALSE(sleeps_for<int>);
    STATIC_REQUIRE_FALSE(sleeps_for<double>);
}

TEST_CASE_METHOD(fixture, "yield_now: lets everything that is ready run once") {
    notes log;
    run([&] {
        const auto worker = [&](const char* name) {
            for (int i = 0; i < 2; ++i) {
                log.push_back(name);
                yield_now();
            }
        };
        create_task(worker, "a");
        create_task(worker, "b");
        for (int i = 0; i < 3; ++i) {
            yield_now();
            log.push_back("main");
        }
    });
    CHECK(log == notes{"a", "b", "main", "a", "b", "main", "main"});
}

TEST_CASE_METHOD(fixture, "yield_now: in a circle does not keep time from passing") {
    run([] {
        bool rang = false;
        get_running_loop().call_later(1ms, [&] { rang = true; });
        while (!rang) {
            virtual_clock::pass(1us);
            yield_now();
        }
        CHECK(rang);
    });
}
