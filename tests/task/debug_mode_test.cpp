// Debug mode: slow turns and callbacks, calls from the wrong thread, tasks that are pending at the end; and where tasks were
// created, which is told in any mode.

#include <unistd.h>

#include <cstdlib>
#include <stdexcept>
#include <thread>

#include <weft/gather.hpp>
#include <weft/loop_group.hpp>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

namespace {

/// What the exception handler was told, in full.
struct told {
    void install(loop& l) {
        l.set_exception_handler([this](loop&, const exception_context& c) { seen.push_back(c); });
    }
    std::vector<exception_context> seen;
};

[[maybe_unused]] std::string here(int line) { return "debug_mode_test.cpp:" + std::to_string(line); }
bool ends_with(const std::string& text, const std::string& end) {
    return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}
/// Whether it names the line of a call; by its address, where the compiler cannot tell lines (Clang 14).
bool names(const std::string& created_at, [[maybe_unused]] int line) {
#ifdef __cpp_lib_source_location
    return ends_with(created_at, here(line));
#else
    return !created_at.empty();
#endif
}

}  // namespace

TEST_CASE_METHOD(fixture, "debug: a task that holds the loop is reported with its name, its time and where it was created") {
    told reported;
    int line = 0;
    run({.debug = true, .slow_callback_duration = 50ms}, [&] {
        reported.install(get_running_loop());
        auto slow = create_task({.name = "slow one"}, [] { virtual_clock::pass(75ms); }); line = __LINE__;
        auto quick = create_task([] {
            for (int i = 0; i < 10; ++i) {
                virtual_clock::pass(40ms);
                yield_now();
            }
        });
        slow.get();
        quick.get();
    });
    REQUIRE(reported.seen.size() == 1);
    CHECK(reported.seen[0].message == "executing a task took 0.075 seconds, in which nothing else could run");
    CHECK(reported.seen[0].task.name() == "slow one");
    CHECK_FALSE(reported.seen[0].exception);
    CHECK(names(reported.seen[0].created_at, line));
}

TEST_CASE_METHOD(fixture, "debug: what a task does between two waits is timed alone; a sleep is not held against it") {
    told reported;
    run({.debug = true}, [&] {
        reported.install(get_running_loop());
        auto t = create_task([] {
            sleep(1h);
            virtual_clock::pass(99ms);
            sleep(1h);
            virtual_clock::pass(100ms);
            sleep(1h);
        });
        t.get();
    });
    REQUIRE(reported.seen.size() == 1);
    CHECK(reported.seen[0].message.find("0.100 seconds") != std::string::npos);
}

TEST_CASE_METHOD(fixture, "debug: a callback that holds the loop is reported, whichever way it was scheduled") {
    told reported;
    run({.debug = true}, [&] {
        loop& l = get_running_loop();
        reported.install(l);
        l.call_soon([] { virtual_clock::pass(1s); });
        l.call_later(1s, [] { virtual_clock::pass(2s); });
        l.call_soon_threadsafe([] { virtual_clock::pass(3s); });
        sleep(10s);
    });
    REQUIRE(reported.seen.size() == 3);
    CHECK(reported.seen[0].message == "executing a callback took 1.000 seconds, in which nothing else could run");
    CHECK_FALSE(reported.seen[0].task);
    CHECK_FALSE(reported.seen[0].created_at.empty());
}

TEST_CASE_METHOD(fixture, "debug: an eager task counts for the one that starts it, and a task that ends is named all the same") {
    told reported;
    run({.debug = true}, [&] {
        reported.install(get_running_loop());
        auto outer = create_task({.name = "outer"}, [] {
            create_task({.name = "inner", .eager = true}, [] { virtual_clock::pass(1s); });
        });
        outer.get();
    });
    REQUIRE(reported.seen.size() == 1);
    CHECK(reported.seen[0].task.name() == "outer");
    CHECK(reported.seen[0].task.done());
}

TEST_CASE_METHOD(fixture, "debug: nothing is reported while it is off, and it may be switched while the loop runs") {
    told reported;
    run([&] {
        loop& l = get_running_loop();
        reported.install(l);
        CHECK_FALSE(l.get_debug());
        virtual_clock::pass(1s);
        yield_now();
        l.set_debug(true);
        CHECK(l.get_debug());
        sleep(1ms);
        virtual_clock::pass(2s);
        sleep(1ms);
        l.set_debug(false);
        sleep(1ms);
        virtual_clock::pass(3s);
        sleep(1ms);
        std::thread([&] { l.set_debug(true); }).join();   // in the next turn
        sleep(1ms);
        CHECK(l.get_debug());
        l.call_soon([&] { l.set_debug(false); });
        sleep(1ms);
        CHECK_FALSE(l.get_debug());
    });
    REQUIRE(reported.seen.size() == 1);
    CHECK(reported.seen[0].message.find("2.000") != std::string::npos);
}

