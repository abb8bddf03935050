// <weft/loop_group.hpp>: loops in threads of their own, and what works between loops.

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <memory>
#include <random>
#include <set>
#include <stdexcept>
#include <system_error>
#include <thread>

#include <weft/context_var.hpp>
#include <weft/event.hpp>
#include <weft/gather.hpp>
#include <weft/loop_group.hpp>
#include <weft/queue.hpp>
#include <weft/semaphore.hpp>
#include <weft/task_group.hpp>
#include <weft/timeout.hpp>

#include "child_process.hpp"
#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

TEST_CASE("loop_group: each loop runs in a thread of its own") {
    weft_test::leak_check leaks;
    run([] {
        loop_group group(3);
        CHECK(group.size() == 3);
        std::set<std::thread::id> threads{std::this_thread::get_id()};
        for (std::size_t i = 0; i < 3; ++i) {
            auto t = group.spawn_on(group[i], [&, i] {
                CHECK(&get_running_loop() == &group[i]);
                return std::this_thread::get_id();
            });
            threads.insert(t.get());
            CHECK(group[i].is_running());
        }
        CHECK(threads.size() == 4);
        CHECK(throws<std::out_of_range>([&] { group[3]; }));
    });
    CHECK(throws<std::invalid_argument>([] { loop_group none(0); }));
    CHECK(throws<std::invalid_argument>([] { loop_group bad(2, {.stack_size = 1}); }));
}

TEST_CASE("spawn_on: gives values, references and exceptions, decay-copies its arguments, takes options") {
    weft_test::leak_check leaks;
    run([] {
        loop_group group(1);
        loop& l = group[0];
        CHECK(group.spawn_on(l, [](int a, std::string b) { return b + std::to_string(a); }, 4, "x").get() == "x4");
        CHECK(*group.spawn_on(l, [](std::unique_ptr<int> p) { return p; }, std::make_unique<int>(6)).get() == 6);
        int target = 0;
        CHECK(&group.spawn_on(l, [&]() -> int& { return target; }).get() == &target);
        CHECK(thrown_by<std::runtime_error>([&] {
                  group.spawn_on(l, [] { throw std::runtime_error("there"); }).get();
              }) == "there");
        auto named = group.spawn_on(l, task_options{.name = "far"}, [] { return current_task().name(); });
        CHECK(named.name() == "far");
        CHECK(named.get() == "far");
        CHECK(throws<std::invalid_argument>([&] { group.spawn_on(l, task_options{.stack_size = 5}, [] {}); }));
        std::set<std::uint64_t> ids;
        for (int i = 0; i < 100; ++i) {
            ids.insert(group.spawn_on(l, [] {}).id());
            ids.insert(create_task([] {}).id());
        }
        CHECK(ids.size() == 200);
    });
}

TEST_CASE("spawn_on: starts in the order of the spawns, also on the own loop, and with the creator's context") {
    static context_var<int> number(0);
    weft_test::leak_check leaks;
    run([] {
        loop_group group(1);
        std::vector<int> order;
        number.set(3);
        for (int i = 0; i < 100; ++i)
            group.spawn_on(group[0], [&, i] { order.push_back(i + 1000 * (number.get() - 3)); });
        group.spawn_on(group[0], [] {}).join();
        std::vector<int> expected(100);
        for (int i = 0; i < 100; ++i) expected[static_cast<std::size_t>(i)] = i;
        CHECK(order == expected);
        CHECK(group.spawn_on(get_running_loop(), [] { return &get_running_loop(); }).get() == &get_running_loop());
    });
}

TEST_CASE("spawn_on: from a plain thread, which then blocks in get") {
    weft_test::leak_check leaks;
    loop_group group(2);
    CHECK(group.spawn_on(group[1], [&] {
        return group.spawn_on(group[0], [] {
            sleep(1ms);
            return 8;
        }).get();
    }).get() == 8);
    std::set<std::uint64_t> ids;
    for (int i = 0; i < 100; ++i) ids.insert(group.spawn_on(group[static_cast<std::size_t>(i % 2)], [] {}).id());
    CHECK(ids.size() == 100);
}

TEST_CASE("spawn_on: a cancelled get forwards to the other loop, and waits for the end there") {
    weft_test::leak_check leaks;
    run([] {
        loop_group group(1);
        std::atomic<bool> unwound{false};
        event there_began;
        auto waiting = create_task([&] {
            group.spawn_on(group[0], [&] {
                at_exit note{[&] { unwound = true; }};
                there_began.set();
                sleep(1h);
            }).get();
        });
        there_began.wait();
        waiting.cancel("enough");
        CHECK(thrown_by([&] { waiting.get(); }) == "enough");
        CHECK(unwound);
    });
}

