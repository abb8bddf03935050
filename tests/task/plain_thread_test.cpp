// Tasks as threads without a loop see them, and what such threads may not do.

#include <stdexcept>

#include <weft/cancellation.hpp>
#include <weft/gather.hpp>
#include <weft/task_group.hpp>
#include <weft/timeout.hpp>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

namespace {

/// Lets `outside` run on a thread of its own, once the main task waits for it to end.
template <class F> void beside_loop(F outside) {
    run([&] {
        std::atomic<bool> ended{false};
        const task_handle rest = create_task(park);
        std::thread t([&] {
            outside();
            ended = true;
            rest.cancel();
        });
        rest.join();
        t.join();
        CHECK(ended);
    });
}

}  // namespace

TEST_CASE_METHOD(fixture, "plain thread: joins and gets tasks of a loop") {
    run([] {
        std::atomic<bool> go{false};
        auto value = create_task([&] {
            while (!go)
                yield_now();
            return 12;
        });
        auto failed = create_task([&] {
            while (!go)
                yield_now();
            throw std::runtime_error("over there");
        });
        int got = 0;
        std::string error;
        const task_handle rest = create_task(park);
        std::thread outside([&] {
            go = true;
            value.join();
            got = value.get();
            error = thrown_by<std::runtime_error>([&] { failed.get(); });
            rest.cancel();
        });
        rest.join();
        outside.join();
        CHECK(got == 12);
        CHECK(error == "over there");
    });
}

TEST_CASE_METHOD(fixture, "plain thread: several wait for one task") {
    run([] {
        auto t = create_task([] {
            park();
            return 1;
        });
        std::atomic<int> woken{0};
        const task_handle rest = create_task(park);
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([&] {
                t.join();
                if (++woken == 4)
                    rest.cancel();
            });
        }
        t.cancel();
        rest.join();
        for (auto& thread : threads)
            thread.join();
        CHECK(woken == 4);
    });
}

TEST_CASE_METHOD(fixture, "plain thread: get of the last handle moves the value out") {
    for (int i = 0; i < 20; ++i) {
        counted::copies = 0;
        run([] {
            auto t = create_task([] {
                turns(3);
                return counted(5);
            });
            int got = 0;
            const task_handle rest = create_task(park);
            std::thread outside([&, last = std::move(t)]() mutable {
                got = std::move(last).get().value;
                rest.cancel();
            });
            rest.join();
            outside.join();
            CHECK(got == 5);
            CHECK(counted::copies == 0);
        });
    }
}

TEST_CASE_METHOD(fixture, "plain thread: cancels a task from outside, with a message") {
    run([] {
        std::string message;
        auto t = create_task([&] { message = thrown_by(park); });
        std::thread outside([t] { t.cancel("from outside"); });
        t.join();
        outside.join();
        CHECK(message == "from outside");
        CHECK(t.cancelling() == 1);
        CHECK_FALSE(t.cancel());
    });
}

TEST_CASE_METHOD(fixture, "plain thread: takes a cancellation back from outside") {
    run([] {
        auto t = create_task([] { park(); });
        yield_now();
        std::thread([t] { t.cancel(); }).join();
        std::thread([t] { CHECK(t.uncancel() == 0); }).join();
        sleep(1ms);  // the loop hears of both
        CHECK_FALSE(t.done());
        t.cancel();
        t.join();
    });
}

TEST_CASE_METHOD(fixture, "plain thread: requests from many threads are all counted, and delivered") {
    run([] {
        auto t = create_task([] {
            int delivered = 0;
            while (current_task().cancelling() < 40) {
                try {
                    yield_now();
                } catch (const cancelled&) {
                    ++delivered;
                }
            }
            return delivered;
        });
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([t] {
                for (int k = 0; k < 10; ++k)
                    t.cancel();
            });
        }
        t.join();
        for (auto& thread : threads)
            thread.join();
        CHECK(t.cancelling() == 40);
        CHECK(t.get() <= 40);
    });
}

TEST_CASE_METHOD(fixture, "plain thread: waits for many tasks with wait, gather and as_completed") {
    run([] {
        std::vector<task<int>> tasks;
        for (int i = 0; i < 3; ++i) {
            tasks.push_back(create_task([i] {
                turns(i);
                return i;
            }));
        }
        std::vector<int> gathered, completed;
        std::size_t done = 0;
        const task_handle rest = create_task(park);
        std::thread outside([&] {
            done = wait(tasks).done.size();
            gathered = gather(tasks);
            for (auto& t : as_completed(tasks))
                completed.push_back(t.get());
            rest.cancel();
        });
        rest.join();
        outside.join();
        CHECK(done == 3);
        CHECK(gathered == std::vector{0, 1, 2});
        CHECK(completed == std::vector{0, 1, 2});
    });
}

