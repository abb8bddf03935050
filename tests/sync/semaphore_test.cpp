// <weft/semaphore.hpp>

#include "sync/fixture.hpp"

using namespace sync_test;

TEST_CASE_METHOD(fixture, "semaphore: permits that are there are taken at once, without a turn of the loop") {
    bool other_ran = false;  // here: the task may begin when run's function has returned
    run([&] {
        semaphore s(2);
        create_task([&] { other_ran = true; });
        s.acquire();
        CHECK(s.value() == 1);
        CHECK(s.try_acquire());
        CHECK(s.value() == 0);
        CHECK_FALSE(s.try_acquire());
        s.release(2);
        CHECK(s.value() == 2);
        CHECK_FALSE(other_ran);
        CHECK(semaphore().value() == 1);
    });
}

TEST_CASE_METHOD(fixture, "semaphore: a released permit belongs to the waiter before that runs") {
    run([] {
        semaphore s(0);
        bool acquired = false;
        auto t = create_task([&] {
            s.acquire();
            acquired = true;
        });
        yield_now();
        s.release();
        CHECK_FALSE(acquired);
        CHECK(s.value() == 0);
        CHECK_FALSE(s.try_acquire());   // it is promised
        t.get();
        CHECK(acquired);
    });
}

TEST_CASE_METHOD(fixture, "semaphore: waiters get permits first in, first out, several at a time") {
    notes log;
    run([&] {
        semaphore s(0);
        for (const char* name : {"a", "b", "c"})
            create_task([&, name] {
                s.acquire();
                log.push_back(name);
            });
        yield_now();
        s.release(2);
        yield_now();
        CHECK(log == notes{"a", "b"});
        s.release(2);
        CHECK(s.value() == 1);
        yield_now();
    });
    CHECK(log == notes{"a", "b", "c"});
}

TEST_CASE_METHOD(fixture, "semaphore: releasing nothing wakes nobody") {
    run([] {
        semaphore s(0);
        auto t = create_task([&] { s.acquire(); });
        yield_now();
        s.release(0);
        yield_now();
        CHECK_FALSE(t.done());
        s.release();
        t.get();
        s.release(0);
        CHECK(s.value() == 0);
    });
}

TEST_CASE_METHOD(fixture, "semaphore: a cancelled acquire takes nothing, and the next waiter loses nothing") {
    run([] {
        semaphore s(0);
        auto t = create_task([&] { s.acquire(); });
        auto next = create_task([&] { s.acquire(); });
        yield_now();
        t.cancel();
        t.join();
        CHECK(t.cancelled());
        CHECK(s.value() == 0);
        s.release();
        next.get();
        CHECK(s.value() == 0);
    });
}

TEST_CASE_METHOD(fixture, "semaphore: cancelled and released in the same turn, in both orders: the next waiter gets the permit") {
    run([] {
        for (const bool cancel_first : {true, false}) {
            semaphore s(0);
            auto t = create_task([&] { s.acquire(); });
            auto next = create_task([&] { s.acquire(); });
            yield_now();
            if (cancel_first) t.cancel();
            s.release();
            if (!cancel_first) t.cancel();
            next.get();
            CHECK(t.cancelled());
            CHECK(s.value() == 0);
        }
    });
}

TEST_CASE_METHOD(fixture, "semaphore: cancelled and released in the same turn, in both orders: without another waiter it goes back") {
    run([] {
        for (const bool cancel_first : {true, false}) {
            semaphore s(0);
            auto t = create_task([&] { s.acquire(); });
            yield_now();
            if (cancel_first) t.cancel();
            s.release();
            if (!cancel_first) t.cancel();
            t.join();
            CHECK(t.cancelled());
            CHECK(s.value() == 1);
        }
    });
}

TEST_CASE_METHOD(fixture, "semaphore: a timed acquire gives up when the time is up") {
    run([] {
        semaphore s(0);
        const auto start = virtual_clock::now();
        CHECK_FALSE(s.try_acquire_for(3ms));
        CHECK_FALSE(s.try_acquire_until(start + 5ms));
        CHECK_FALSE(s.try_lock_for(1ms));
        CHECK(virtual_clock::now() == start + 6ms);
        CHECK_FALSE(s.try_acquire_for(-1s));
        CHECK(s.value() == 0);
        auto t = create_task([&] { return s.try_acquire_for(1h); });
        yield_now();
        s.release();
        CHECK(t.get());
        CHECK(s.value() == 0);
    });
}

