// waiter, wait_list, park and wake within one loop; waiter_threads_test.cpp has other threads in it.

#include <catch2/catch.hpp>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <weft/error.hpp>

#include "bare_loop.hpp"
#include "kernel/turnstile.hpp"
#include "leak_check.hpp"

using namespace std::chrono_literals;
using weft::detail::gate;
using weft::detail::gate_lock;
using weft::detail::time_point;
using weft::detail::wait_list;
using weft::detail::wait_outcome;
using weft::detail::waiter;
using weft_test::bare_loop;
using weft_test::leak_check;
using weft_test::turnstile;

namespace Catch {
template <>
struct StringMaker<wait_outcome> {
    static std::string convert(wait_outcome o) {
        return o == wait_outcome::woken ? "woken" : o == wait_outcome::timed_out ? "timed_out" : "cancelled";
    }
};
}  // namespace Catch

namespace {

/// A time that does not come by itself while a test runs; fire_timers() makes it come.
time_point far_away() { return weft::detail::now() + 1h; }

}  // namespace

TEST_CASE_METHOD(leak_check, "park: what is there already is taken without waiting") {
    bare_loop loop;
    turnstile t(1);
    wait_outcome outcome = wait_outcome::timed_out;
    loop.start([&] { outcome = t.take(); });
    loop.turn();
    CHECK(loop.alive() == 0);
    CHECK(outcome == wait_outcome::woken);
    CHECK(t.permits() == 0);
}

TEST_CASE_METHOD(leak_check, "park: it waits until it is woken, by a fiber and by a callback") {
    bare_loop loop;
    turnstile t;
    std::vector<int> log;
    loop.start([&] {
        t.take();
        log.push_back(2);
        t.take();
        log.push_back(3);
    });
    loop.start([&] {
        log.push_back(1);
        t.give();
    });
    loop.settle();
    CHECK(log == std::vector<int>{1, 2});
    t.give();
    loop.run();
    CHECK(log == std::vector<int>{1, 2, 3});
}

TEST_CASE_METHOD(leak_check, "park: a wake that comes before the park is not lost") {
    bare_loop loop;
    wait_outcome plain{}, timed{}, uncancellable{};
    loop.start([&] {
        auto claimed = [](waiter& w) {
            gate g;
            gate_lock lock(g);
            REQUIRE(w.claim(lock));
            lock.leave();
            waiter::wake(w);
        };
        waiter a("a"), b("b"), c("c");
        claimed(a);
        plain = weft::detail::park(a);
        claimed(b);
        timed = weft::detail::park(b, time_point::min());
        claimed(c);
        uncancellable = weft::detail::park_uncancellable(c);
    });
    loop.run();
    CHECK(plain == wait_outcome::woken);
    CHECK(timed == wait_outcome::woken);
    CHECK(uncancellable == wait_outcome::woken);
    CHECK(loop.scheduler().timers().empty());
}

TEST_CASE_METHOD(leak_check, "park: a wake before the park lets those run first that were ready before") {
    bare_loop loop;
    turnstile t;
    std::vector<int> log;
    loop.start([&] {
        gate g;
        waiter w("w");
        {
            gate_lock lock(g);
            w.claim(lock);
        }
        waiter::wake(w);
        weft::detail::park(w);
        log.push_back(2);
    });
    loop.start([&] { log.push_back(1); });
    loop.run();
    CHECK(log == std::vector<int>{1, 2});
}

TEST_CASE_METHOD(leak_check, "park: a deadline ends the wait and leaves nothing behind") {
    bare_loop loop;
    turnstile t;
    wait_outcome outcome{};
    const time_point deadline = far_away();
    loop.start([&] { outcome = t.take(deadline); });
    loop.settle();
    CHECK(loop.scheduler().timers().next() == deadline);
    loop.scheduler().fire_timers(deadline - 1ns);
    loop.settle();
    CHECK(loop.alive() == 1);
    loop.scheduler().fire_timers(deadline);
    loop.run();
    CHECK(outcome == wait_outcome::timed_out);
    CHECK(t.empty());
    CHECK(loop.scheduler().timers().empty());
}

