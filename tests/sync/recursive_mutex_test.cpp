// <weft/recursive_mutex.hpp>: what it adds to a mutex, whose tests cover how it waits.

#include "sync/fixture.hpp"

using namespace sync_test;

TEST_CASE_METHOD(fixture, "recursive_mutex: its owner locks it again at once, and others wait for the last unlock") {
    run([] {
        recursive_mutex m;
        m.lock();
        CHECK(m.try_lock());
        CHECK(m.try_lock_for(1s));
        CHECK(m.try_lock_until(virtual_clock::now()));
        auto t = create_task([&] {
            const std::scoped_lock lock(m);
            const std::scoped_lock again(m);
        });
        for (int i = 0; i < 4; ++i) {
            yield_now();
            CHECK_FALSE(t.done());
            m.unlock();
        }
        CHECK_FALSE(m.try_lock());   // promised to t
        t.get();
        CHECK(m.try_lock());
        m.unlock();
    });
}

TEST_CASE_METHOD(fixture, "recursive_mutex: waiters get it first in, first out") {
    notes log;
    run([&] {
        recursive_mutex m;
        m.lock();
        for (const char* name : {"a", "b"})
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
    CHECK(log == notes{"a", "b", "main"});
}

TEST_CASE_METHOD(fixture, "recursive_mutex: cancelled and unlocked in the same turn, in both orders: the next waiter gets it") {
    run([] {
        for (const bool cancel_first : {true, false}) {
            recursive_mutex m;
            m.lock();
            auto t = create_task([&] { m.lock(); });
            auto next = create_task([&] { m.lock(), m.unlock(); });
            yield_now();
            if (cancel_first) t.cancel();
            m.unlock();
            if (!cancel_first) t.cancel();
            next.get();
            CHECK(t.cancelled());
            CHECK(m.try_lock());
            m.unlock();
        }
    });
}

TEST_CASE_METHOD(fixture, "recursive_mutex: a timed lock gives up, and counts nothing") {
    run([] {
        recursive_mutex m;
        m.lock();
        create_task([&] {
            const auto start = virtual_clock::now();
            CHECK_FALSE(m.try_lock_for(1ms));
            CHECK(virtual_clock::now() == start + 1ms);
            CHECK(code_thrown_by([&] { m.unlock(); }) == std::errc::operation_not_permitted);
        }).get();
        m.unlock();
        CHECK(code_thrown_by([&] { m.unlock(); }) == std::errc::operation_not_permitted);
    });
}

TEST_CASE_METHOD(fixture, "recursive_mutex: a condition_variable gives it up for the wait and takes it again") {
    run([] {
        recursive_mutex m;
        condition_variable changed;
        auto t = create_task([&] {
            std::unique_lock lock(m);
            changed.wait(lock);
            CHECK(m.try_lock());
            m.unlock();
        });
        yield_now();
        CHECK(m.try_lock());
        changed.notify_one();
        m.unlock();
        t.get();
    });
}

TEST_CASE_METHOD(real_time, "recursive_mutex: excludes tasks of two loops and a plain thread from each other") {
    recursive_mutex m;
    long guarded = 0;
    const int times = rounds(2000);
    const auto work = [&] {
        for (int i = 0; i < times; ++i) {
            const std::scoped_lock lock(m);
            const std::scoped_lock again(m);
            ++guarded;
        }
    };
    {
        loop_thread first(work), second(work);
        thread third(work);
    }
    CHECK(guarded == 3L * times);
}
