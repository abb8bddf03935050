// <weft/condition_variable.hpp>

#include <deque>
#include <stop_token>

#include "sync/fixture.hpp"

using namespace sync_test;

namespace {

/// A BasicLockable of a user's own.
struct noted_lock {
    mutex inner;
    notes& log;
    void lock() {
        inner.lock();
        log.push_back("lock");
    }
    void unlock() {
        log.push_back("unlock");
        inner.unlock();
    }
};

struct guarded {
    mutex m;
    condition_variable changed;
    bool ready = false;
};

}  // namespace

TEST_CASE_METHOD(fixture, "condition_variable: a wait whose condition holds returns at once, without unlocking") {
    bool other_ran = false;  // here: the task may begin when run's function has returned
    run([&] {
        guarded g;
        std::unique_lock lock(g.m);
        create_task([&] { other_ran = true; });
        g.changed.wait(lock, [] { return true; });
        CHECK(g.changed.wait_for(lock, 1s, [] { return true; }));
        CHECK_FALSE(other_ran);
        CHECK(lock.owns_lock());
    });
}

TEST_CASE_METHOD(fixture, "condition_variable: waits unlocked, and holds the lock again when it returns") {
    run([] {
        guarded g;
        auto t = create_task([&] {
            std::unique_lock lock(g.m);
            g.changed.wait(lock, [&] { return g.ready; });
            CHECK(lock.owns_lock());
            CHECK_FALSE(g.m.try_lock());
        });
        yield_now();
        CHECK(g.m.try_lock());
        g.changed.notify_one();   // a spurious one: the condition does not hold
        g.m.unlock();
        turns(3);
        CHECK_FALSE(t.done());
        {
            const std::scoped_lock lock(g.m);
            g.ready = true;
            g.changed.notify_one();
        }
        t.get();
        CHECK(g.m.try_lock());
        g.m.unlock();
    });
}

TEST_CASE_METHOD(fixture, "condition_variable: notify_one wakes first in, first out; notify_all wakes the rest in order") {
    notes log;
    run([&] {
        guarded g;
        for (const char* name : {"a", "b", "c"})
            create_task([&, name] {
                std::unique_lock lock(g.m);
                g.changed.wait(lock);
                log.push_back(name);
            });
        yield_now();
        g.changed.notify_one();
        turns(2);
        CHECK(log == notes{"a"});
        g.changed.notify_all();
        turns(2);
        g.changed.notify_one();   // nobody is there
    });
    CHECK(log == notes{"a", "b", "c"});
}

TEST_CASE_METHOD(fixture, "condition_variable: takes the mutex itself, and any lock of a user's own") {
    notes log;
    run([&] {
        condition_variable changed;
        mutex m;
        auto first = create_task([&] {
            m.lock();
            changed.wait(m);
            m.unlock();
        });
        noted_lock own{{}, log};
        auto second = create_task([&] {
            const std::scoped_lock lock(own);
            changed.wait(own);
        });
        yield_now();
        changed.notify_all();
        first.get();
        second.get();
    });
    CHECK(log == notes{"lock", "unlock", "lock", "unlock"});
}

TEST_CASE_METHOD(fixture, "condition_variable: a cancelled wait holds the lock when it throws") {
    run([] {
        guarded g;
        auto t = create_task([&] {
            std::unique_lock lock(g.m);
            try {
                g.changed.wait(lock);
            } catch (const cancelled& c) {
                CHECK(lock.owns_lock());
                CHECK_FALSE(g.m.try_lock());
                CHECK(c.message() == "enough");
                throw;
            }
        });
        yield_now();
        g.m.lock();
        t.cancel("enough");
        turns(3);
        CHECK_FALSE(t.done());   // it waits for the lock, and another request does not cut that short
        t.cancel("more than enough");
        turns(3);
        CHECK_FALSE(t.done());
        g.m.unlock();
        t.join();
        CHECK(t.cancelled());
        CHECK(g.m.try_lock());
        g.m.unlock();
    });
}