TEST_CASE_METHOD(leak_check, "park: a wait that is woken takes its timer with it") {
    bare_loop loop;
    turnstile t;
    loop.start([&] { t.take(far_away()); });
    loop.settle();
    t.give();
    loop.run();
    CHECK(loop.scheduler().timers().empty());
}

TEST_CASE_METHOD(leak_check, "park: with a deadline that has passed a wake in the same turn still wins") {
    bare_loop loop;
    turnstile t;
    wait_outcome first{}, second{};
    loop.start([&] { first = t.take(time_point::min()); });
    loop.start([&] { t.give(); });
    loop.run();
    loop.start([&] { second = t.take(time_point::min()); });
    loop.run();
    CHECK(first == wait_outcome::woken);
    CHECK(second == wait_outcome::timed_out);
}

TEST_CASE_METHOD(leak_check, "park: wake, cancellation and deadline may come in the same turn in any order") {
    enum event { wake, wake_from_a_thread, cancel, deadline };
    const std::vector<std::vector<event>> orders = [] {
        std::vector<std::vector<event>> all;
        for (const event w : {wake, wake_from_a_thread}) {
            const event events[] = {w, cancel, deadline};
            for (event a : events) {
                all.push_back({a});
                for (event b : events) {
                    if (b == a) continue;
                    all.push_back({a, b});
                    for (event c : events)
                        if (c != a && c != b) all.push_back({a, b, c});
                }
            }
        }
        return all;
    }();
    REQUIRE(orders.size() == 30);

    for (const bool cancellable : {true, false})
        for (const auto& order : orders) {
            std::string description = cancellable ? "cancellable:" : "uncancellable:";
            bare_loop loop;
            turnstile t;
            wait_outcome outcome{};
            bool ended = false;
            const time_point when = far_away();
            auto& job = loop.start([&] {
                outcome = t.take(when, cancellable);
                ended = true;
            });
            loop.settle();
            bool woken_first = false, decided = false, cancelled = false;
            long given = 0;
            for (const event e : order) switch (e) {
                    case wake_from_a_thread:
                    case wake:
                        description += e == wake ? " wake" : " wake_from_a_thread";
                        if (!decided) woken_first = true;
                        decided = true;
                        if (e == wake) t.give();
                        else std::thread([&] { t.give(); }).join();
                        ++given;
                        break;
                    case cancel:
                        description += " cancel";
                        job.cancel();
                        cancelled = true;
                        if (cancellable) decided = true;
                        break;
                    case deadline:
                        description += " deadline";
                        loop.scheduler().fire_timers(when);
                        decided = true;
                        break;
                }
            loop.settle();
            INFO(description);
            CHECK(ended == decided);
            if (!ended) {
                t.give();
                ++given;
                woken_first = true;
                loop.settle();
            }
            const wait_outcome expected = cancellable && cancelled ? wait_outcome::cancelled
                                          : woken_first            ? wait_outcome::woken
                                                                   : wait_outcome::timed_out;
            CHECK(outcome == expected);
            CHECK(t.permits() + (outcome == wait_outcome::woken) == given);
            CHECK(t.empty());
            CHECK(loop.scheduler().timers().empty());
            CHECK(loop.alive() == 0);
        }
}

TEST_CASE_METHOD(leak_check, "park: a permit handed over together with a cancellation goes to the next waiter") {
    bare_loop loop;
    turnstile t;
    wait_outcome first{}, second{};
    auto& job = loop.start([&] { first = t.take(); });
    loop.start([&] { second = t.take(); });
    loop.settle();
    t.give();
    job.cancel();
    loop.run();
    CHECK(first == wait_outcome::cancelled);
    CHECK(second == wait_outcome::woken);
    CHECK(t.permits() == 0);
}

TEST_CASE_METHOD(leak_check, "park: a cancellation that is deliverable already ends the wait before it starts") {
    bare_loop loop;
    turnstile t;
    wait_outcome outcome{};
    std::vector<int> log;
    auto& job = loop.start([&] {
        outcome = t.take();
        log.push_back(1);
    });
    loop.start([&] { log.push_back(2); });
    job.cancel();
    loop.run();
    CHECK(outcome == wait_outcome::cancelled);
    CHECK(log == std::vector<int>{1, 2});   // it did not let go of the processor
    CHECK(t.empty());
}

