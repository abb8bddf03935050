// <weft/shared_mutex.hpp>

#include <shared_mutex>

#include "sync/fixture.hpp"

using namespace sync_test;

namespace {

/// Starts a task that locks, notes its name, waits for `go`, and unlocks.
auto holder(shared_mutex& m, bool writer, const char* name, notes& log, event& go) {
    return create_task([&m, writer, name, &log, &go] {
        writer ? m.lock() : m.lock_shared();
        log.push_back(name);
        go.wait();
        writer ? m.unlock() : m.unlock_shared();
    });
}

}  // namespace

TEST_CASE_METHOD(fixture, "shared_mutex: readers enter together, at once; a writer alone") {
    bool other_ran = false;  // here: the task may begin when run's function has returned
    run([&] {
        shared_mutex m;
        create_task([&] { other_ran = true; });
        m.lock_shared();
        m.lock_shared();
        CHECK(m.try_lock_shared());
        CHECK_FALSE(m.try_lock());
        for (int i = 0; i < 3; ++i) m.unlock_shared();
        m.lock();
        CHECK_FALSE(m.try_lock());
        CHECK_FALSE(m.try_lock_shared());
        m.unlock();
        CHECK(m.try_lock());
        m.unlock();
        CHECK_FALSE(other_ran);
        {
            const std::shared_lock reading(m);
        }
        const std::unique_lock writing(m);
    });
}

TEST_CASE_METHOD(fixture, "shared_mutex: a writer waits for the last reader, and readers for the writer") {
    run([] {
        shared_mutex m;
        notes log;
        event go;
        m.lock_shared();
        m.lock_shared();
        auto writer = holder(m, true, "writer", log, go);
        yield_now();
        m.unlock_shared();
        turns(2);
        CHECK(log.empty());
        m.unlock_shared();
        CHECK_FALSE(m.try_lock_shared());   // promised to the writer
        turns(2);
        CHECK(log == notes{"writer"});
        auto one = holder(m, false, "reader", log, go);
        auto two = holder(m, false, "reader", log, go);
        turns(2);
        CHECK(log.size() == 1);
        go.set();
        writer.get();
        one.get();
        two.get();
        CHECK(log == notes{"writer", "reader", "reader"});
    });
}

TEST_CASE_METHOD(fixture, "shared_mutex: readers queue behind a waiting writer; neighbours enter together") {
    run([] {
        shared_mutex m;
        notes log;
        event go;
        m.lock_shared();
        auto a = holder(m, true, "writer a", log, go);
        auto b = holder(m, false, "reader b", log, go);
        auto c = holder(m, false, "reader c", log, go);
        auto d = holder(m, true, "writer d", log, go);
        auto e = holder(m, false, "reader e", log, go);
        yield_now();
        CHECK_FALSE(m.try_lock_shared());   // there is room, but not for one who comes later than a writer
        m.unlock_shared();
        turns(3);
        CHECK(log == notes{"writer a"});
        go.set();
        e.get();
        CHECK(log == notes{"writer a", "reader b", "reader c", "writer d", "reader e"});
        for (auto* t : {&a, &b, &c, &d}) t->get();
    });
}

TEST_CASE_METHOD(fixture, "shared_mutex: a cancelled or timed-out writer lets the readers behind it in") {
    run([] {
        for (const bool timeout : {true, false}) {
            shared_mutex m;
            m.lock_shared();
            auto writer = create_task([&] { return timeout ? m.try_lock_for(1ms) : (m.lock(), true); });
            auto reader = create_task([&] { m.lock_shared(); });
            yield_now();
            if (!timeout) writer.cancel();
            reader.get();   // main reads still
            writer.join();
            if (timeout) CHECK_FALSE(writer.get());
            else CHECK(writer.cancelled());
            CHECK(m.try_lock_shared());
            for (int i = 0; i < 3; ++i) m.unlock_shared();
            CHECK(m.try_lock());
            m.unlock();
        }
    });
}

TEST_CASE_METHOD(fixture, "shared_mutex: a cancelled writer that has not run yet keeps nobody out, nor those behind it waiting") {
    run([] {
        shared_mutex m;
        m.lock_shared();
        auto writer = create_task([&] { m.lock(); });
        auto reader = create_task([&] { m.lock_shared(); });
        yield_now();
        writer.cancel();
        CHECK(m.try_lock_shared());
        reader.get();
        CHECK(writer.cancelled());
        for (int i = 0; i < 3; ++i) m.unlock_shared();
    });
}