TEST_CASE_METHOD(fixture, "condition_variable: a cancelled wait holds a user's own lock when it throws, too") {
    notes log;
    run([&] {
        noted_lock own{{}, log};
        condition_variable changed;
        auto t = create_task([&] {
            const std::scoped_lock lock(own);
            changed.wait(own);
        });
        yield_now();
        own.inner.lock();
        t.cancel();
        turns(3);
        t.cancel();
        turns(3);
        CHECK_FALSE(t.done());
        own.inner.unlock();
        t.join();
        CHECK(t.cancelled());
    });
    CHECK(log == notes{"lock", "unlock", "lock", "unlock"});
}

TEST_CASE_METHOD(fixture, "condition_variable: a second request that came while locking again is delivered by the next wait") {
    run([] {
        guarded g;
        int caught = 0;
        auto t = create_task([&] {
            std::unique_lock lock(g.m);
            try {
                g.changed.wait(lock);
            } catch (const cancelled&) {
                ++caught;
            }
            try {
                yield_now();
            } catch (const cancelled&) {
                ++caught;
            }
        });
        yield_now();
        g.m.lock();
        t.cancel();
        turns(2);
        t.cancel();
        g.m.unlock();
        t.get();
        CHECK(caught == 2);
    });
}

TEST_CASE_METHOD(fixture, "condition_variable: cancelled and notified in the same turn, in both orders: the notification goes on") {
    run([] {
        for (const bool cancel_first : {true, false}) {
            guarded g;
            const auto waits = [&] {
                std::unique_lock lock(g.m);
                g.changed.wait(lock);
            };
            auto t = create_task(waits);
            auto next = create_task(waits);
            yield_now();
            if (cancel_first) t.cancel();
            g.changed.notify_one();
            if (!cancel_first) t.cancel();
            next.get();
            t.join();
            CHECK(t.cancelled());
        }
    });
}

TEST_CASE_METHOD(fixture, "condition_variable: cancelled while it locks again: the notification goes on") {
    run([] {
        guarded g;
        const auto waits = [&] {
            std::unique_lock lock(g.m);
            g.changed.wait(lock);
        };
        auto t = create_task(waits);
        auto next = create_task(waits);
        yield_now();
        g.m.lock();
        g.changed.notify_one();
        turns(3);   // t has been woken, and waits for the lock
        t.cancel();
        turns(3);
        CHECK_FALSE(next.done());
        g.m.unlock();
        next.get();
        CHECK(t.cancelled());
    });
}

TEST_CASE_METHOD(fixture, "condition_variable: a timed wait says whether a notification came, and holds the lock") {
    run([] {
        guarded g;
        std::unique_lock lock(g.m);
        const auto start = virtual_clock::now();
        CHECK(g.changed.wait_for(lock, 3ms) == std::cv_status::timeout);
        CHECK(g.changed.wait_until(lock, start + 5ms) == std::cv_status::timeout);
        CHECK(virtual_clock::now() == start + 5ms);
        CHECK(g.changed.wait_until(lock, std::chrono::system_clock::now() - 1s) == std::cv_status::timeout);
        CHECK_FALSE(g.changed.wait_for(lock, 1ms, [&] { return g.ready; }));
        CHECK(lock.owns_lock());
        create_task([&] {
            const std::scoped_lock theirs(g.m);
            g.ready = true;
            g.changed.notify_all();
        });
        CHECK(g.changed.wait_for(lock, 1h, [&] { return g.ready; }));
        create_task([&] { g.changed.notify_one(); });
        CHECK(g.changed.wait_for(lock, 1h) == std::cv_status::no_timeout);
        CHECK(lock.owns_lock());
    });
}

TEST_CASE_METHOD(fixture, "condition_variable: a timed-out wait leaves the notification to the next waiter") {
    run([] {
        guarded g;
        auto late = create_task([&] {
            std::unique_lock lock(g.m);
            return g.changed.wait_for(lock, 1ms) == std::cv_status::no_timeout;
        });
        auto next = create_task([&] {
            std::unique_lock lock(g.m);
            g.changed.wait(lock);
        });
        yield_now();
        sleep(1ms);   // set later, so it ends later
        g.changed.notify_one();
        next.get();
        CHECK_FALSE(late.get());
    });
}

