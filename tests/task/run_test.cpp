// <weft/run.hpp>: what run gives back, what it does with the tasks that are left, and runner. Options, the environment and
// Ctrl-C are in run_options_test.cpp.

#include <memory>
#include <stdexcept>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

TEST_CASE_METHOD(fixture, "run: gives back what the function returns") {
    CHECK(run([] { return 42; }) == 42);
    CHECK(run([] { return std::string("text"); }) == "text");
    STATIC_REQUIRE(std::is_void_v<decltype(run([] {}))>);
}

TEST_CASE_METHOD(fixture, "run: gives back a reference as a reference") {
    int x = 0;
    int& result = run([&]() -> int& { return x; });
    CHECK(&result == &x);
}

TEST_CASE_METHOD(fixture, "run: gives back a move-only value") {
    CHECK(*run([] { return std::make_unique<int>(3); }) == 3);
}

TEST_CASE_METHOD(fixture, "run: gives the result without copying it") {
    CHECK(run([] { return counted(7); }).value == 7);
    CHECK(counted::copies == 0);
}

TEST_CASE_METHOD(fixture, "run: hands its arguments to the function as they are") {
    int n = 1;
    run([](int& x, std::unique_ptr<int> p) { x += *p; }, n, std::make_unique<int>(2));
    CHECK(n == 3);
    struct object {
        int get() const { return 9; }
    } o;
    CHECK(run(&object::get, o) == 9);
}

TEST_CASE_METHOD(fixture, "run: throws what the function throws") {
    CHECK_THROWS_AS(run([] { throw std::out_of_range("far"); }), std::out_of_range);
    CHECK_THROWS_AS(run([] { throw 7; }), int);
    CHECK(thrown_by<std::runtime_error>([] { run([]() -> int { throw std::runtime_error("exact"); }); }) ==
          "exact");
}

TEST_CASE_METHOD(fixture, "run: throws cancelled if the main task ends cancelled") {
    CHECK(thrown_by([] { run([] { throw cancelled("by itself"); }); }) == "by itself");
    const auto by_another = [] {
        run([] {
            create_task([main = current_task()] { main.cancel("by another"); });
            park();
        });
    };
    CHECK(thrown_by(by_another) == "by another");
}

TEST_CASE_METHOD(fixture, "run: runs the main task as a task of a loop") {
    run([] {
        CHECK(current_task());
        CHECK(get_running_loop().is_running());
        CHECK(all_tasks() == std::vector{current_task()});
    });
}

TEST_CASE_METHOD(fixture, "run: inside a running loop throws logic_error, and the loop goes on") {
    const int result = run([] {
        CHECK_THROWS_AS(run([] {}), std::logic_error);
        sleep(1ms);
        return 5;
    });
    CHECK(result == 5);
}

TEST_CASE_METHOD(fixture, "run: in a loop callback throws logic_error") {
    run([] {
        bool refused = false;
        get_running_loop().call_soon([&] { refused = throws<std::logic_error>([] { run([] {}); }); });
        turns(2);
        CHECK(refused);
    });
}

TEST_CASE_METHOD(fixture, "run: cancels the tasks that are still alive and waits for them") {
    notes log;
    run([&] {
        for (int i = 0; i < 3; ++i) {
            create_task([&, i, c = counted()] {
                at_exit left{[&] { log.push_back("task " + std::to_string(i)); }};
                park();
            });
        }
        yield_now();
        log.push_back("main");
    });
    CHECK(log == notes{"main", "task 0", "task 1", "task 2"});
}

TEST_CASE_METHOD(fixture, "run: ends a task made by the main task's last words") {
    task<> t;
    run([&] { t = create_task([c = counted()] { park(); }); });
    CHECK(t.cancelled());
}

TEST_CASE_METHOD(fixture, "run: lets the tasks that are left block while they clean up") {
    bool cleaned_up = false;
    run([&] {
        create_task([&] {
            try {
                park();
            } catch (const cancelled&) {
                sleep(1h);
                cleaned_up = true;
                throw;
            }
        });
        yield_now();
    });
    CHECK(cleaned_up);
}

TEST_CASE_METHOD(fixture, "run: waits for a task that goes on in spite of its cancellation") {
    bool finished = false;
    run([&] {
        create_task([&] {
            CHECK_THROWS_AS(park(), cancelled);
            for (int i = 0; i < 10; ++i)
                sleep(1min);
            finished = true;
        });
        yield_now();
    });
    CHECK(finished);
}

