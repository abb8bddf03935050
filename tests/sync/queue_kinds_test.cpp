// <weft/queue.hpp>: the order of each kind of queue, shutdown, and iteration.

#include <algorithm>
#include <string>

#include "sync/fixture.hpp"

using namespace sync_test;

namespace {

struct job {
    int priority;
    std::string name;
    friend bool operator<(const job& a, const job& b) { return a.priority < b.priority; }
};

template <class Queue>
std::vector<typename Queue::value_type> drain(Queue& q) {
    std::vector<typename Queue::value_type> all;
    while (!q.empty()) all.push_back(q.get_nowait());
    return all;
}

using ints = std::vector<int>;

}  // namespace

TEST_CASE_METHOD(fixture, "lifo_queue: the last in is the first out") {
    run([] {
        lifo_queue<int> q(3);
        for (int i = 1; i <= 3; ++i) q.put(i);
        auto t = create_task([&] { q.put(4); });
        yield_now();
        CHECK(q.get() == 3);
        t.get();
        CHECK(drain(q) == ints{4, 2, 1});
    });
}

TEST_CASE_METHOD(fixture, "lifo_queue: items of cancelled getters go back below those put later") {
    run([] {
        lifo_queue<int> q;
        std::vector<task<int>> getters;
        for (int i = 0; i < 2; ++i) getters.push_back(create_task([&] { return q.get(); }));
        yield_now();
        for (int i = 1; i <= 4; ++i) q.put(i);
        for (auto& t : getters) t.cancel();
        getters[1].join();
        CHECK(drain(q) == ints{4, 3, 2, 1});
    });
}

TEST_CASE_METHOD(fixture, "priority_queue: the smallest first, equal ones in order") {
    run([] {
        priority_queue<job> q;
        for (const auto& j : {job{2, "a"}, job{1, "b"}, job{2, "c"}, job{1, "d"}, job{0, "e"}, job{2, "f"}}) q.put(j);
        std::string names;
        for (const auto& j : drain(q)) names += j.name;
        CHECK(names == "ebdacf");
        priority_queue<int, std::greater<int>> largest_first;
        for (int i : {2, 3, 1}) largest_first.put(i);
        CHECK(drain(largest_first) == ints{3, 2, 1});
    });
}

TEST_CASE_METHOD(fixture, "priority_queue: the order may be an object with a state") {
    bool up = false;
    const auto order = [&up](int a, int b) { return up ? a < b : b < a; };
    priority_queue<int, decltype(order)> q(0, order);
    for (int i : {2, 3, 1}) q.put_nowait(i);
    CHECK(drain(q) == ints{3, 2, 1});
    q.shutdown(true);
}

TEST_CASE_METHOD(fixture, "priority_queue: an item of a cancelled getter goes back before equal ones put later") {
    run([] {
        priority_queue<job> q;
        auto first = create_task([&] { return q.get(); });
        auto second = create_task([&] { return q.get(); });
        yield_now();
        for (const auto& j : {job{1, "a"}, job{1, "b"}, job{1, "c"}, job{0, "d"}}) q.put(j);
        first.cancel();
        second.cancel();
        second.join();
        std::string names;
        for (const auto& j : drain(q)) names += j.name;
        CHECK(names == "dabc");
    });
}

TEST_CASE_METHOD(fixture, "shutdown: gets go on until the queue is empty, puts throw at once") {
    run([] {
        queue<int> q;
        q.put(1);
        q.put(2);
        q.shutdown();
        CHECK(throws<queue_shutdown>([&] { q.put(3); }));
        CHECK(q.get() == 1);
        CHECK(q.get_nowait() == 2);
        CHECK(throws<queue_shutdown>([&] { q.get(); }));
        CHECK(throws<queue_shutdown>([&] { q.get_nowait(); }));
        CHECK(throws<queue_shutdown>([&] { (void)q.try_get_for(1s); }));
        q.shutdown();
    });
}

TEST_CASE_METHOD(fixture, "shutdown: wakes the getters and putters who wait, and the items of these are untouched") {
    run([] {
        queue<std::string> empty, full(1);
        full.put("first");
        std::string mine = "second";
        auto gets = create_task([&] { return throws<queue_shutdown>([&] { empty.get(); }); });
        auto tries = create_task([&] { return throws<queue_shutdown>([&] { (void)empty.try_get_for(1h); }); });
        auto puts = create_task([&] { return throws<queue_shutdown>([&] { full.put(std::move(mine)); }); });
        auto tries_put = create_task([&] {
            return throws<queue_shutdown>([&] { (void)full.try_put_for("third", 1h); });
        });
        yield_now();
        empty.shutdown();
        full.shutdown();
        CHECK(gets.get());
        CHECK(tries.get());
        CHECK(puts.get());
        CHECK(tries_put.get());
        CHECK(mine == "second");
        CHECK(full.get() == "first");
    });
}

