// Cancellation: when a request is delivered, how it is counted, and how it is taken back. What it does to those who wait for
// another task, and during unwinding, is in cancel_wait_test.cpp.

#include <stdexcept>

#include <weft/gather.hpp>
#include <weft/timeout.hpp>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

TEST_CASE("cancelled: is no std::exception, is copied without throwing, and carries a message") {
    STATIC_REQUIRE_FALSE(std::is_base_of_v<std::exception, cancelled>);
    STATIC_REQUIRE(std::is_nothrow_copy_constructible_v<cancelled>);
    CHECK(cancelled().message().empty());
    CHECK(cancelled("why").message() == "why");
    const cancelled copy = cancelled("why");
    CHECK(copy.message() == "why");
}

TEST_CASE_METHOD(
    fixture, "cancel: before the first turn the function never runs, and is destroyed with its arguments") {
    run([] {
        bool ran = false;
        auto t = create_task([&, c = counted()](const counted&) { ran = true; }, counted());
        CHECK(t.cancel("too early"));
        CHECK_FALSE(t.done());
        t.join();
        CHECK(counted::live == 0);
        CHECK_FALSE(ran);
        CHECK(t.cancelled());
        CHECK(thrown_by([&] { t.get(); }) == "too early");
    });
}

TEST_CASE_METHOD(fixture, "cancel: taken back before the first turn the function runs") {
    run([] {
        auto t = create_task([] {
            yield_now();
            return 1;
        });
        t.cancel();
        CHECK(t.uncancel() == 0);
        CHECK(t.get() == 1);
    });
}

TEST_CASE_METHOD(fixture, "cancel: ends the wait of a parked task, which throws cancelled there") {
    run([] {
        std::string message;
        auto t = create_task([&] {
            message = thrown_by(park);
            throw cancelled("its own words");
        });
        yield_now();
        CHECK(t.cancel("wake up"));
        CHECK_FALSE(t.done());
        t.join();
        CHECK(message == "wake up");
        CHECK(t.cancelled());
        CHECK(reports::text(t.exception()) == "cancelled: its own words");
    });
}

TEST_CASE_METHOD(fixture, "cancel: ends every kind of wait") {
    run([] {
        auto other = create_task(park);
        const auto ends = [&](const char* name, auto wait_for_ever) {
            auto t = create_task([&] { wait_for_ever(); });
            yield_now();
            t.cancel(name);
            t.join();
            CHECK(reports::text(t.exception()) == std::string("cancelled: ") + name);
        };
        ends("sleep", [] { sleep(1h); });
        ends("sleep_until", [] { sleep_until(std::chrono::steady_clock::time_point::max()); });
        ends("join", [&] { other.join(); });
        ends("wait", [&] { wait({other}); });
        ends("wait with a time", [&] { wait({other}, 1h); });
        ends("shield", [&] { shield(other); });
        ends("as_completed", [&] {
            for (auto& t : as_completed({other}))
                t.join();
        });
        CHECK_FALSE(other.done());
        ends("gather", [&] { gather(other); });
        CHECK(other.cancelled());
        ends("gather of callables", [&] { gather(park, park); });
        ends("wait_for", [] { wait_for(park, 1h); });
    });
}

TEST_CASE_METHOD(fixture, "cancel: a done task says false and stays as it is") {
    run([] {
        auto t = create_task([] { return 2; });
        t.join();
        CHECK_FALSE(t.cancel("too late"));
        CHECK_FALSE(t.cancelled());
        CHECK(t.cancelling() == 0);
        CHECK(t.get() == 2);
    });
}

TEST_CASE_METHOD(
    fixture, "cancel: twice before delivery is delivered once, with the last message, and counted twice") {
    run([] {
        notes log;
        auto t = create_task([&] {
            log.push_back(thrown_by(park));
            CHECK(current_task().cancelling() == 2);
            yield_now();
            sleep(1s);
            log.push_back("went on");
        });
        yield_now();
        CHECK(t.cancel("first"));
        CHECK(t.cancel("second"));
        t.join();
        CHECK(log == notes{"second", "went on"});
        CHECK_FALSE(t.cancelled());
    });
}