TEST_CASE("spawn_on: cancelled before its first turn, the function never runs and is freed") {
    weft_test::leak_check leaks;
    counted::live = 0;
    run([] {
        loop_group group(1);
        std::atomic<bool> held{false}, hold{true}, began{false};
        auto busy = group.spawn_on(group[0], [&] {
            held = true;
            while (hold) std::this_thread::yield();
        });
        while (!held) std::this_thread::yield();   // what comes now arrives there together, and in order
        auto never = group.spawn_on(group[0], [&, c = counted()] { began = true; });
        never.cancel("early");
        hold = false;
        busy.get();
        never.join();
        CHECK(never.cancelled());
        CHECK_FALSE(began);
        CHECK(counted::live == 0);
        CHECK(thrown_by([&] { never.get(); }) == "early");
    });
}

TEST_CASE("loop_group: its end cancels what runs, lets it unwind, and refuses what comes later") {
    weft_test::leak_check leaks;
    counted::live = 0;
    run([] {
        auto group = std::make_unique<loop_group>(2);
        std::atomic<int> unwound{0};
        semaphore began(0);
        std::vector<task<>> all;
        for (std::size_t i = 0; i < 50; ++i)
            all.push_back(group->spawn_on((*group)[i % 2], [&, c = counted()] {
                at_exit note{[&] { ++unwound; }};
                began.release();
                if (began.value() % 2 == 0) sleep(1h);
                else event().wait();
            }));
        for (std::size_t i = 0; i < all.size(); ++i) began.acquire();
        group.reset();
        CHECK(unwound == 50);
        for (const auto& t : all) {
            CHECK(t.done());
            CHECK(t.cancelled());
        }
        CHECK(counted::live == 0);
    });
}

TEST_CASE("loop_group: its end suspends the task that ends it, so that its loops may still need this one") {
    weft_test::leak_check leaks;
    run([] {
        bool helped = false;
        auto group = std::make_unique<loop_group>(1);
        loop& here = get_running_loop();
        event began;
        auto there = group->spawn_on((*group)[0], [&] {
            began.set();
            try {
                sleep(1h);
            } catch (const cancelled&) {
                loop_group::spawn_on(here, [&] { helped = true; }).join();   // its last wish: something of the first loop
                throw;
            }
        });
        began.wait();
        group.reset();
        CHECK(helped);
        CHECK(there.cancelled());
    });
}

TEST_CASE("loop_group: a cancellation of the task that ends it stays pending until it has ended") {
    weft_test::leak_check leaks;
    run([] {
        notes log;
        event began;
        auto ending = create_task([&] {
            {
                loop_group group(1);
                group.spawn_on(group[0], [&] {
                    began.set();
                    sleep(1h);
                });
                try {
                    sleep(1h);
                } catch (const cancelled&) {
                    log.push_back("cancelled");
                }
                current_task().cancel("again");
            }
            log.push_back("ended");
            sleep(1h);
        });
        began.wait();
        ending.cancel();
        CHECK(thrown_by([&] { ending.get(); }) == "again");
        CHECK(log == notes{"cancelled", "ended"});
    });
}

TEST_CASE("loop_group: a loop that stops itself is closed, and says so") {
    weft_test::leak_check leaks;
    loop_group group(2);
    auto last = group.spawn_on(group[0], [] { get_running_loop().stop(); });
    last.join();
    while (!group[0].is_closed()) std::this_thread::yield();
    CHECK(thrown_by<invalid_state>([&] { group.spawn_on(group[0], [] {}); }) == "spawn_on: the loop is closed");
    CHECK(group.spawn_on(group[1], [] { return 1; }).get() == 1);
}

TEST_CASE("loop_group: destroyed on one of its own loops says so, and does not wait for itself") {
    const bool in_callback = GENERATE(false, true);
    const auto died = weft_test::in_child([&] {
        auto group = std::make_unique<loop_group>(2);
        loop& last = (*group)[1];
        if (in_callback) last.call_soon_threadsafe([&] { group.reset(); });
        else loop_group::spawn_on(last, [&] { group.reset(); });
        ::alarm(20);   // else it waits for ever
        for (;;) ::pause();
    });
    CHECK(died.died_of(SIGABRT));
    CHECK(died.said("a loop_group is destroyed on one of its own loops") == 1);
}

