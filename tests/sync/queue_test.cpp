// <weft/queue.hpp>: what all three queues do, tried on queue. Order, shutdown and iteration are in queue_kinds_test.cpp.

#include <string>

#include "sync/fixture.hpp"

using namespace sync_test;

namespace {

using strings = queue<std::string>;

/// A string that is too long to be copied without being seen: moved from, it is empty.
const std::string item = "an item that is longer than what a string keeps within itself";

/// An item whose move throws when told to.
struct fragile {
    explicit fragile(int v) : value(v) {}
    fragile(fragile&& other) : value(other.value) {
        if (throwing) throw std::runtime_error("fragile");
    }
    int value;
    static inline bool throwing = false;
};

}  // namespace

TEST_CASE_METHOD(fixture, "queue: put and get of what is there, and of room, need no turn of the loop") {
    bool other_ran = false;  // here: the task may begin when run's function has returned
    run([&] {
        queue<int> q(2);
        create_task([&] { other_ran = true; });
        CHECK(q.empty());
        CHECK(q.maxsize() == 2);
        q.put(1);
        q.emplace(2);
        CHECK(q.full());
        CHECK(q.size() == 2);
        CHECK(q.get() == 1);
        CHECK(q.get_nowait() == 2);
        q.put_nowait(3);
        CHECK(q.try_get_for(0s) == 3);
        CHECK(q.try_put_for(4, 0s));
        CHECK_FALSE(other_ran);
        CHECK(queue<int>(-1).full() == false);
    });
}

TEST_CASE_METHOD(fixture, "queue: an item goes to the waiting getter before that runs") {
    run([] {
        queue<int> q;
        auto t = create_task([&] { return q.get(); });
        yield_now();
        q.put(1);
        CHECK(q.empty());
        CHECK(throws<queue_empty>([&] { q.get_nowait(); }));   // it is promised
        q.put(2);
        CHECK(q.get_nowait() == 2);
        CHECK(t.get() == 1);
    });
}

TEST_CASE_METHOD(fixture, "queue: getters get items first in, first out, and nobody overtakes") {
    notes log;
    run([&] {
        strings q;
        std::vector<task<>> getters;
        for (const char* name : {"a", "b", "c"})
            getters.push_back(create_task([&, name] { log.push_back(name + q.get()); }));
        yield_now();
        for (const char* i : {"1", "2", "3", "4"}) q.put(i);
        CHECK(q.get() == "4");
        for (auto& t : getters) t.get();
    });
    CHECK(log == notes{"a1", "b2", "c3"});
}

TEST_CASE_METHOD(fixture, "queue: room goes to the waiting putters first in, first out, and nobody overtakes") {
    run([] {
        queue<int> q(1);
        q.put(0);
        std::vector<task<>> putters;
        for (int i = 1; i <= 3; ++i) putters.push_back(create_task([&, i] { q.put(i); }));
        yield_now();
        CHECK(q.get_nowait() == 0);
        CHECK(q.full());   // the room is promised
        CHECK(throws<queue_full>([&] { q.put_nowait(9); }));
        for (int i = 1; i <= 3; ++i) CHECK(q.get() == i);
        for (auto& t : putters) t.get();
        CHECK(q.empty());
    });
}

TEST_CASE_METHOD(fixture, "queue: a put that had room promised keeps its place before a later one") {
    run([] {
        queue<int> q(2);
        q.put(1);
        q.put(2);
        auto t = create_task([&] { q.put(3); });
        yield_now();
        CHECK(q.get() == 1);
        CHECK(q.get() == 2);
        q.put(4);   // there is room for both
        t.get();
        CHECK(q.get() == 3);
        CHECK(q.get() == 4);
    });
}

TEST_CASE_METHOD(fixture, "queue: a cancelled get leaves the item for the next waiter") {
    run([] {
        queue<int> q;
        auto t = create_task([&] { return q.get(); });
        auto next = create_task([&] { return q.get(); });
        yield_now();
        t.cancel();
        t.join();
        CHECK(t.cancelled());
        q.put(1);
        CHECK(next.get() == 1);
    });
}

TEST_CASE_METHOD(fixture, "queue: put, and the getter cancelled, in the same turn, in both orders: the next getter gets the item") {
    run([] {
        for (const bool cancel_first : {true, false}) {
            strings q;
            auto t = create_task([&] { return q.get(); });
            auto next = create_task([&] { return q.get(); });
            yield_now();
            if (cancel_first) t.cancel();
            q.put(item);
            if (!cancel_first) t.cancel();
            CHECK(next.get() == item);
            CHECK(t.cancelled());
            CHECK(q.empty());
        }
    });
}

TEST_CASE_METHOD(fixture, "queue: items handed to getters that are cancelled go back in their order, before later ones") {
    run([] {
        queue<int> q;
        std::vector<task<int>> getters;
        for (int i = 0; i < 3; ++i) getters.push_back(create_task([&] { return q.get(); }));
        yield_now();
        for (int i = 1; i <= 5; ++i) q.put(i);
        getters[0].cancel();
        getters[2].cancel();
        CHECK(getters[1].get() == 2);
        getters[2].join();
        for (int i : {1, 3, 4, 5}) CHECK(q.get_nowait() == i);
    });
}