TEST_CASE_METHOD(fixture, "cancel: the last message counts also if it is empty") {
    run([] {
        auto t = create_task(park);
        yield_now();
        t.cancel("something");
        t.cancel();
        t.join();
        CHECK(reports::text(t.exception()) == "cancelled: ");
    });
}

TEST_CASE_METHOD(fixture, "cancel: each request is delivered once, and a task may catch it and go on") {
    run([] {
        notes log;
        auto t = create_task([&] {
            for (int i = 0; i < 3; ++i)
                log.push_back(thrown_by(park));
            sleep(1s);
            return 5;
        });
        for (const char* message : {"one", "two", "three"}) {
            turns(2);
            t.cancel(message);
        }
        CHECK(t.get() == 5);
        CHECK(log == notes{"one", "two", "three"});
        CHECK(t.cancelling() == 3);
        CHECK_FALSE(t.cancelled());
    });
}

TEST_CASE_METHOD(fixture, "cancel: of the running task is delivered by its next blocking call") {
    run([] {
        auto t = create_task([] {
            CHECK(current_task().cancel("myself"));
            CHECK(thrown_by(yield_now) == "myself");
            yield_now();
        });
        t.get();
    });
}

TEST_CASE_METHOD(fixture, "cancel: a request that was never delivered leaves the value") {
    run([] {
        auto t = create_task([] {
            current_task().cancel();
            return 3;
        });
        CHECK(t.get() == 3);
        CHECK_FALSE(t.cancelled());
        CHECK(t.cancelling() == 1);
    });
}

TEST_CASE_METHOD(fixture, "cancel: a pending request is delivered at once by the calls that always check") {
    run([] {
        auto other = create_task(park);
        const auto at_once = [&](const char* name, auto call) {
            bool somebody_ran = false;
            create_task([&] { somebody_ran = true; });
            current_task().cancel(name);
            CHECK(thrown_by(call) == name);
            CHECK_FALSE(somebody_ran);
            current_task().uncancel();
            turns(2);
        };
        at_once("sleep", [] { sleep(1s); });
        at_once("sleep(0)", [] { sleep(0s); });
        at_once("sleep_until the past", [] { sleep_until(std::chrono::steady_clock::time_point::min()); });
        at_once("yield_now", yield_now);
        at_once("join", [&] { other.join(); });
        at_once("wait", [&] { wait({other}); });
        at_once("shield", [&] { shield(other); });
    });
}

TEST_CASE_METHOD(fixture,
                 "cancel: a pending request is not delivered by get, join and result of a done task") {
    run([] {
        auto done = create_task([] { return 4; });
        done.join();
        current_task().cancel("later");
        CHECK(done.get() == 4);
        CHECK(done.result() == 4);
        CHECK(std::move(done).get() == 4);
        done.join();
        CHECK(thrown_by(yield_now) == "later");
    });
}

TEST_CASE_METHOD(fixture, "cancel: a request that comes before the waiter has run again wins over the wake") {
    run([] {
        auto work = create_task([] {
            park();
            return 6;
        });
        std::string message;
        auto waiter = create_task([&] {
            yield_now();
            message = thrown_by([&] { work.join(); });
        });
        turns(3);
        // In one turn: the work ends and wakes the waiter, then the waiter is cancelled.
        work.cancel();
        create_task([&] {
            CHECK(work.done());
            CHECK_FALSE(waiter.done());
            waiter.cancel("wins");
        });
        waiter.join();
        CHECK(message == "wins");
    });
}

TEST_CASE_METHOD(fixture, "cancel: wins over get's wake, and leaves the value for others") {
    run([] {
        task<int> work;
        auto waiter = create_task([&] { return work.get(); });
        work = create_task([] { return 6; });
        auto killer = create_task([&] { waiter.cancel("wins"); });
        waiter.join();
        CHECK(reports::text(waiter.exception()) == "cancelled: wins");
        CHECK(work.get() == 6);
    });
}