TEST_CASE_METHOD(fixture, "run: cancels tasks that are born while it ends") {
    bool ran = false;
    task_handle late, later;
    run([&] {
        create_task([&] {
            at_exit start_another{[&] {
                late = create_task([&, c = counted()] { ran = true; });
                late.add_done_callback([&] { later = create_task([&, c = counted()] { ran = true; }); });
            }};
            park();
        });
        yield_now();
    });
    CHECK_FALSE(ran);
    CHECK(late.cancelled());
    CHECK(later.cancelled());
}

TEST_CASE_METHOD(fixture, "run: tells the exception handler of what the tasks that are left throw") {
    reports told;
    const int result = run([&] {
        told.install();
        create_task([] {
            at_exit fail{[] {}};
            try {
                park();
            } catch (const cancelled&) {
                throw std::runtime_error("while cleaning up");
            }
        });
        yield_now();
        return 1;
    });
    CHECK(result == 1);
    REQUIRE(told.seen.size() == 1);
    CHECK(told.seen[0].exception == "while cleaning up");
}

TEST_CASE_METHOD(fixture, "run: says nothing of tasks that end cancelled") {
    reports told;
    run([&] {
        told.install();
        create_task(park);
        create_task([] {});
        yield_now();
    });
    CHECK(told.seen.empty());
}

TEST_CASE_METHOD(fixture, "run: waits for the tasks that are left also if the main task throws") {
    bool ended = false;
    const auto program = [&] {
        create_task([&] {
            at_exit leave{[&] { ended = true; }};
            park();
        });
        yield_now();
        throw std::runtime_error("main");
    };
    CHECK(thrown_by<std::runtime_error>([&] { run(program); }) == "main");
    CHECK(ended);
}

TEST_CASE_METHOD(fixture, "run: one after the other on one thread, and on several threads at once") {
    for (int i = 0; i < 3; ++i)
        CHECK(run([i] { return create_task([i] { return i; }).get(); }) == i);
    std::atomic<int> sum{0};
    std::vector<std::thread> threads;
    for (int i = 1; i <= 3; ++i)
        threads.emplace_back([&, i] { sum += run([i] { return create_task([i] { return i; }).get(); }); });
    for (auto& t : threads)
        t.join();
    CHECK(sum == 6);
}

TEST_CASE_METHOD(fixture, "runner: tasks go on in the next run") {
    runner r;
    task<int> t;
    r.run([&] {
        t = create_task([] {
            sleep(1s);
            return 5;
        });
        yield_now();
    });
    CHECK_FALSE(t.done());
    CHECK(r.run([&] { return t.get(); }) == 5);
}

TEST_CASE_METHOD(fixture, "runner: gives the loop that it runs") {
    runner r;
    loop& before = r.get_loop();
    r.run([&] { CHECK(&get_running_loop() == &before); });
    CHECK(&r.get_loop() == &before);
    CHECK_FALSE(before.is_running());
}

TEST_CASE_METHOD(fixture, "runner: can run again after a function that threw") {
    runner r;
    CHECK_THROWS_AS(r.run([] { throw std::runtime_error("once"); }), std::runtime_error);
    CHECK(r.run([] { return 1; }) == 1);
}

TEST_CASE_METHOD(fixture, "runner: close cancels what is left, can be repeated, and ends the runner") {
    runner r;
    bool ended = false;
    r.run([&] {
        create_task([&] {
            at_exit leave{[&] { ended = true; }};
            park();
        });
        yield_now();
    });
    CHECK_FALSE(ended);
    r.close();
    CHECK(ended);
    r.close();
    CHECK_THROWS_AS(r.run([] {}), std::logic_error);
}

TEST_CASE_METHOD(fixture, "runner: its end closes it") {
    bool ended = false;
    {
        runner r;
        r.run([&] {
            create_task([&] {
                at_exit leave{[&] { ended = true; }};
                park();
            });
            yield_now();
        });
    }
    CHECK(ended);
}

TEST_CASE_METHOD(fixture, "runner: run inside its own run throws logic_error") {
    runner r;
    r.run([&] { CHECK_THROWS_AS(r.run([] {}), std::logic_error); });
}

TEST_CASE_METHOD(fixture, "runner: a closed runner's loop says that it is closed") {
    runner r;
    loop& l = r.get_loop();
    CHECK_FALSE(l.is_closed());
    r.close();
    CHECK(l.is_closed());
}