TEST_CASE_METHOD(fixture, "semaphore: released in the turn in which the time is up: what came first counts, and no permit is lost") {
    run([] {
        semaphore s(0);
        auto late = create_task([&] { return s.try_acquire_for(1ms); });
        yield_now();
        sleep(1ms);
        s.release();
        CHECK(s.value() == 1);
        CHECK_FALSE(late.get());
        s.acquire();
        auto in_time = create_task([&] { return s.try_acquire_for(1ms); });
        yield_now();
        virtual_clock::pass(1ms);
        s.release();
        CHECK(in_time.get());
        CHECK(s.value() == 0);
    });
}

TEST_CASE_METHOD(fixture, "semaphore: works with std's locks") {
    run([] {
        semaphore s(1);
        {
            const std::scoped_lock lock(s);
            CHECK(s.value() == 0);
            CHECK_FALSE(s.try_lock());
        }
        std::unique_lock lock(s, 1s);
        CHECK(lock.owns_lock());
    });
}

TEST_CASE_METHOD(fixture, "semaphore: a bad number of permits is an error and changes nothing") {
    CHECK(throws<std::invalid_argument>([] { semaphore s(-1); }));
    CHECK(throws<std::invalid_argument>([] { bounded_semaphore s(-1); }));
    semaphore s(1);
    CHECK(throws<std::invalid_argument>([&] { s.release(-1); }));
    CHECK(throws<std::logic_error>([&] { s.release(semaphore::max()); }));
    CHECK(s.value() == 1);
}

TEST_CASE_METHOD(fixture, "bounded_semaphore: releasing one too many is an error and changes nothing") {
    run([] {
        bounded_semaphore s(2);
        CHECK(throws<std::logic_error>([&] { s.release(); }));
        CHECK(s.value() == 2);
        s.acquire();
        CHECK(throws<std::logic_error>([&] { s.release(2); }));
        CHECK(s.value() == 1);
        s.acquire();
        auto t = create_task([&] { s.acquire(); });
        yield_now();
        CHECK(throws<std::logic_error>([&] { s.release(3); }));
        yield_now();
        CHECK_FALSE(t.done());
        s.release(2);
        CHECK(s.value() == 1);
        t.get();
        CHECK(throws<std::logic_error>([&] { s.release(2); }));
        semaphore& as_semaphore = s;
        as_semaphore.release();
        CHECK(throws<std::logic_error>([&] { as_semaphore.release(); }));
    });
}

TEST_CASE_METHOD(fixture, "semaphore: a loop callback may take a permit, and must not wait for one") {
    run([] {
        semaphore s(1);
        in_callback([&] {
            s.acquire();
            CHECK(throws<no_running_task>([&] { s.acquire(); }));
            s.release();
        });
        CHECK(s.value() == 1);
    });
}

TEST_CASE_METHOD(fixture, "semaphore: a woken waiter may destroy it at once") {
    run([] {
        auto s = std::make_unique<semaphore>(0);
        auto t = create_task([&] {
            s->acquire();
            s.reset();
        });
        yield_now();
        s->release();
        t.get();
        CHECK_FALSE(s);
    });
}

TEST_CASE("semaphore: destroying one that somebody waits for ends the program with a sentence") {
    const auto child = in_child([] {
        run([] {
            auto s = std::make_unique<semaphore>(0);
            create_task([&] { s->acquire(); });
            yield_now();
            s.reset();
        });
    });
    CHECK(child.died_of(SIGABRT));
    CHECK(child.said("a semaphore is destroyed while somebody waits for it") == 1);
}

TEST_CASE_METHOD(real_time, "semaphore: a plain thread waits for a task, and a task for a plain thread") {
    semaphore to_thread(0), to_task(0);
    const int times = rounds(1000);
    thread plain([&] {
        for (int i = 0; i < times; ++i) {
            to_thread.acquire();
            to_task.release();
        }
    });
    run([&] {
        for (int i = 0; i < times; ++i) {
            to_thread.release();
            to_task.acquire();
        }
    });
    plain.join();
    CHECK(to_thread.value() + to_task.value() == 0);
}

TEST_CASE_METHOD(real_time, "semaphore: never lets more in than it has permits, from two loops and plain threads") {
    semaphore s(3);
    std::atomic<int> inside{0}, most{0};
    const auto work = [&] {
        for (int i = rounds(1000); i > 0; --i) {
            const std::scoped_lock lock(s);
            const int now = ++inside;
            for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {}
            if (i % 16 == 0) yield_now();
            --inside;
        }
    };
    const auto in_loop = [&] {
        std::vector<task<>> tasks;
        for (int i = 0; i < 4; ++i) tasks.push_back(create_task(work));
        for (auto& t : tasks) t.get();
    };
    {
        loop_thread first(in_loop), second(in_loop);
        thread third(work);
    }
    CHECK(most <= 3);
    CHECK(s.value() == 3);
}