TEST_CASE_METHOD(fixture, "condition_variable: a stop request ends a wait, before it and during it") {
    run([] {
        guarded g;
        std::stop_source stop;
        auto t = create_task([&] {
            std::unique_lock lock(g.m);
            CHECK_FALSE(g.changed.wait(lock, stop.get_token(), [&] { return g.ready; }));
            CHECK(lock.owns_lock());
            CHECK_FALSE(g.changed.wait(lock, stop.get_token(), [&] { return g.ready; }));
            CHECK_FALSE(g.changed.wait_for(lock, stop.get_token(), 1h, [&] { return g.ready; }));
            CHECK(g.changed.wait(lock, stop.get_token(), [] { return true; }));
        });
        yield_now();
        CHECK_FALSE(t.done());
        stop.request_stop();
        t.get();
        std::unique_lock lock(g.m);
        const auto start = virtual_clock::now();
        CHECK_FALSE(g.changed.wait_until(lock, std::stop_token(), start + 1ms, [&] { return g.ready; }));
        CHECK(virtual_clock::now() == start + 1ms);
    });
}

TEST_CASE_METHOD(fixture, "condition_variable: waiting without the lock is unlock's error, and leaves nobody in the queue") {
    run([] {
        guarded g;
        CHECK(code_thrown_by([&] { g.changed.wait(g.m); }) == std::errc::operation_not_permitted);
        std::unique_lock lock(g.m, std::defer_lock);
        CHECK(code_thrown_by([&] { g.changed.wait(lock); }) == std::errc::operation_not_permitted);
        auto t = create_task([&] {
            std::unique_lock theirs(g.m);
            g.changed.wait(theirs);
        });
        yield_now();
        g.changed.notify_one();
        t.get();
    });
}

TEST_CASE_METHOD(fixture, "condition_variable: in a loop callback a wait throws, and the lock stays held") {
    run([] {
        guarded g;
        in_callback([&] {
            std::unique_lock lock(g.m);
            CHECK(throws<no_running_task>([&] { g.changed.wait(lock); }));
            CHECK(lock.owns_lock());
            g.changed.notify_all();
        });
        CHECK(g.m.try_lock());
        g.m.unlock();
    });
}

TEST_CASE_METHOD(fixture, "condition_variable: it may be destroyed once all waiters are notified, though they have not run") {
    run([] {
        mutex m;
        auto changed = std::make_unique<condition_variable>();
        const auto waits = [&] {
            std::unique_lock lock(m);
            changed->wait(lock);
        };
        auto first = create_task(waits);
        auto second = create_task(waits);
        auto third = create_task(waits);
        yield_now();
        changed->notify_all();
        second.cancel();
        changed.reset();
        first.get();
        second.join();
        third.get();
        CHECK(second.cancelled());
    });
}

TEST_CASE_METHOD(fixture, "condition_variable: it may be destroyed once its last waiter is notified alone, and that one be cancelled") {
    run([] {
        for (const bool cancel_first : {false, true}) {
            mutex m;
            auto changed = std::make_unique<condition_variable>();
            std::unique_lock held(m, std::defer_lock);
            auto waiting = create_task([&] {
                std::unique_lock lock(m);
                changed->wait(lock);
            });
            yield_now();
            if (!cancel_first)
                held.lock();  // it is cancelled while it locks again
            changed->notify_one();
            changed.reset();
            if (!cancel_first) {
                yield_now();
                waiting.cancel();
                held.unlock();
            } else {
                waiting.cancel();
            }
            waiting.join();
            CHECK(waiting.cancelled());
        }
    });
}

TEST_CASE_METHOD(fixture, "condition_variable: it may be destroyed once its waiters are notified one by one, and the first be cancelled") {
    run([] {
        for (const bool cancel_first : {false, true}) {
            mutex m;
            auto changed = std::make_unique<condition_variable>();
            std::unique_lock held(m, std::defer_lock);
            const auto waits = [&] {
                std::unique_lock lock(m);
                changed->wait(lock);
            };
            auto first = create_task(waits);
            auto second = create_task(waits);
            auto third = create_task(waits);
            yield_now();
            if (!cancel_first)
                held.lock();  // they are cancelled while they lock again
            for (int i = 0; i < 3; ++i)
                changed->notify_one();
            changed.reset();
            if (!cancel_first)
                yield_now();
            first.cancel();
            second.cancel();
            if (!cancel_first)
                held.unlock();
            third.get();
            first.join();
            second.join();
            CHECK(first.cancelled());
            CHECK(second.cancelled());
        }
    });
}

