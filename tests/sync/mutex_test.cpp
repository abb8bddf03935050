// <weft/mutex.hpp>

#include "sync/fixture.hpp"

using namespace sync_test;

TEST_CASE_METHOD(fixture, "mutex: a free one is locked at once, without a turn of the loop") {
    bool other_ran = false;  // here: the task may begin when run's function has returned
    run([&] {
        mutex m;
        create_task([&] { other_ran = true; });
        m.lock();
        CHECK_FALSE(other_ran);
        m.unlock();
        CHECK(m.try_lock());
        m.unlock();
        CHECK_FALSE(other_ran);
    });
}

TEST_CASE_METHOD(fixture, "mutex: unlock gives it to the waiter before that runs") {
    run([] {
        mutex m;
        m.lock();
        bool locked = false;
        auto t = create_task([&] {
            m.lock();
            locked = true;
            m.unlock();
        });
        yield_now();
        CHECK_FALSE(locked);
        m.unlock();
        CHECK_FALSE(locked);
        CHECK_FALSE(m.try_lock());   // it is promised
        t.join();
        CHECK(locked);
        CHECK(m.try_lock());
        m.unlock();
    });
}

TEST_CASE_METHOD(fixture, "mutex: waiters get it first in, first out, and nobody overtakes") {
    notes log;
    run([&] {
        mutex m;
        m.lock();
        for (const char* name : {"a", "b", "c"})
            create_task([&, name] {
                const std::scoped_lock lock(m);
                log.push_back(name);
                yield_now();
            });
        yield_now();
        m.unlock();
        const std::scoped_lock lock(m);
        log.push_back("main");
    });
    CHECK(log == notes{"a", "b", "c", "main"});
}

TEST_CASE_METHOD(fixture, "mutex: a cancelled lock leaves it with its owner, and the next waiter loses nothing") {
    run([] {
        mutex m;
        m.lock();
        auto t = create_task([&] { m.lock(); });
        bool next_locked = false;
        auto next = create_task([&] {
            const std::scoped_lock lock(m);
            next_locked = true;
        });
        yield_now();
        t.cancel();
        t.join();
        CHECK(t.cancelled());
        CHECK_FALSE(m.try_lock());
        m.unlock();
        next.get();
        CHECK(next_locked);
    });
}

TEST_CASE_METHOD(fixture, "mutex: cancelled, then unlocked in the same turn: the next waiter gets it") {
    run([] {
        mutex m;
        m.lock();
        auto t = create_task([&] { m.lock(); });
        auto next = create_task([&] { m.lock(), m.unlock(); });
        yield_now();
        t.cancel();
        m.unlock();
        next.get();
        CHECK(t.cancelled());
        CHECK(m.try_lock());
        m.unlock();
    });
}

TEST_CASE_METHOD(fixture, "mutex: unlocked, then cancelled in the same turn: the cancellation wins and the next waiter gets it") {
    run([] {
        mutex m;
        m.lock();
        auto t = create_task([&] { m.lock(); });
        auto next = create_task([&] { m.lock(), m.unlock(); });
        yield_now();
        m.unlock();
        t.cancel();
        next.get();
        CHECK(t.cancelled());
        CHECK(m.try_lock());
        m.unlock();
    });
}

TEST_CASE_METHOD(fixture, "mutex: unlocked, then cancelled in the same turn: without another waiter it is free") {
    run([] {
        mutex m;
        m.lock();
        auto t = create_task([&] { m.lock(); });
        yield_now();
        m.unlock();
        t.cancel();
        t.join();
        CHECK(t.cancelled());
        CHECK(m.try_lock());
        m.unlock();
    });
}

TEST_CASE_METHOD(fixture, "mutex: a timed lock gives up when the time is up, on any clock") {
    run([] {
        mutex m;
        CHECK(m.try_lock_for(0s));   // free: no time is needed
        m.unlock();
        CHECK(m.try_lock_until(std::chrono::system_clock::now() - 1s));
        auto t = create_task([&] {
            const auto start = virtual_clock::now();
            CHECK_FALSE(m.try_lock_for(5ms));
            CHECK(virtual_clock::now() == start + 5ms);
            CHECK_FALSE(m.try_lock_until(virtual_clock::now() + 5ms));
            CHECK(virtual_clock::now() == start + 10ms);
            CHECK_FALSE(m.try_lock_until(std::chrono::system_clock::now() + 5ms));
            CHECK_FALSE(m.try_lock_for(0s));
            CHECK_FALSE(m.try_lock_for(-1h));
        });
        t.get();
        CHECK_FALSE(m.try_lock());   // main has it still
        m.unlock();
    });
}

TEST_CASE_METHOD(fixture, "mutex: a timed lock that gets it in time, and one that has no end, return true") {
    run([] {
        mutex m;
        m.lock();
        auto in_time = create_task([&] {
            const bool locked = m.try_lock_for(1h);
            m.unlock();
            return locked;
        });
        auto endless = create_task([&] {
            const bool locked = m.try_lock_for(std::chrono::hours::max());
            m.unlock();
            return locked;
        });
        yield_now();
        m.unlock();
        CHECK(in_time.get());
        CHECK(endless.get());
    });
}