TEST_CASE_METHOD(fixture, "cancel: wins over a sleep that has ended if the sleeper has not run again") {
    run([] {
        const auto when = get_running_loop().time() + 1s;
        task<> sleeper;
        get_running_loop().call_at(when, [&] { sleeper.cancel("wins"); });  // before the sleeper: set first
        sleeper = create_task([=] { sleep_until(when); });
        sleeper.join();
        CHECK(reports::text(sleeper.exception()) == "cancelled: wins");
    });
}

TEST_CASE_METHOD(fixture, "cancel: comes too late for a sleeper that has run again and ended") {
    run([] {
        const auto when = get_running_loop().time() + 1s;
        auto sleeper = create_task([=] { sleep_until(when); });
        yield_now();
        bool came = true;
        get_running_loop().call_at(when, [&] { came = sleeper.cancel("too late"); });
        sleep(2s);
        CHECK_FALSE(came);
        CHECK_FALSE(sleeper.cancelled());
    });
}

TEST_CASE_METHOD(fixture, "cancelling: counts requests, uncancel takes them back one by one") {
    run([] {
        auto t = create_task(park);
        CHECK(t.cancelling() == 0);
        CHECK(t.uncancel() == 0);
        t.cancel();
        t.cancel();
        t.cancel();
        CHECK(t.cancelling() == 3);
        CHECK(t.uncancel() == 2);
        CHECK(t.uncancel() == 1);
        CHECK(t.cancelling() == 1);
        t.join();
        CHECK(t.cancelled());
    });
}

TEST_CASE_METHOD(fixture, "uncancel: to 0 withdraws a request that was not delivered") {
    run([] {
        auto self = current_task();
        self.cancel("never seen");
        self.cancel("nor this");
        CHECK(self.uncancel() == 1);
        CHECK(self.uncancel() == 0);
        yield_now();
        sleep(1ms);
    });
}

TEST_CASE_METHOD(fixture, "uncancel: not to 0 leaves the request to be delivered") {
    run([] {
        auto self = current_task();
        self.cancel("one");
        self.cancel("two");
        CHECK(self.uncancel() == 1);
        CHECK(thrown_by(yield_now) == "two");
    });
}

TEST_CASE_METHOD(fixture, "uncancel: after delivery only counts, and the next request is delivered again") {
    run([] {
        auto self = current_task();
        self.cancel("one");
        CHECK(thrown_by(yield_now) == "one");
        CHECK(self.cancelling() == 1);
        yield_now();
        CHECK(self.uncancel() == 0);
        self.cancel("two");
        CHECK(thrown_by(yield_now) == "two");
        CHECK(self.uncancel() == 0);
    });
}

TEST_CASE_METHOD(fixture, "a message does not outlive the request that it came with") {
    run([] {
        auto self = current_task();
        self.cancel("withdrawn");
        self.uncancel();
        self.cancel();
        CHECK(thrown_by(yield_now).empty());
        self.uncancel();
    });
}

TEST_CASE_METHOD(fixture, "throwing cancelled ends a task as cancelled, without a request") {
    run([] {
        auto t = create_task([]() -> int { throw cancelled("enough"); });
        CHECK(thrown_by([&] { t.get(); }) == "enough");
        CHECK(t.cancelled());
        CHECK(t.cancelling() == 0);
    });
}

TEST_CASE_METHOD(fixture, "a task that catches its cancellation and throws something else has failed") {
    run([] {
        auto t = create_task([] {
            try {
                park();
            } catch (const cancelled&) {
                throw std::runtime_error("instead");
            }
        });
        yield_now();
        t.cancel();
        CHECK_THROWS_AS(t.get(), std::runtime_error);
        CHECK_FALSE(t.cancelled());
    });
}

TEST_CASE_METHOD(fixture, "catching std::exception lets a cancellation pass") {
    run([] {
        bool caught = false;
        auto t = create_task([&] {
            try {
                park();
            } catch (const std::exception&) {
                caught = true;
            }
        });
        yield_now();
        t.cancel();
        t.join();
        CHECK_FALSE(caught);
        CHECK(t.cancelled());
    });
}