TEST_CASE_METHOD(leak_check, "park: a waker that is faster than a pending cancellation is waited for") {
    // Claimed, but the wake is still on its way: the waiter must not leave before it has come.
    bare_loop loop;
    gate g;
    waiter* claimed = nullptr;
    wait_outcome outcome{};
    bool ended = false, handed_over = false;
    auto& job = loop.start([&] {
        waiter self("self");
        {
            gate_lock lock(g);
            REQUIRE(self.claim(lock));
        }
        claimed = &self;
        outcome = weft::detail::park(self);
        handed_over = self.was_woken();
        ended = true;
    });
    job.cancel();
    loop.settle();
    CHECK_FALSE(ended);
    waiter::wake(*claimed);
    loop.run();
    CHECK(outcome == wait_outcome::cancelled);
    CHECK(handed_over);
}

TEST_CASE_METHOD(leak_check, "park: a cancellation stays pending until it is taken") {
    bare_loop loop;
    turnstile t;
    std::vector<wait_outcome> outcomes;
    bare_loop::job* job = nullptr;
    job = &loop.start([&] {
        outcomes.push_back(t.take());
        outcomes.push_back(t.take());
        CHECK(job->take_cancellation());
        outcomes.push_back(t.take());
    });
    loop.settle();
    job->cancel();
    loop.settle();
    t.give();
    loop.run();
    CHECK(outcomes ==
          std::vector<wait_outcome>{wait_outcome::cancelled, wait_outcome::cancelled, wait_outcome::woken});
}

TEST_CASE_METHOD(leak_check, "park: while an exception unwinds the fiber no cancellation ends a wait") {
    bare_loop loop;
    turnstile t;
    wait_outcome in_destructor = wait_outcome::timed_out, afterwards = wait_outcome::timed_out;
    struct waits {
        turnstile& t;
        wait_outcome& outcome;
        ~waits() { outcome = t.take(); }
    };
    auto& job = loop.start([&] {
        try {
            waits w{t, in_destructor};
            throw 1;
        } catch (int) {
            afterwards = t.take();
        }
    });
    loop.settle();
    job.cancel();
    loop.settle();
    CHECK(in_destructor == wait_outcome::timed_out);   // it still waits
    t.give();
    loop.run();
    CHECK(in_destructor == wait_outcome::woken);
    CHECK(afterwards == wait_outcome::cancelled);
}

TEST_CASE_METHOD(leak_check, "wait_list: first in, first out") {
    bare_loop loop;
    turnstile t;
    std::vector<int> log;
    for (int i = 0; i < 5; ++i)
        loop.start([&, i] {
            t.take();
            log.push_back(i);
        });
    loop.settle();
    for (int i = 0; i < 5; ++i) t.give();
    loop.run();
    CHECK(log == std::vector<int>{0, 1, 2, 3, 4});
}

TEST_CASE_METHOD(leak_check, "wait_list: whoever leaves the middle, the front or the end, the others keep their order") {
    for (const int leaver : {0, 2, 4}) {
        bare_loop loop;
        turnstile t;
        std::vector<int> log;
        std::vector<bare_loop::job*> jobs;
        for (int i = 0; i < 5; ++i)
            jobs.push_back(&loop.start([&, i] {
                if (t.take() == wait_outcome::woken) log.push_back(i);
            }));
        loop.settle();
        jobs[static_cast<std::size_t>(leaver)]->cancel();
        loop.settle();
        for (int i = 0; i < 5; ++i) t.give();
        loop.run();
        std::vector<int> expected;
        for (int i = 0; i < 5; ++i)
            if (i != leaver) expected.push_back(i);
        CHECK(log == expected);
        CHECK(t.permits() == 1);
    }
}

TEST_CASE_METHOD(leak_check, "wait_list: those that lost are dropped by the next claim, and find themselves out") {
    bare_loop loop;
    turnstile t;
    const time_point when = far_away();
    std::vector<wait_outcome> outcomes(4, wait_outcome::woken);
    auto& cancelled = loop.start([&] { outcomes[0] = t.take(); });
    loop.start([&] { outcomes[1] = t.take(when); });
    loop.start([&] { outcomes[2] = t.take(when); });
    loop.start([&] { outcomes[3] = t.take(); });
    loop.settle();
    cancelled.cancel();
    loop.scheduler().fire_timers(when);   // decided, but none of them has run yet
    CHECK(t.has_armed());
    t.give();
    CHECK(t.empty());
    CHECK(t.permits() == 0);
    loop.run();
    CHECK(outcomes == std::vector<wait_outcome>{wait_outcome::cancelled, wait_outcome::timed_out,
                                                wait_outcome::timed_out, wait_outcome::woken});
}