TEST_CASE_METHOD(fixture, "shared_mutex: cancelled and let in in the same turn, in both orders: the next one gets it") {
    run([] {
        for (const bool cancel_first : {true, false}) {
            for (const bool writer : {true, false}) {
                shared_mutex m;
                m.lock();
                auto t = create_task([&] { writer ? m.lock() : m.lock_shared(); });
                auto next = create_task([&] {
                    m.lock();
                    m.unlock();
                });
                yield_now();
                if (cancel_first) t.cancel();
                m.unlock();
                if (!cancel_first) t.cancel();
                next.get();
                CHECK(t.cancelled());
                CHECK(m.try_lock());
                m.unlock();
            }
        }
    });
}

TEST_CASE_METHOD(fixture, "shared_mutex: timed locks give up when the time is up, and leave it as it was") {
    run([] {
        shared_mutex m;
        CHECK(m.try_lock_for(0s));
        create_task([&] {
            const auto start = virtual_clock::now();
            CHECK_FALSE(m.try_lock_for(1ms));
            CHECK_FALSE(m.try_lock_until(start + 2ms));
            CHECK_FALSE(m.try_lock_shared_for(1ms));
            CHECK_FALSE(m.try_lock_shared_until(start + 4ms));
            CHECK(virtual_clock::now() == start + 4ms);
        }).get();
        auto in_time = create_task([&] {
            const bool locked = m.try_lock_shared_for(1h);
            m.unlock_shared();
            return locked;
        });
        yield_now();
        m.unlock();
        CHECK(in_time.get());
        CHECK(m.try_lock_shared_for(1s));
        create_task([&] { CHECK_FALSE(m.try_lock_for(1ms)); }).get();
        m.unlock_shared();
        CHECK(m.try_lock());
        m.unlock();
    });
}

TEST_CASE_METHOD(fixture, "shared_mutex: what one does not own cannot be unlocked, nor waited for by its owner") {
    run([] {
        shared_mutex m;
        CHECK(code_thrown_by([&] { m.unlock(); }) == std::errc::operation_not_permitted);
        CHECK(code_thrown_by([&] { m.unlock_shared(); }) == std::errc::operation_not_permitted);
        m.lock_shared();
        CHECK(code_thrown_by([&] { m.unlock(); }) == std::errc::operation_not_permitted);
        m.unlock_shared();
        m.lock();
        CHECK(code_thrown_by([&] { m.unlock_shared(); }) == std::errc::operation_not_permitted);
        CHECK(code_thrown_by([&] { m.lock(); }) == std::errc::resource_deadlock_would_occur);
        CHECK(code_thrown_by([&] { m.lock_shared(); }) == std::errc::resource_deadlock_would_occur);
        create_task([&] {
            CHECK(code_thrown_by([&] { m.unlock(); }) == std::errc::operation_not_permitted);
        }).get();
        m.unlock();
    });
}

TEST_CASE_METHOD(fixture, "shared_mutex: a loop callback may lock a free one, and must not wait") {
    run([] {
        shared_mutex m;
        in_callback([&] {
            m.lock_shared();
            CHECK(throws<no_running_task>([&] { m.lock(); }));
            m.unlock_shared();
        });
        CHECK(m.try_lock());
        m.unlock();
    });
}

TEST_CASE_METHOD(fixture, "shared_mutex: a woken waiter may destroy it at once") {
    run([] {
        auto m = std::make_unique<shared_mutex>();
        m->lock();
        auto t = create_task([&] {
            m->lock_shared();
            m->unlock_shared();
            m.reset();
        });
        yield_now();
        m->unlock();
        t.get();
        CHECK_FALSE(m);
    });
}

TEST_CASE("shared_mutex: destroying one that somebody waits for ends the program with a sentence") {
    const auto child = in_child([] {
        run([] {
            auto m = std::make_unique<shared_mutex>();
            m->lock_shared();
            create_task([&] { m->lock(); });
            yield_now();
            m.reset();
        });
    });
    CHECK(child.died_of(SIGABRT));
    CHECK(child.said("a shared_mutex is destroyed while somebody waits for it") == 1);
}

TEST_CASE_METHOD(real_time, "shared_mutex: tasks of two loops and plain threads read together and write alone") {
    shared_mutex m;
    std::atomic<int> readers{0}, writers{0};
    std::atomic<bool> mixed{false};
    const auto work = [&] {
        for (int i = rounds(1500); i > 0; --i) {
            if (i % 4 == 0) {
                const std::unique_lock lock(m);
                if (++writers != 1 || readers != 0) mixed = true;
                --writers;
            } else {
                const std::shared_lock lock(m);
                ++readers;
                if (writers != 0) mixed = true;
                if (i % 16 == 1) yield_now();
                --readers;
            }
        }
    };
    const auto in_loop = [&] {
        std::vector<task<>> tasks;
        for (int i = 0; i < 3; ++i) tasks.push_back(create_task(work));
        for (auto& t : tasks) t.get();
    };
    {
        loop_thread first(in_loop), second(in_loop);
        thread third(work), fourth(work);
    }
    CHECK_FALSE(mixed);
    CHECK(m.try_lock());
    m.unlock();
}