TEST_CASE_METHOD(fixture, "queue: a cancelled put has not taken the item, and the next putter loses nothing") {
    run([] {
        strings q(1);
        q.put("first");
        std::string mine = item;
        auto t = create_task([&] { q.put(std::move(mine)); });
        auto next = create_task([&] { q.put("next"); });
        yield_now();
        t.cancel();
        t.join();
        CHECK(t.cancelled());
        CHECK(mine == item);
        CHECK(q.get() == "first");
        CHECK(q.get() == "next");
        next.get();
        CHECK(q.empty());
    });
}

TEST_CASE_METHOD(fixture, "queue: room made, and the putter cancelled, in the same turn, in both orders: the next putter gets the room") {
    run([] {
        for (const bool cancel_first : {true, false}) {
            strings q(1);
            q.put("first");
            std::string mine = item;
            auto t = create_task([&] { q.put(std::move(mine)); });
            auto next = create_task([&] { q.put("next"); });
            yield_now();
            if (cancel_first) t.cancel();
            CHECK(q.get() == "first");
            if (!cancel_first) t.cancel();
            next.get();
            CHECK(t.cancelled());
            CHECK(mine == item);
            CHECK(q.get_nowait() == "next");
            CHECK(q.empty());
            CHECK_FALSE(q.full());
        }
    });
}

TEST_CASE_METHOD(fixture, "queue: timed gets and puts give up when the time is up, and the item is untouched") {
    run([] {
        strings q(1);
        const auto start = virtual_clock::now();
        CHECK(q.try_get_for(1ms) == std::nullopt);
        CHECK(q.try_get_until(start + 2ms) == std::nullopt);
        CHECK(virtual_clock::now() == start + 2ms);
        q.put("first");
        std::string mine = item;
        CHECK_FALSE(q.try_put_for(std::move(mine), 1ms));
        CHECK_FALSE(q.try_put_until(std::move(mine), start + 4ms));
        CHECK(virtual_clock::now() == start + 4ms);
        CHECK_FALSE(q.try_put_for(mine, -1s));
        CHECK_FALSE(q.try_put_until(mine, virtual_clock::now()));
        CHECK(mine == item);
        auto put = create_task([&] { return q.try_put_for(std::move(mine), 1h); });
        yield_now();
        CHECK(q.get() == "first");
        CHECK(put.get());
        CHECK(q.try_get_for(1h) == item);
        auto got = create_task([&] { return q.try_get_until(virtual_clock::now() + 1h); });
        yield_now();
        q.put("last");
        CHECK(got.get() == "last");
    });
}

TEST_CASE_METHOD(fixture, "queue: put in the turn in which the getter's time is up: what came first counts, and no item is lost") {
    run([] {
        queue<int> q;
        auto late = create_task([&] { return q.try_get_for(1ms); });
        yield_now();
        sleep(1ms);
        q.put(1);
        CHECK(late.get() == std::nullopt);
        CHECK(q.get() == 1);
        auto in_time = create_task([&] { return q.try_get_for(1ms); });
        yield_now();
        virtual_clock::pass(1ms);
        q.put(2);
        CHECK(in_time.get() == 2);
    });
}

TEST_CASE_METHOD(fixture, "queue: put_nowait that throws leaves the item untouched") {
    run([] {
        strings q(1);
        std::string mine = item;
        q.put_nowait(mine);
        CHECK(throws<queue_full>([&] { q.put_nowait(std::move(mine)); }));
        CHECK(mine == item);
        q.shutdown();
        CHECK(throws<queue_shutdown>([&] { q.put_nowait(std::move(mine)); }));
        CHECK(throws<queue_shutdown>([&] { q.put(std::move(mine)); }));
        CHECK(throws<queue_shutdown>([&] { (void)q.try_put_for(std::move(mine), 1s); }));
        CHECK(mine == item);
    });
}

TEST_CASE_METHOD(fixture, "queue: join waits until every item is done") {
    run([] {
        queue<int> q;
        q.join();
        q.put(1);
        q.put(2);
        auto joins = create_task([&] { q.join(); });
        auto cancelled_one = create_task([&] { q.join(); });
        yield_now();
        cancelled_one.cancel();
        q.get();
        q.task_done();
        q.get();
        yield_now();
        CHECK(cancelled_one.cancelled());
        CHECK_FALSE(joins.done());
        q.task_done();
        joins.get();
        CHECK(throws<std::logic_error>([&] { q.task_done(); }));
        q.join();
    });
}

