// Queues: order, room, races of cancellations with items, joining, shutting down.

#include <algorithm>

#include "scenario.hpp"

namespace conformance {
namespace {

auto getting(queue<int>& q, const char* name) {
    return [&q, name] { attempt(name, [&] { return q.get(); }); };
}

auto putting(queue<int>& q, int item) {
    return [&q, item] { attempt("put " + std::to_string(item), [&] { q.put(item); }); };
}

template <class Queue> std::vector<int> take(Queue& q, int count) {
    std::vector<int> items;
    while (count-- > 0)
        items.push_back(q.get());
    return items;
}

const topic queues{
    "queues",
    {
        {"queue: first in, first out, for items and for getters",
         [] {
             queue<int> q;
             auto a = create_task(getting(q, "a")), b = create_task(getting(q, "b")), c = create_task(getting(q, "c"));
             yield_now();
             for (int item : {1, 2, 3})
                 q.put(item);
             a.get(), b.get(), c.get();
             for (int item : {4, 5})
                 q.put_nowait(item);
             const auto size = q.size();
             const int first = q.get(), second = q.get();
             trace(size, first, second, q.empty());
         }},

        {"queue: a full one keeps putters waiting, in order",
         [] {
             queue<int> q(1);
             std::vector<task<>> putters;
             for (int n : {1, 2, 3})
                 putters.push_back(create_task(putting(q, n)));
             turns(3);
             trace("full", q.full(), "size", q.size(), "maxsize", q.maxsize());
             for (int i = 0; i < 3; ++i) {
                 trace("got", q.get());
                 turns(2);
             }
             for (auto& t : putters)
                 t.get();
         }},

        {"queue: nothing there, no room",
         [] {
             queue<int> q(1);
             attempt("get", [&] { return q.get_nowait(); });
             q.put_nowait(1);
             attempt("put", [&] { q.put_nowait(2); });
             attempt("get", [&] { return q.get_nowait(); });
         }},

        {"queue: last in, first out",
         [] {
             lifo_queue<int> q;
             for (int item : {1, 2, 3})
                 q.put_nowait(item);
             trace(take(q, 3));
         }},

        {"queue: the smallest first",
         [] {
             priority_queue<int> q;
             for (int item : {3, 1, 2, 1})
                 q.put_nowait(item);
             trace(take(q, 4));
         }},

        {"queue: a cancelled getter is passed over",
         [] {
             queue<int> q;
             auto a = create_task(getting(q, "a")), b = create_task(getting(q, "b"));
             yield_now();
             a.cancel("not you");
             q.put_nowait(1);
             a.get(), b.get();
         }},

        {"queue: cancelled when there is an item for it, a getter leaves it to the next",
         [] {
             queue<int> q;
             auto a = create_task(getting(q, "a")), b = create_task(getting(q, "b"));
             yield_now();
             q.put_nowait(1);
             a.cancel("too late for you");
             a.get(), b.get();
             trace("size", q.size());
         }},

        {"queue: cancelled when there is an item for it, the only getter leaves it there",
         [] {
             queue<int> q;
             auto a = create_task(getting(q, "a"));
             yield_now();
             q.put_nowait(1);
             q.put_nowait(2);
             a.cancel();
             a.get();
             const auto size = q.size();
             const int first = q.get(), second = q.get();
             trace("size", size, "got", first, second);
         }},

        {"queue: a cancelled putter puts nothing",
         [] {
             queue<int> q(1);
             q.put_nowait(0);
             auto a = create_task(putting(q, 1)), b = create_task(putting(q, 2));
             yield_now();
             a.cancel("not you");
             a.get();
             trace("got", q.get());
             b.get();
             const int last = q.get();
             trace("got", last, "empty", q.empty());
         }},

        {"queue: cancelled when there is room for it, a putter leaves that to the next",
         [] {
             queue<int> q(1);
             q.put_nowait(0);
             auto a = create_task(putting(q, 1)), b = create_task(putting(q, 2));
             yield_now();
             trace("got", q.get_nowait());
             a.cancel("too late for you");
             a.get(), b.get();
             const int last = q.get_nowait();
             trace("got", last, "empty", q.empty());
         }},

        {"queue: an item that a getter is to have, and somebody who does not wait",
         [] {
             queue<int> q;
             auto getter = create_task(getting(q, "getter"));
             yield_now();
             q.put_nowait(1);
             attempt("thief", [&] { return q.get_nowait(); });
             turns(2);
             if (!getter.done()) q.put_nowait(2);
             getter.get();
         }},

        {"queue: join waits until everything is done",
         [] {
             queue<int> q;
             q.join();
             trace("nothing to wait for");
             for (int item : {1, 2})
                 q.put_nowait(item);
             auto t = create_task([&] {
                 for (;;) {
                     const int item = q.get();
                     sleep(1s);
                     trace("done with", item);
                     q.task_done();
                 }
             });
             q.join();
             trace("joined");
             t.cancel();
             attempt("worker", [&] { t.get(); });
         }},

        {"queue: more done than there was is refused",
         [] {
             queue<int> q;
             q.put_nowait(1);
             q.get_nowait();
             attempt("once", [&] { q.task_done(); });
             attempt("twice", [&] { q.task_done(); });
         }},

        {"queue: producers and consumers through little room",
         [] {
             queue<int> q(2);
             std::vector<int> got;
             const auto producer = [&](int first) {
                 for (int n = first; n < first + 4; ++n)
                     q.put(n);
             };
             const auto consumer = [&] {
                 for (int i = 0; i < 4; ++i)
                     got.push_back(q.get());
             };
             auto a = create_task(producer, 10), b = create_task(consumer);
             auto c = create_task(producer, 20), d = create_task(consumer);
             a.get(), b.get(), c.get(), d.get();
             std::sort(got.begin(), got.end());
             trace(got, q.empty());
         }},

        {"queue: shut down, it gives what it has and takes nothing",
         [] {
             queue<int> q;
             q.put_nowait(1);
             q.put_nowait(2);
             q.shutdown();
             attempt("put", [&] { q.put(3); });
             attempt("put_nowait", [&] { q.put_nowait(3); });
             for (int i = 0; i < 2; ++i) {
                 attempt("get", [&] { return q.get(); });
                 attempt("get_nowait", [&] { return q.get_nowait(); });
             }
         }},

        {"queue: shut down at once, it drops what it has",
         [] {
             queue<int> q;
             q.put_nowait(1);
             q.put_nowait(2);
             q.shutdown(true);
             trace("size", q.size());
             attempt("get", [&] { return q.get(); });
             q.join();
             trace("joined");
         }},

        {"queue: shutting down wakes those who wait for items",
         [] {
             queue<int> q;
             auto a = create_task(getting(q, "a")), b = create_task(getting(q, "b"));
             yield_now();
             q.shutdown();
             a.get(), b.get();
         }},

        {"queue: shutting down wakes those who wait for room, and what is there stays",
         [] {
             queue<int> q(1);
             q.put_nowait(0);
             auto a = create_task(putting(q, 1)), b = create_task(putting(q, 2));
             yield_now();
             q.shutdown();
             a.get(), b.get();
             attempt("get", [&] { return q.get(); });
             attempt("get", [&] { return q.get(); });
         }},

        {"queue: join after a shutdown still waits for what was taken",
         [] {
             queue<int> q;
             q.put_nowait(1);
             q.put_nowait(2);
             q.get();
             auto t = create_task([&] { q.join(); });
             yield_now();
             q.shutdown(true);
             turns(3);
             trace("joined", t.done());
             q.task_done();
             turns(3);
             trace("joined", t.done());
         }},

        {"queue: shut down twice",
         [] {
             queue<int> q;
             q.put_nowait(1);
             q.put_nowait(2);
             q.shutdown();
             q.shutdown();
             attempt("get", [&] { return q.get(); });
             q.shutdown(true);
             attempt("get", [&] { return q.get(); });
         }},
    },
};

}  // namespace
}  // namespace conformance