TEST_CASE_METHOD(fixture, "plain thread: calls on a loop with call_soon_threadsafe") {
    run([] {
        std::thread::id ran_on;
        const task_handle rest = create_task(park);
        std::thread outside([&, &l = get_running_loop()] {
            l.call_soon_threadsafe([&] {
                ran_on = std::this_thread::get_id();
                rest.cancel();
            });
        });
        rest.join();
        outside.join();
        CHECK(ran_on == std::this_thread::get_id());
    });
}

TEST_CASE_METHOD(fixture, "tasks of one loop are joined, gotten and cancelled by another loop's tasks") {
    run([] {
        auto value = create_task([] {
            turns(3);
            return 21;
        });
        auto parked = create_task(park);
        int got = 0;
        bool forwarded = false;
        const task_handle rest = create_task(park);
        std::thread other([&] {
            run([&] {
                got = value.get();
                auto waiter = create_task([&] { parked.get(); });
                yield_now();
                waiter.cancel("across");
                waiter.join();
                forwarded = waiter.cancelled() && parked.cancelled();
            });
            rest.cancel();
        });
        rest.join();
        other.join();
        CHECK(got == 21);
        CHECK(forwarded);
        CHECK(reports::text(parked.exception()) == "cancelled: across");
    });
}

TEST_CASE_METHOD(fixture, "no loop: what starts tasks or sets deadlines throws no_running_loop") {
    const auto nothing = [] {};
    CHECK_THROWS_AS(create_task(nothing), no_running_loop);
    CHECK_THROWS_AS(create_task({.eager = true}, nothing), no_running_loop);
    CHECK_THROWS_AS(gather(nothing), no_running_loop);
    CHECK_THROWS_AS(timeout(1s, nothing), no_running_loop);
    CHECK_THROWS_AS(timeout_at(std::chrono::steady_clock::now(), nothing), no_running_loop);
    CHECK_THROWS_AS(wait_for(nothing, 1s), no_running_loop);
    CHECK_THROWS_AS(move_on_after(1s, nothing), no_running_loop);
    CHECK_THROWS_AS(with_task_group([](task_group&) {}), no_running_loop);
    CHECK_THROWS_AS(get_running_loop(), no_running_loop);
    CHECK_THROWS_AS(all_tasks(), no_running_loop);
    CHECK_THROWS_AS(current_task(), no_running_task);
}

TEST_CASE_METHOD(fixture, "no loop: a task that cannot be made frees its function and arguments") {
    CHECK_THROWS_AS(create_task([c = counted()](const counted&) {}, counted()), no_running_loop);
    CHECK(counted::live == 0);
}

TEST_CASE_METHOD(fixture, "no loop: sleep and yield_now are the thread's") {
    yield_now();
    sleep(0ms);
    sleep(-1h);
    sleep(1us);
    sleep_until(std::chrono::system_clock::now());
    CHECK(uncancellable([] { return 1; }) == 1);
}

TEST_CASE_METHOD(fixture, "no task: in a loop callback what needs a task throws no_running_task") {
    run([] {
        std::vector<std::string> allowed;
        const auto refused = [&](const char* name, auto f) {
            if (!throws<no_running_task>(f))
                allowed.push_back(name);
        };
        auto pending = create_task(park);
        const auto nothing = [] {};
        get_running_loop().call_soon([&] {
            refused("current_task", current_task);
            refused("sleep", [] { sleep(1s); });
            refused("sleep(0)", [] { sleep(0s); });
            refused("sleep_until", [] { sleep_until(std::chrono::system_clock::now()); });
            refused("yield_now", yield_now);
            refused("join", [&] { pending.join(); });
            refused("get", [&] { pending.get(); });
            refused("shield", [&] { shield(pending); });
            refused("wait", [&] { wait({pending}); });
            refused("gather of a task", [&] { gather(pending); });
            refused("gather of a callable", [&] { gather(nothing, nothing); });
            refused("as_completed", [&] {
                for (auto& t : as_completed({pending}))
                    t.join();
            });
            refused("timeout", [&] { timeout(1s, nothing); });
            refused("wait_for", [&] { wait_for(nothing, 1s); });
            refused("wait_for of a task", [&] { wait_for(pending, 1s); });
            refused("move_on_after", [&] { move_on_after(1s, nothing); });
            refused("with_task_group", [] { with_task_group([](task_group&) {}); });
        });
        turns(2);
        CHECK(allowed == std::vector<std::string>());
    });
}

TEST_CASE_METHOD(fixture, "no task: a loop callback may start tasks") {
    run([] {
        bool ran = false;
        get_running_loop().call_soon([&] { create_task([&] { ran = true; }); });
        turns(2);
        CHECK(ran);
    });
}

TEST_CASE_METHOD(fixture, "loop: beside a running loop a thread without one is still without one") {
    bool refused = false;
    beside_loop([&] { refused = throws<no_running_loop>(get_running_loop); });
    CHECK(refused);
}