TEST_CASE_METHOD(leak_check, "wait_list: when all have lost, none is armed and nobody is claimed") {
    bare_loop loop;
    turnstile t;
    const time_point when = far_away();
    for (int i = 0; i < 3; ++i) loop.start([&] { t.take(when); });
    loop.settle();
    loop.scheduler().fire_timers(when);
    CHECK_FALSE(t.has_armed());
    t.give();
    CHECK(t.permits() == 1);
    loop.run();
    CHECK(t.permits() == 1);
}

TEST_CASE_METHOD(leak_check, "wait_list: a loser may withdraw from an object that is gone once it was dropped") {
    bare_loop loop;
    auto t = std::make_unique<turnstile>();
    const time_point when = far_away();
    wait_outcome outcome{};
    loop.start([&, t = t.get()] { outcome = t->take(when); });
    loop.settle();
    loop.scheduler().fire_timers(when);
    t->give_to_all();
    t.reset();
    loop.run();
    CHECK(outcome == wait_outcome::timed_out);
}

TEST_CASE_METHOD(leak_check, "wait_list: a waiter put in front is the first to be claimed") {
    bare_loop loop;
    loop.start([&] {
        gate g;
        wait_list list;
        waiter a("a"), b("b"), c("c");
        gate_lock lock(g);
        list.push_back(a);
        list.push_front(b);
        list.push_back(c);
        CHECK(list.front() == &b);
        CHECK(wait_list::next(b) == &a);
        CHECK(list.claim_front(lock) == &b);
        CHECK(list.claim_front(lock) == &a);
        CHECK(list.claim_front(lock) == &c);
        CHECK(list.claim_front(lock) == nullptr);
        CHECK(list.empty());
    });
    loop.run();
}

TEST_CASE_METHOD(leak_check, "wake_batch: it wakes in the order of the list, after the gate was left") {
    bare_loop loop;
    turnstile t;
    std::vector<int> log;
    for (int i = 0; i < 4; ++i)
        loop.start([&, i] {
            t.take();
            log.push_back(i);
        });
    loop.settle();
    t.give_to_all();
    CHECK(t.empty());
    loop.run();
    CHECK(log == std::vector<int>{0, 1, 2, 3});
}

TEST_CASE_METHOD(leak_check, "waiter: a parked fiber knows what it waits for") {
    bare_loop loop;
    turnstile t;
    auto& job = loop.start([&] { t.take(); });
    loop.settle();
    REQUIRE(job.on);
    REQUIRE(job.on->waiting);
    CHECK(job.on->waiting->what() == std::string("turnstile::take"));
    CHECK(job.on->waiting->object() == &t);
    weft::kernel::fiber* fiber = job.on;
    t.give();
    loop.run();
    CHECK(fiber->waiting == nullptr);
}

TEST_CASE_METHOD(leak_check, "waiter: in a loop callback it is refused by name") {
    bare_loop loop;
    std::string said;
    try {
        waiter self("some::call");
    } catch (const weft::no_running_task& e) {
        said = e.what();
    }
    CHECK(said.find("some::call") != std::string::npos);
}

TEST_CASE_METHOD(leak_check, "waiter: the identity of a caller is its fiber, its loop's thread in a callback") {
    bare_loop loop;
    const void* a = nullptr;
    const void* b = nullptr;
    const void* again = nullptr;
    turnstile t;
    loop.start([&] {
        a = weft::detail::self_identity();
        t.take();
        again = weft::detail::self_identity();
    });
    loop.start([&] {
        b = weft::detail::self_identity();
        t.give();
        t.take();
    });
    loop.settle();
    const void* callback = weft::detail::self_identity();
    t.give();
    loop.run();
    CHECK(a != nullptr);
    CHECK(a == again);
    CHECK(a != b);
    CHECK(callback != nullptr);
    CHECK(callback != a);
}