TEST_CASE_METHOD(fixture, "queue: items that only move, and such that cannot be assigned") {
    run([] {
        queue<std::unique_ptr<int>> q(1);
        q.put(std::make_unique<int>(1));
        auto t = create_task([&] { q.put(std::make_unique<int>(2)); });
        yield_now();
        CHECK(*q.get() == 1);
        CHECK(*q.get() == 2);
        t.get();

        struct constant {
            const int value;
        };
        queue<constant> c;
        auto first = create_task([&] { return c.get().value; });
        auto second = create_task([&] { return c.get().value; });
        yield_now();
        for (int i = 1; i <= 3; ++i) c.put({i});
        first.cancel();
        second.cancel();
        second.join();
        for (int i = 1; i <= 3; ++i) CHECK(c.get().value == i);
    });
}

TEST_CASE_METHOD(fixture, "queue: an item whose move throws is the putter's failure; the getter waits on, as the first") {
    run([] {
        queue<fragile> q;
        auto first = create_task([&] { return q.get().value; });
        auto second = create_task([&] { return q.get().value; });
        yield_now();
        fragile f(1);
        fragile::throwing = true;
        CHECK(thrown_by<std::runtime_error>([&] { q.put(std::move(f)); }) == "fragile");
        fragile::throwing = false;
        yield_now();
        CHECK_FALSE(first.done());
        q.emplace(2);
        q.emplace(3);
        CHECK(first.get() == 2);
        CHECK(second.get() == 3);
        for (int i = 0; i < 2; ++i) q.task_done();
        CHECK(throws<std::logic_error>([&] { q.task_done(); }));   // the one that threw was never put
    });
}

TEST_CASE_METHOD(fixture, "queue: a loop callback may put and get, and must not wait") {
    run([] {
        queue<int> q(1);
        in_callback([&] {
            CHECK(throws<no_running_task>([&] { q.get(); }));
            q.put(1);
            CHECK(throws<no_running_task>([&] { q.put(2); }));
            CHECK(throws<no_running_task>([&] { q.join(); }));
            CHECK(q.get() == 1);
        });
        CHECK(q.empty());
    });
}

TEST_CASE_METHOD(fixture, "queue: a woken waiter may destroy it at once") {
    run([] {
        auto q = std::make_unique<queue<int>>();
        auto t = create_task([&] {
            const int got = q->get();
            q.reset();
            return got;
        });
        yield_now();
        q->put(1);
        CHECK(t.get() == 1);
        CHECK_FALSE(q);
    });
}

TEST_CASE("queue: destroying one that somebody waits for, or has room promised in, ends the program with a sentence") {
    for (const bool promised : {false, true}) {
        const auto child = in_child([=] {
            run([=] {
                auto q = std::make_unique<queue<int>>(1);
                q->put(1);
                create_task([&] { q->put(2); });
                yield_now();
                if (promised) q->get();
                q.reset();
            });
        });
        CHECK(child.died_of(SIGABRT));
        CHECK(child.said("a queue is destroyed while somebody waits for it") == 1);
    }
}

TEST_CASE_METHOD(real_time, "queue: plain threads wait for tasks, and tasks for plain threads") {
    queue<int> to_thread(1), to_task(1);
    const int times = rounds(1000);
    thread plain([&] {
        for (int i = 0; i < times; ++i) to_task.put(to_thread.get() + 1);
    });
    long sum = 0;
    run([&] {
        auto feeds = create_task([&] {
            for (int i = 0; i < times; ++i) to_thread.put(i);
        });
        for (int i = 0; i < times; ++i) sum += to_task.get();
        feeds.get();
    });
    plain.join();
    CHECK(sum == static_cast<long>(times) * (times + 1) / 2);
}

TEST_CASE_METHOD(real_time, "queue: a plain thread's timed get and put give up") {
    queue<int> q(1);
    bool gave_up = false;
    thread([&] {
        const bool got = q.try_get_for(1ms).has_value();
        q.put(1);
        gave_up = !got && !q.try_put_for(2, 1ms);
    }).join();
    CHECK(gave_up);
    CHECK(q.size() == 1);
}

TEST_CASE_METHOD(real_time, "queue: every item that two loops and a plain thread put arrives once, those of one putter in order") {
    queue<std::pair<int, int>> q(8);
    const int times = rounds(2000);
    std::atomic<bool> out_of_order{false};
    std::atomic<long> arrived{0};
    const auto put = [&](int who) {
        for (int i = 0; i < times; ++i) q.put({who, i});
    };
    const auto get = [&] {
        std::vector<int> last(4, -1);
        for (auto [who, i] : q) {
            if (i <= last[static_cast<std::size_t>(who)]) out_of_order = true;
            last[static_cast<std::size_t>(who)] = i;
            ++arrived;
            q.task_done();
        }
    };
    {
        loop_thread getters([&] {
            auto other = create_task(get);
            get();
            other.get();
        });
        thread plain_getter(get);
        {
            loop_thread first([&] { put(0); });
            loop_thread second([&] {
                auto t = create_task(put, 1);
                put(2);
                t.get();
            });
            thread third([&] { put(3); });
        }
        q.join();
        q.shutdown();
    }
    CHECK_FALSE(out_of_order);
    CHECK(arrived == 4L * times);
}