TEST_CASE_METHOD(fixture, "shutdown: a put that had room promised and has not run throws, too, and its item is untouched") {
    run([] {
        queue<std::string> q(1);
        q.put("first");
        std::string mine = "second";
        auto t = create_task([&] { return throws<queue_shutdown>([&] { q.put(std::move(mine)); }); });
        yield_now();
        q.get();
        q.shutdown();
        CHECK(t.get());
        CHECK(mine == "second");
        CHECK(throws<queue_shutdown>([&] { q.get_nowait(); }));
    });
}

TEST_CASE_METHOD(fixture, "shutdown: a get that was handed an item before returns it") {
    run([] {
        queue<int> q;
        auto t = create_task([&] { return q.get(); });
        yield_now();
        q.put(1);
        q.shutdown(true);
        CHECK(t.get() == 1);
    });
}

TEST_CASE_METHOD(fixture, "shutdown: immediate drops the items, counts them as done, and destroys them when all is over") {
    run([] {
        queue<counted> q;
        for (int i = 0; i < 3; ++i) q.emplace(i);
        q.get();
        auto joins = create_task([&] { q.join(); });
        yield_now();
        q.shutdown(true);
        CHECK(counted::live == 0);
        CHECK(q.empty());
        CHECK(throws<queue_shutdown>([&] { q.get(); }));
        yield_now();
        CHECK_FALSE(joins.done());   // the one that was got is not done
        q.task_done();
        joins.get();
    });
}

TEST_CASE_METHOD(fixture, "shutdown: an item of a cancelled getter is dropped after an immediate one, else kept") {
    run([] {
        for (const bool immediate : {true, false}) {
            queue<counted> q;
            auto t = create_task([&] { q.get(); });
            yield_now();
            q.emplace(1);
            t.cancel();
            q.shutdown(immediate);
            t.join();
            CHECK(t.cancelled());
            CHECK(q.size() == (immediate ? 0 : 1));
            if (immediate) q.join();
            else CHECK(q.get().value == 1);
        }
    });
}

TEST_CASE_METHOD(fixture, "shutdown: a cancellation in the same turn wins, in both orders") {
    run([] {
        queue<int> empty, full(1);
        full.put(1);
        std::vector<task<>> waiting;
        for (int i = 0; i < 2; ++i) {
            waiting.push_back(create_task([&] { empty.get(); }));
            waiting.push_back(create_task([&] { full.put(2); }));
        }
        yield_now();
        waiting[0].cancel();
        waiting[1].cancel();
        empty.shutdown();
        full.shutdown();
        waiting[2].cancel();
        waiting[3].cancel();
        for (auto& t : waiting) {
            t.join();
            CHECK(t.cancelled());
        }
    });
}

TEST_CASE_METHOD(fixture, "shutdown: items may use the queue when they are dropped") {
    run([] {
        struct looks_back {
            queue<looks_back>* q;
            explicit looks_back(queue<looks_back>& from) : q(&from) {}
            looks_back(looks_back&& other) noexcept : q(std::exchange(other.q, nullptr)) {}
            ~looks_back() {
                if (q) CHECK(q->empty());
            }
        };
        queue<looks_back> q;
        q.emplace(q);
        q.shutdown(true);
    });
}

TEST_CASE_METHOD(fixture, "range-for: takes items, waiting for them, until the queue is shut down and drained") {
    run([] {
        queue<int> q;
        auto t = create_task([&] {
            ints got;
            for (int i : q) got.push_back(i);
            for (int i : q) got.push_back(i);   // it is over
            return got;
        });
        q.put(1);
        turns(2);
        q.put(2);
        q.put(3);
        q.shutdown();
        CHECK(t.get() == ints{1, 2, 3});
    });
}

TEST_CASE_METHOD(fixture, "range-for: works with items that only move, and with std's algorithms") {
    run([] {
        queue<std::unique_ptr<int>> q;
        q.put(std::make_unique<int>(1));
        q.put(std::make_unique<int>(2));
        q.shutdown();
        int sum = 0;
        for (std::unique_ptr<int> p : q) sum += *p;
        CHECK(sum == 3);

        using iterator = decltype(std::declval<queue<int>&>().begin());
        STATIC_REQUIRE(std::input_iterator<iterator>);
        STATIC_REQUIRE(std::ranges::input_range<queue<int>&>);
        priority_queue<int> p;
        for (int i : {3, 1, 2}) p.put(i);
        p.shutdown();
        const ints sorted(p.begin(), p.end());
        CHECK(sorted == ints{1, 2, 3});
        lifo_queue<int> l;
        for (int i : {3, 1, 2}) l.put(i);
        l.shutdown();
        ints got;
        std::ranges::for_each(l, [&](int i) { got.push_back(i); });
        CHECK(got == ints{2, 1, 3});
    });
}

TEST_CASE_METHOD(fixture, "range-for: a cancelled one takes no item") {
    run([] {
        queue<int> q;
        int got = 0;
        auto t = create_task([&] {
            for (int i : q) got += i;
        });
        yield_now();
        q.put(1);
        turns(2);
        q.put(2);
        t.cancel();
        t.join();
        CHECK(got == 1);
        CHECK(q.get() == 2);
    });
}