TEST_CASE_METHOD(fixture, "debug: order and fairness are those of the loop without it") {
    const auto trace = [](bool debug) {
        notes log;
        run({.debug = debug}, [&] {
            std::vector<task<>> all;
            for (int i = 0; i < 5; ++i)
                all.push_back(create_task([&, i] {
                    for (int k = 0; k < 3; ++k) {
                        log.push_back(std::to_string(i) + "." + std::to_string(k));
                        if (k == 1) create_task({.eager = true}, [&] { log.push_back("eager"); });
                        if (i % 2) sleep(std::chrono::milliseconds(i));
                        else yield_now();
                    }
                    get_running_loop().call_soon([&, i] { log.push_back("callback " + std::to_string(i)); });
                }));
            for (const auto& t : all) t.get();
            yield_now();
        });
        return log;
    };
    CHECK(trace(true) == trace(false));
}

TEST_CASE_METHOD(fixture, "debug: loop-local calls from another thread are refused; those that are thread-safe are not") {
    run({.debug = true}, [&] {
        loop& l = get_running_loop();
        std::atomic<bool> called{false};
        std::thread([&] {
            const std::string what = thrown_by<std::logic_error>([&] { l.call_soon([] {}); });
            CHECK(what == "loop::call_soon: not on the loop's own thread; use call_soon_threadsafe from others");
            CHECK(throws<std::logic_error>([&] { l.call_later(1s, [] {}); }));
            CHECK(throws<std::logic_error>([&] { l.add_reader(0, [] {}); }));
            CHECK(throws<std::logic_error>([&] { l.remove_writer(0); }));
            CHECK(throws<std::logic_error>([&] { l.add_signal_handler(10, [] {}); }));
            CHECK(throws<std::logic_error>([&] { l.fd(); }));
            l.call_soon_threadsafe([&] { called = true; });
        }).join();
        sleep(1ms);
        CHECK(called);
    });
}

TEST_CASE_METHOD(fixture, "debug: a task that nobody holds and that is pending when the loop closes is reported") {
    told reported;
    task<> held;
    int line = 0;
    {
        runner r({.debug = true});
        reported.install(r.get_loop());
        r.run([&] {
            create_task({.name = "lost"}, [] { sleep(1h); }); line = __LINE__;
            held = create_task([] { sleep(1h); });
            create_task([] { sleep(1ms); });
            sleep(1s);
        });
    }
    REQUIRE(reported.seen.size() == 1);
    CHECK(reported.seen[0].message == "a task that nobody holds was still pending when its loop closed");
    CHECK(reported.seen[0].task.name() == "lost");
    CHECK(names(reported.seen[0].created_at, line));
    CHECK(held.cancelled());
}

TEST_CASE_METHOD(fixture, "an exception that was never retrieved is reported with where the task was created, in any mode") {
    told reported;
    int lines[4] = {};
    run([&] {
        reported.install(get_running_loop());
        const auto fail = [](auto...) { throw std::runtime_error("lost"); };
        create_task(fail); lines[0] = __LINE__;
        create_task(fail, 1); lines[1] = __LINE__;
        create_task(fail, 1, "two"); lines[2] = __LINE__;
        create_task({.name = "named"}, fail); lines[3] = __LINE__;
        create_task(fail, 1, 2, 3);
        sleep(1s);
    });
    REQUIRE(reported.seen.size() == 5);
    for (std::size_t i = 0; i < 4; ++i) {
        CHECK(reported.seen[i].message == "task exception was never retrieved");
        CHECK(names(reported.seen[i].created_at, lines[i]));
    }
    CHECK_FALSE(reported.seen[4].created_at.empty());   // the address, as far as the program's symbols tell it
}

TEST_CASE("exception handler: the default one prints where the task was created") {
    int pipe[2];
    REQUIRE(::pipe(pipe) == 0);
    const int kept = ::dup(2);
    ::dup2(pipe[1], 2);
    int line = 0;
    run([&] {
        create_task({.name = "unlucky"}, [] { throw std::runtime_error("lost"); }); line = __LINE__;
        yield_now();
        yield_now();
    });
    ::dup2(kept, 2);
    ::close(kept);
    ::close(pipe[1]);
    char text[1000];
    const ssize_t size = ::read(pipe[0], text, sizeof text);
    ::close(pipe[0]);
    const std::string printed(text, static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    const std::string before = "weft: task exception was never retrieved (task 'unlucky', created at ";
    const std::string behind = "): std::runtime_error: lost\n";
    REQUIRE(printed.find(before) == 0);
    REQUIRE(ends_with(printed, behind));
    CHECK(names(printed.substr(before.size(), printed.size() - before.size() - behind.size()), line));
}

TEST_CASE_METHOD(fixture, "debug: WEFT_DEBUG=1 switches it on") {
    ::setenv("WEFT_DEBUG", "1", 1);
    const bool on = run([] { return get_running_loop().get_debug(); });
    loop_group group(1);
    CHECK(group[0].get_debug());
    ::unsetenv("WEFT_DEBUG");
    CHECK(on);
    CHECK_FALSE(run([] { return get_running_loop().get_debug(); }));
}

TEST_CASE("debug: all of it works while threads come and go") {
    weft_test::leak_check leaks;
    run({.debug = true}, [] {
        loop_group group(2, {.debug = true});
        std::vector<task<int>> all;
        for (int i = 0; i < 200; ++i)
            all.push_back(group.spawn_on(group[static_cast<std::size_t>(i % 2)], [i] {
                yield_now();
                sleep(1us);
                return i;
            }));
        int sum = 0;
        for (const auto& t : all) sum += t.get();
        CHECK(sum == 199 * 100);
    });
}
