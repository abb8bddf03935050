// How long a task lives: until it is done and nobody refers to it, whoever comes last, and on whatever thread.

#include <atomic>
#include <memory>
#include <optional>
#include <random>

#include <weft/event.hpp>
#include <weft/loop_group.hpp>
#include <weft/queue.hpp>

#include "fixture.hpp"
#include "rounds.hpp"

using namespace task_test;

TEST_CASE_METHOD(fixture, "lifetime: a task that nobody holds runs to its end and is freed there, with its result") {
    int ran = 0;
    weft::run([&] {
        weft::create_task([&, c = counted()] { weft::yield_now(); ++ran; return counted(); });
        weft::create_task([&, c = counted()] { ++ran; });
        while (ran < 2) weft::yield_now();
        weft::yield_now();
        CHECK(counted::live == 0);
    });
}

TEST_CASE_METHOD(fixture, "lifetime: what was found in the loop may be kept beyond the task's end") {
    weft::task_handle by_itself, by_all_tasks;
    weft::run([&] {
        weft::event go;
        weft::create_task([&] {   // nobody holds it when it asks for itself
            weft::yield_now();
            by_itself = weft::current_task();
            go.wait();
        });
        weft::create_task([&, c = counted()] { go.wait(); });
        weft::yield_now();
        weft::yield_now();
        by_all_tasks = weft::all_tasks().back();
        REQUIRE(weft::all_tasks().size() == 3);
        for (int i = 0; i < 3; ++i) weft::all_tasks();   // found and let go, again and again
        go.set();
        by_all_tasks.join();
        by_itself.join();
        CHECK(by_all_tasks.done());
        CHECK(counted::live == 0);
    });
    CHECK(by_itself.done());
    CHECK_FALSE(by_itself.cancelled());
}

TEST_CASE_METHOD(fixture, "lifetime: the last handle may go in the task itself, in a done callback, or with the task's own function") {
    int called = 0;
    weft::run([&] {
        auto own = std::make_unique<weft::task_handle>();
        auto& place = *own;
        place = weft::create_task([own = std::move(own)] { weft::yield_now(); });   // freed with the function: by its own end
        {
            weft::task_handle other = weft::create_task([] { weft::yield_now(); });
            other.add_done_callback([&called, keep = other](const weft::task_handle& t) { called += t == keep; });
        }
        std::optional<weft::task_handle> dropped;
        dropped = weft::create_task([&] { dropped.reset(); weft::yield_now(); ++called; });
        for (int i = 0; i < 5; ++i) weft::yield_now();
    });
    CHECK(called == 2);
}

TEST_CASE_METHOD(fixture, "lifetime: a task that could not be given to a loop is freed with its function") {
    weft::run([&] {
        weft::task_options tiny;
        tiny.stack_size = 1;
        CHECK_THROWS_AS(weft::create_task(tiny, [c = counted()] {}), std::invalid_argument);
        CHECK(counted::live == 0);
    });
    std::optional<weft::loop_group> group(std::in_place, 1);
    weft::loop& closed = (*group)[0];
    CHECK_THROWS_AS(group->spawn_on(closed, weft::task_options{{}, 1}, [c = counted()] {}), std::invalid_argument);
    CHECK(counted::live == 0);
    group->spawn_on(closed, [&] { weft::get_running_loop().stop(); });
    for (;;) {
        try {
            group->spawn_on(closed, [c = counted()] {}).join();
        } catch (const weft::invalid_state&) {
            break;
        }
    }
    CHECK(counted::live == 0);
}

TEST_CASE("lifetime: the last handle goes on another thread while the task ends") {
    const count_check counts;
    std::atomic<int> ended{0};
    const int tasks = weft_test::rounds(20'000);
    INFO("seed 4711");
    {
        weft::loop_group group(2);
        std::mt19937 random(4711);
        weft::run([&] {
            // Handles of tasks on three loops, dropped on all of them and on this one, once, twice, or while others copy them.
            for (int i = 0; i < tasks; ++i) {
                auto work = [&ended, c = counted(), yields = random() % 3] {
                    for (unsigned y = 0; y < yields; ++y) weft::yield_now();
                    ended.fetch_add(1);
                    return counted();
                };
                weft::task_handle t;
                switch (random() % 3) {
                    case 0: t = weft::create_task(std::move(work)); break;
                    case 1: t = group.spawn_on(group[0], std::move(work)); break;
                    default: t = group.spawn_on(group[1], std::move(work)); break;
                }
                switch (random() % 4) {
                    case 0: break;   // here
                    case 1: group.spawn_on(group[0], [t = std::move(t)] {}); break;
                    case 2: group.spawn_on(group[1], [t] { weft::yield_now(); }); break;
                    default:
                        group.spawn_on(group[0], [t] { weft::all_tasks(); });
                        group.spawn_on(group[1], [t = std::move(t)] { t.cancel(); });
                        break;
                }
                if (i % 64 == 0) weft::yield_now();
            }
        });
    }
    CHECK(ended.load() <= tasks);
    CHECK(counted::live == 0);
}