TEST_CASE("loop_group: spawning races with the end of a loop; each task runs, ends cancelled, or is refused") {
    weft_test::leak_check leaks;
    counted::live = 0;
    for (int round = 0; round < 100; ++round) {
        loop_group group(1);
        std::atomic<bool> go{false};
        std::vector<task<int>> all;
        std::thread other([&] {
            go = true;
            try {
                for (int i = 0;; ++i) all.push_back(group.spawn_on(group[0], [i, c = counted()] { return i; }));
            } catch (const invalid_state&) {
            }
        });
        while (!go) std::this_thread::yield();
        group[0].stop();
        other.join();
        for (std::size_t i = 0; i < all.size(); ++i) {
            all[i].join();
            if (!all[i].cancelled()) CHECK(all[i].get() == static_cast<int>(i));
        }
        all.clear();
        CHECK(counted::live == 0);
    }
}

TEST_CASE("loop_group: loops that cannot be had are an error, and those that had started are ended") {
    weft_test::leak_check leaks;
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    rlimit few = before;
    few.rlim_cur = weft_test::open_descriptors() + 40;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
    const bool refused = throws<std::system_error>([] { loop_group group(200); });
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(refused);
    for (const std::size_t loops : {std::size_t(0), std::size_t(65537), static_cast<std::size_t>(-1)})
        CHECK(thrown_by<std::invalid_argument>([&] { loop_group group(loops); }) ==
              "loop_group: loops=" + std::to_string(loops) + ": must be from 1 to 65536");
}

TEST_CASE("loop_group: a queue between loops loses and doubles nothing") {
    weft_test::leak_check leaks;
    run([] {
        loop_group group(2);
        queue<int> items(4);
        std::atomic<long> sum{0};
        std::vector<task<>> all;
        for (std::size_t l = 0; l < 2; ++l)
            for (int c = 0; c < 3; ++c)
                all.push_back(group.spawn_on(group[l], [&] {
                    for (const int i : items) sum += i;
                }));
        for (int i = 1; i <= 2000; ++i) items.put(i);
        items.shutdown();
        for (const auto& t : all) t.get();
        CHECK(sum == 2000L * 2001 / 2);
    });
}

TEST_CASE("loop_group: a task group waits for work on other loops, and cancels it when a child fails") {
    weft_test::leak_check leaks;
    run([] {
        loop_group loops(2);
        std::atomic<int> cancelled_there{0};
        event both;
        std::atomic<int> began{0};
        const auto there = [&](std::size_t number) {
            loops.spawn_on(loops[number], [&] {
                if (++began == 2) both.set();
                try {
                    sleep(1h);
                } catch (const cancelled&) {
                    ++cancelled_there;
                    throw;
                }
            }).get();
        };
        const std::string what = thrown_by<exception_group>([&] {
            with_task_group([&](task_group& g) {
                g.create_task(there, 0);
                g.create_task(there, 1);
                g.create_task([&] {
                    both.wait();
                    throw std::runtime_error("here");
                });
            });
        });
        CHECK(what.find("here") != std::string::npos);
        CHECK(cancelled_there == 2);
        const auto [a, b] = gather(loops.spawn_on(loops[0], [] { return 1; }), loops.spawn_on(loops[1], [] { return 2; }));
        CHECK(a + b == 3);
        CHECK(throws<timeout_error>([&] { wait_for(loops.spawn_on(loops[1], [] { sleep(1h); }), 1ms); }));
    });
}

TEST_CASE("loop_group: exceptions that nobody took are told to the loop on which the task ran") {
    weft_test::leak_check leaks;
    std::string told;
    {
        loop_group group(1);
        group[0].set_exception_handler([&, first = &group[0]](loop& l, const exception_context& c) {
            CHECK(&l == first);
            told = c.message + ": " + reports::text(c.exception);
        });
        event running;   // one that the group's end cancels before would never run
        group.spawn_on(group[0], [&] {
            running.set();
            throw std::runtime_error("lost");
        });
        running.wait();
    }
    CHECK(told == "task exception was never retrieved: lost");
}

TEST_CASE("loop_group: cancels, joins and ends of tasks race between loops, and nothing is lost") {
    weft_test::leak_check leaks;
    const unsigned seed = std::random_device()();
    INFO("seed " << seed);
    run([&] {
        loop_group group(2);
        std::mt19937 random(seed);
        std::atomic<int> begun{0}, ended{0};
        for (int round = 0; round < 300; ++round) {
            auto t = group.spawn_on(group[round % 2], [&, steps = random() % 4] {
                ++begun;
                at_exit note{[&] { ++ended; }};
                for (unsigned i = 0; i < steps; ++i) yield_now();
                if (steps == 3) sleep(1h);
                return steps;
            });
            auto canceller = group.spawn_on(group[(round + 1) % 2], [t] { t.cancel("from the other"); });
            for (unsigned i = random() % 3; i > 0; --i) yield_now();
            if (random() % 2) t.cancel("from the first");
            canceller.get();
            t.join();
            CHECK(t.done());
            if (!t.cancelled()) CHECK(t.get() < 3);
        }
        CHECK(begun == ended);
    });
}