TEST_CASE_METHOD(fixture, "mutex: unlocked in the turn in which the time is up: timed out if that came first, else locked") {
    run([] {
        mutex m;
        m.lock();
        auto late = create_task([&] { return m.try_lock_for(1ms); });
        yield_now();
        sleep(1ms);   // set later, so it ends later
        m.unlock();
        CHECK(m.try_lock());
        CHECK_FALSE(late.get());

        auto in_time = create_task([&] {
            const bool locked = m.try_lock_for(1ms);
            if (locked) m.unlock();
            return locked;
        });
        yield_now();
        virtual_clock::pass(1ms);
        m.unlock();
        CHECK(in_time.get());
    });
}

TEST_CASE_METHOD(fixture, "mutex: what one does not own cannot be unlocked") {
    run([] {
        mutex m;
        CHECK(code_thrown_by([&] { m.unlock(); }) == std::errc::operation_not_permitted);
        m.lock();
        create_task([&] {
            CHECK(code_thrown_by([&] { m.unlock(); }) == std::errc::operation_not_permitted);
        }).get();
        m.unlock();
        CHECK(code_thrown_by([&] { m.unlock(); }) == std::errc::operation_not_permitted);
    });
}

TEST_CASE_METHOD(fixture, "mutex: locking what one owns already is an error, not a deadlock") {
    run([] {
        mutex m;
        m.lock();
        CHECK(code_thrown_by([&] { m.lock(); }) == std::errc::resource_deadlock_would_occur);
        CHECK(code_thrown_by([&] { (void)m.try_lock_for(1s); }) == std::errc::resource_deadlock_would_occur);
        CHECK_FALSE(m.try_lock());
        m.unlock();
    });
}

TEST_CASE_METHOD(fixture, "mutex: a loop callback may lock a free one, and must not wait") {
    run([] {
        mutex m;
        in_callback([&] {
            m.lock();
            m.unlock();
        });
        m.lock();
        in_callback([&] {
            CHECK(throws<no_running_task>([&] { m.lock(); }));
            CHECK_FALSE(m.try_lock());
        });
        m.unlock();
    });
}

TEST_CASE_METHOD(fixture, "mutex: a woken waiter may destroy it at once") {
    run([] {
        auto m = std::make_unique<mutex>();
        m->lock();
        auto t = create_task([&] {
            m->lock();
            m->unlock();
            m.reset();
        });
        yield_now();
        m->unlock();
        t.get();
        CHECK_FALSE(m);
    });
}

TEST_CASE("mutex: destroying one that somebody waits for ends the program with a sentence") {
    const auto child = in_child([] {
        run([] {
            auto m = std::make_unique<mutex>();
            m->lock();
            create_task([&] { m->lock(); });
            yield_now();
            m.reset();
        });
    });
    CHECK(child.died_of(SIGABRT));
    CHECK(child.said("a mutex is destroyed while somebody waits for it") == 1);
}

TEST_CASE_METHOD(fixture, "mutex: works with std's locks, several at once") {
    run([] {
        mutex a, b;
        {
            const std::scoped_lock both(a, b);
            CHECK(create_task([&] { return a.try_lock() || b.try_lock(); }).get() == false);
        }
        {
            std::unique_lock later(a, std::defer_lock);
            CHECK(later.try_lock_for(1s));
        }
        CHECK(std::try_lock(a, b) == -1);
        a.unlock();
        b.unlock();
    });
}

TEST_CASE_METHOD(real_time, "mutex: a plain thread waits for a task, and a task for a plain thread") {
    mutex m;
    std::atomic<int> step{0};
    int guarded = 0;
    thread plain([&] {
        until([&] { return step == 1; });
        step = 2;
        m.lock();
        guarded = guarded * 10 + 2;
        step = 3;
        until([&] { return step == 4; });
        m.unlock();
    });
    run([&] {
        m.lock();
        step = 1;
        until([&] { return step == 2; });
        turns(10);
        guarded = 1;
        m.unlock();
        until([&] { return step == 3; });
        step = 4;
        const std::scoped_lock lock(m);
        guarded = guarded * 10 + 3;
    });
    plain.join();
    CHECK(guarded == 123);
}

TEST_CASE_METHOD(real_time, "mutex: a plain thread's timed lock gives up") {
    mutex m;
    m.lock();
    bool locked = true;
    thread([&] { locked = m.try_lock_for(1ms); }).join();
    CHECK_FALSE(locked);
    m.unlock();
}

TEST_CASE_METHOD(real_time, "mutex: excludes tasks of two loops and plain threads from each other") {
    mutex m;
    long guarded = 0;
    const int times = rounds(3000);
    const auto work = [&] {
        for (int i = 0; i < times; ++i) {
            const std::scoped_lock lock(m);
            ++guarded;
        }
    };
    const auto in_loop = [&] {
        auto a = create_task(work);
        auto b = create_task(work);
        a.get();
        b.get();
    };
    {
        loop_thread first(in_loop), second(in_loop);
        thread third(work), fourth(work);
    }
    CHECK(guarded == 6L * times);
}

TEST_CASE_METHOD(real_time, "mutex: is handed over between two loops, back and forth") {
    mutex m;
    const int times = rounds(1000);
    std::vector<int> order;
    const auto work = [&](int who) {
        for (int i = 0; i < times; ++i) {
            const std::scoped_lock lock(m);
            order.push_back(who);
            yield_now();   // so that the other one queues
        }
    };
    {
        loop_thread first([&] { work(1); }), second([&] { work(2); });
    }
    CHECK(order.size() == 2u * static_cast<unsigned>(times));
}