TEST_CASE_METHOD(fixture, "condition_variable: it may be destroyed when the last waiter has given up, and a notified one be cancelled") {
    run([] {
        mutex m, other;
        auto changed = std::make_unique<condition_variable>();
        auto notified = create_task([&] {
            std::unique_lock lock(m);
            changed->wait(lock);
        });
        auto gives_up = create_task([&] {
            std::unique_lock lock(other);
            CHECK(changed->wait_for(lock, 1s) == std::cv_status::timeout);
        });
        yield_now();
        std::unique_lock held(m);
        changed->notify_one();
        gives_up.get();
        changed.reset();
        notified.cancel();
        held.unlock();
        notified.join();
        CHECK(notified.cancelled());
    });
}

TEST_CASE("condition_variable: destroying one that somebody waits for ends the program with a sentence") {
    const auto child = in_child([] {
        run([] {
            mutex m;
            auto changed = std::make_unique<condition_variable>();
            create_task([&] {
                std::unique_lock lock(m);
                changed->wait(lock);
            });
            yield_now();
            changed.reset();
        });
    });
    CHECK(child.died_of(SIGABRT));
    CHECK(child.said("a condition_variable is destroyed while somebody waits for it") == 1);
}

TEST_CASE_METHOD(real_time, "condition_variable: plain threads and tasks of two loops take turns") {
    guarded g;
    int turn = 0;
    const int times = rounds(300);
    const auto take_turns = [&](int who) {
        for (int i = 0; i < times; ++i) {
            std::unique_lock lock(g.m);
            g.changed.wait(lock, [&] { return turn % 4 == who; });
            ++turn;
            g.changed.notify_all();
        }
    };
    {
        loop_thread first([&] { take_turns(0); });
        loop_thread second([&] {
            auto t = create_task([&] { take_turns(1); });
            take_turns(2);
            t.get();
        });
        thread third([&] { take_turns(3); });
    }
    CHECK(turn == 4 * times);
}

TEST_CASE_METHOD(real_time, "condition_variable: it may be destroyed at once when waiters of other threads are notified one by one") {
    for (int round = rounds(200); round > 0; --round) {
        mutex m;
        auto changed = std::make_unique<condition_variable>();
        int waiting = 0;
        std::atomic<bool> notified{false};
        const auto waits = [&] {
            std::unique_lock lock(m);
            ++waiting;
            changed->wait(lock);
        };
        const auto is_cancelled = [&] {
            auto t = create_task(waits);
            until([&] { return notified.load(); });
            t.cancel();
            t.join();
        };
        loop_thread first(is_cancelled);
        loop_thread second(is_cancelled);
        thread third(waits);
        until([&] {
            const std::scoped_lock lock(m);
            return waiting == 3;
        });
        for (int i = 0; i < 3; ++i)
            changed->notify_one();
        notified = true;
        changed.reset();
    }
}

TEST_CASE_METHOD(real_time, "condition_variable: a plain thread's timed wait gives up") {
    guarded g;
    bool timed_out = false;
    thread([&] {
        std::unique_lock lock(g.m);
        timed_out = g.changed.wait_for(lock, 1ms) == std::cv_status::timeout && lock.owns_lock();
    }).join();
    CHECK(timed_out);
}

TEST_CASE_METHOD(real_time, "condition_variable: a task waits under a std::mutex that plain threads use, too") {
    // Such a lock blocks the whole loop while it is held elsewhere; held shortly, that is allowed.
    std::mutex m;
    condition_variable changed;
    int value = 0;
    thread plain([&] {
        const std::scoped_lock lock(m);
        value = 1;
        changed.notify_one();
    });
    run([&] {
        std::unique_lock lock(m);
        changed.wait(lock, [&] { return value == 1; });
    });
    CHECK(value == 1);
}
