// Lock, semaphore, event, condition, barrier: order, and races of cancellations with what is handed over.

#include <algorithm>
#include <map>
#include <mutex>

#include "scenario.hpp"

namespace conformance {
namespace {

using tasks = std::vector<task<>>;

/// Takes it, tells so, keeps it for a turn, and gives it back.
template <class Lock> void hold(Lock& lock, const char* name) {
    try {
        const std::lock_guard locked(lock);
        trace(name, "has it");
        yield_now();
    } catch (const cancelled&) {
        trace(name, std::current_exception());
    }
}

template <class Lock, class... Names> tasks start(Lock& lock, Names... names) {
    return {create_task([&lock, names] { hold(lock, names); })...};
}

/// As many tasks as names, each calling f with its name.
template <class F> tasks each(std::initializer_list<const char*> names, F f) {
    tasks all;
    for (const char* name : names)
        all.push_back(create_task(f, name));
    return all;
}

void join(const tasks& all) {
    for (const auto& t : all)
        t.get();
}

struct condition {
    mutex lock;
    condition_variable changed;

    void notified(const char* name) {
        std::unique_lock locked(lock);
        trace(name, "waits");
        changed.wait(locked);
        trace(name, "has it");
    }
    void notify() {
        const std::lock_guard locked(lock);
        changed.notify_one();
    }
};

const topic sync{
    "sync",
    {
        {"lock: first in, first out",
         [] {
             mutex lock;
             join(start(lock, "a", "b", "c", "d"));
         }},

        {"lock: a cancelled waiter is passed over",
         [] {
             mutex lock;
             lock.lock();
             const tasks all = start(lock, "a", "b", "c");
             yield_now();
             all[1].cancel("not you");
             lock.unlock();
             join(all);
         }},

        {"lock: cancelled when it has been handed over, the waiter passes it on",
         [] {
             mutex lock;
             lock.lock();
             const tasks all = start(lock, "a", "b");
             yield_now();
             lock.unlock();
             all[0].cancel("too late for you");
             join(all);
         }},

        {"lock: cancelled and then handed over goes to the next",
         [] {
             mutex lock;
             lock.lock();
             const tasks all = start(lock, "a", "b");
             yield_now();
             all[0].cancel("just before");
             lock.unlock();
             join(all);
         }},

        {"lock: who comes when it is promised does not overtake",
         [] {
             mutex lock;
             lock.lock();
             const tasks all = start(lock, "waiter");
             yield_now();
             lock.unlock();
             attempt("newcomer", [&] { hold(lock, "newcomer"); });
             join(all);
         }},

        {"lock: the last waiter is cancelled, and the lock is free",
         [] {
             mutex lock;
             lock.lock();
             const tasks all = start(lock, "a");
             yield_now();
             lock.unlock();
             all[0].cancel();
             join(all);
             hold(lock, "main");
         }},

        {"lock: to unlock what nobody locked is refused",
         [] {
             mutex lock;
             attempt("unlock", [&] { lock.unlock(); });
         }},

        {"lock: to unlock what another task locked",
         [] {
             mutex lock;
             auto t = create_task([&] {
                 const std::lock_guard locked(lock);
                 turns(3);
             });
             yield_now();
             attempt("unlock", [&] { lock.unlock(); });
             t.get();
         }},

        {"lock: an exception in the block gives it back",
         [] {
             mutex lock;
             attempt("block", [&] {
                 const std::lock_guard locked(lock);
                 throw std::invalid_argument("");
             });
             hold(lock, "main");
         }},

        {"semaphore: so many at once, and then in order",
         [] {
             semaphore permits(2);
             join(start(permits, "a", "b", "c", "d", "e"));
         }},

        {"semaphore: a release wakes one, two releases two",
         [] {
             semaphore permits(0);
             const tasks all = each({"a", "b", "c"}, [&](const char* name) {
                 permits.acquire();
                 trace(name);
             });
             yield_now();
             permits.release();
             turns(2);
             trace("one");
             permits.release();
             permits.release();
             turns(2);
             trace("two more");
             join(all);
         }},

        {"semaphore: cancelled when it has been handed over, the waiter passes the permit on",
         [] {
             semaphore permits(1);
             permits.acquire();
             const tasks all = start(permits, "a", "b");
             yield_now();
             permits.release();
             all[0].cancel("too late for you");
             join(all);
             hold(permits, "main");
         }},

        {"semaphore: a cancelled waiter is passed over",
         [] {
             semaphore permits(0);
             const tasks all = start(permits, "a", "b");
             yield_now();
             all[0].cancel("not you");
             permits.release();
             join(all);
         }},

        {"semaphore: who comes when the permit is promised does not overtake",
         [] {
             semaphore permits(0);
             const tasks all = start(permits, "waiter");
             yield_now();
             permits.release();
             hold(permits, "newcomer");
             join(all);
         }},

        {"semaphore: permits cannot be negative, nor more than bounded",
         [] {
             attempt("negative", [] { semaphore permits(-1); });
             bounded_semaphore bounded(1);
             attempt("too many", [&] { bounded.release(); });
             bounded.acquire();
             attempt("one", [&] { bounded.release(); });
         }},

        {"event: wakes all, in order, and stays set",
         [] {
             event set;
             const auto waiter = [&](const char* name) {
                 set.wait();
                 trace(name);
             };
             const tasks all = each({"a", "b", "c"}, waiter);
             yield_now();
             set.set();
             trace("set", set.is_set());
             join(all);
             waiter("late");
         }},

        {"event: cleared at once, it has woken all the same",
         [] {
             event set;
             const auto waiter = [&](const char* name) {
                 set.wait();
                 trace(name, "set:", set.is_set());
             };
             const tasks all = each({"a", "b"}, waiter);
             yield_now();
             set.set();
             set.clear();
             join(all);
             auto late = create_task(waiter, "late");
             turns(3);
             trace("late done", late.done());
             set.set();
             late.get();
         }},

        {"event: a cancelled waiter, before and after it is set",
         [] {
             event set;
             const tasks all = each({"a", "b", "c"}, [&](const char* name) {
                 attempt(name, [&] {
                     set.wait();
                     return true;
                 });
             });
             yield_now();
             all[0].cancel("before");
             set.set();
             all[1].cancel("after");
             trace("set", set.is_set());
             join(all);
         }},

        {"condition: notify wakes one, in order; notify_all the rest",
         [] {
             condition c;
             const tasks all = each({"a", "b", "c", "d"}, [&](const char* name) { c.notified(name); });
             turns(2);
             c.notify();
             turns(4);
             trace("one");
             {
                 const std::lock_guard locked(c.lock);
                 c.changed.notify_all();
             }
             join(all);
         }},

        {"condition: whoever is notified waits for the lock",
         [] {
             condition c;
             auto t = create_task([&] { c.notified("waiter"); });
             yield_now();
             {
                 const std::lock_guard locked(c.lock);
                 c.changed.notify_one();
                 turns(3);
                 trace("main still has it");
             }
             t.get();
         }},

        {"condition: a notification that nobody waits for is gone",
         [] {
             condition c;
             c.notify();
             auto t = create_task([&] { c.notified("waiter"); });
             turns(3);
             trace("done", t.done());
             c.notify();
             t.get();
         }},

        {"condition: a cancelled wait has the lock when it throws",
         [] {
             condition c;
             auto t = create_task([&] {
                 std::unique_lock locked(c.lock);
                 attempt("wait", [&] { c.changed.wait(locked); });
                 turns(3);
                 trace("waiter gives it back");
             });
             yield_now();
             t.cancel("enough");
             turns(2);
             {
                 const std::lock_guard locked(c.lock);
                 trace("main has it");
             }
             t.get();
         }},

        {"condition: cancelled while it waits for the lock again",
         [] {
             condition c;
             auto t = create_task([&] {
                 std::unique_lock locked(c.lock);
                 attempt("wait", [&] { c.changed.wait(locked); });
                 trace("waiter has it");
             });
             yield_now();
             {
                 const std::lock_guard locked(c.lock);
                 c.changed.notify_one();
                 turns(2);
                 t.cancel();
                 turns(2);
                 trace("main gives it back");
             }
             t.get();
         }},

        {"condition: a notified waiter that is cancelled passes the notification on",
         [] {
             condition c;
             const tasks all = each({"a", "b", "c"}, [&](const char* name) {
                 std::unique_lock locked(c.lock);
                 attempt(name, [&] {
                     c.changed.wait(locked);
                     return true;
                 });
             });
             turns(2);
             c.notify();
             all[0].cancel();
             all[0].get();
             all[1].get();
             turns(3);
             trace("c done", all[2].done());
             all[2].cancel();
             all[2].get();
         }},

        {"condition: waiting until something is true",
         [] {
             condition c;
             std::vector<int> items;
             auto t = create_task([&] {
                 std::unique_lock locked(c.lock);
                 c.changed.wait(locked, [&] { return items.size() > 2; });
                 trace("items", items);
             });
             yield_now();
             for (int n : {1, 2, 3}) {
                 {
                     const std::lock_guard locked(c.lock);
                     items.push_back(n);
                     trace("item", n);
                     c.changed.notify_one();
                 }
                 turns(3);
             }
             t.get();
         }},

        {"condition: to wait without the lock is refused",
         [] {
             condition c;
             attempt("wait", [&] { c.changed.wait(c.lock); });
         }},

        {"condition: to notify without the lock",
         [] {
             condition c;
             attempt("notify", [&] { c.changed.notify_one(); });
         }},

        {"barrier: the last to come lets all go; numbers in order of arrival",
         [] {
             barrier b(3);
             std::map<std::string, long> results;
             const auto arrive = [&](const char* name) { results[name] = b.wait(); };
             const tasks all = each({"a", "b"}, arrive);
             turns(2);
             trace("waiting", b.n_waiting(), "of", b.parties());
             arrive("c");
             join(all);
             trace(std::vector<long>{results["a"], results["b"], results["c"]}, "waiting", b.n_waiting());
         }},

        {"barrier: round after round",
         [] {
             barrier meeting(2);
             std::vector<long> sums(3);
             const auto rounds = [&](const char*) {
                 for (long& sum : sums)
                     sum += meeting.wait();
             };
             join(each({"a", "b"}, rounds));
             trace(sums, "waiting", meeting.n_waiting());
         }},

        {"barrier: for one alone it never waits",
         [] {
             barrier b(1);
             attempt("a", [&] { return b.wait(); });
             attempt("a", [&] { return b.wait(); });
         }},

        {"barrier: a cancelled party leaves without breaking it",
         [] {
             barrier b(2);
             auto a = create_task([&] { attempt("a", [&] { return b.wait(); }); });
             yield_now();
             a.cancel("leave");
             a.get();
             trace("broken", b.broken(), "waiting", b.n_waiting());
             std::vector<long> results;
             join(each({"b", "c"}, [&](const char*) { results.push_back(b.wait()); }));
             std::sort(results.begin(), results.end());
             trace(results);
         }},

        {"barrier: aborted, it is broken for all until it is reset",
         [] {
             barrier b(3);
             const tasks all = each({"a", "b"}, [&](const char* name) { attempt(name, [&] { return b.wait(); }); });
             yield_now();
             b.abort();
             join(all);
             trace("broken", b.broken());
             attempt("late", [&] { return b.wait(); });
             b.reset();
             trace("broken", b.broken());
             join(each({"a", "b", "c"}, [&](const char*) { b.wait(); }));
             trace("passed");
         }},

        {"barrier: reset, it sends those who wait away and is as new",
         [] {
             barrier b(2);
             auto t = create_task([&] { attempt("a", [&] { return b.wait(); }); });
             yield_now();
             b.reset();
             t.get();
             trace("broken", b.broken(), "waiting", b.n_waiting());
             join(each({"a", "b"}, [&](const char*) { b.wait(); }));
             trace("passed");
         }},

        {"barrier: of no parties is refused", [] { attempt("none", [] { barrier b(0); }); }},
    },
};

}  // namespace
}  // namespace conformance
