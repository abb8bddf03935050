// Cancellation: before, while and after; messages, counts, and what swallowing it means.

#include "scenario.hpp"

namespace conformance {
namespace {

/// Runs f, tells of a cancellation that leaves it, and passes that on.
template <class F> void told(const char* name, F&& f) {
    try {
        f();
    } catch (const cancelled&) {
        trace(name, std::current_exception());
        throw;
    }
}

/// Tells of the cancellation and passes it on.
void parked() {
    trace("child: start");
    told("child:", park);
}

const topic cancel{
    "cancel",
    {
        {"cancelled before its first turn, a task never runs",
         [] {
             auto t = create_task(parked);
             trace("cancel", t.cancel("too early"));
             attempt("get", [&] { t.get(); });
             trace("cancelled", t.cancelled(), "requests", t.cancelling());
         }},

        {"cancelled while it waits",
         [] {
             auto t = create_task(parked);
             yield_now();
             const bool asked = t.cancel("enough");
             trace("cancel", asked, "done", t.done());
             attempt("get", [&] { t.get(); });
             trace("cancelled", t.cancelled());
         }},

        {"cancelled after its end: too late",
         [] {
             auto t = create_task([] { return 3; });
             t.get();
             const bool asked = t.cancel();
             trace("cancel", asked, "requests", t.cancelling());
             trace("result", t.result(), "cancelled", t.cancelled());
         }},

        {"a cancellation without a message has none",
         [] {
             auto t = create_task(parked);
             yield_now();
             t.cancel();
             attempt("get", [&] { t.get(); });
         }},

        {"a swallowed cancellation is over, but still counted",
         [] {
             auto t = create_task([] {
                 attempt("first wait", park);
                 trace("requests", current_task().cancelling());
                 sleep(1s);
                 trace("slept on");
                 return 4;
             });
             yield_now();
             t.cancel();
             attempt("get", [&] { return t.get(); });
             trace("cancelled", t.cancelled(), "requests", t.cancelling());
         }},

        {"each request is delivered, one after another",
         [] {
             auto t = create_task([] {
                 for (int i = 0; i < 3; ++i)
                     attempt("wait", park);
                 trace("requests", current_task().cancelling());
             });
             for (int n : {1, 2, 3}) {
                 yield_now();
                 t.cancel("number " + std::to_string(n));
             }
             attempt("get", [&] { t.get(); });
         }},

        {"two requests before the first turn are delivered as one, with the last message",
         [] {
             auto t = create_task([] { trace("never"); });
             t.cancel("one");
             t.cancel("two");
             attempt("get", [&] { t.get(); });
             trace("requests", t.cancelling());
         }},

        {"two requests while it waits are delivered as one",
         [] {
             auto t = create_task([] {
                 attempt("wait", park);
                 sleep(1s);
                 trace("slept on");
             });
             yield_now();
             t.cancel("one");
             t.cancel("two");
             trace("requests", t.cancelling());
             attempt("get", [&] { t.get(); });
         }},

        {"uncancel counts down, and not below nothing",
         [] {
             auto t = create_task([] {
                 attempt("wait", park);
                 const task_handle me = current_task();
                 trace("requests", me.cancelling());
                 const int first = me.uncancel(), second = me.uncancel(), third = me.uncancel();
                 trace("uncancel", first, second, third);
             });
             yield_now();
             t.cancel();
             t.cancel();
             t.get();
         }},

        {"uncancel to nothing withdraws what was not delivered",
         [] {
             auto t = create_task([] {
                 const task_handle me = current_task();
                 me.cancel();
                 trace("requests", me.cancelling());
                 trace("uncancel", me.uncancel());
                 sleep(1s);
                 trace("slept on");
             });
             attempt("get", [&] { t.get(); });
         }},

        {"uncancel with a request left withdraws nothing",
         [] {
             auto t = create_task([] {
                 const task_handle me = current_task();
                 me.cancel();
                 me.cancel("left");
                 trace("uncancel", me.uncancel());
                 attempt("sleep", [] { sleep(1s); });
             });
             attempt("get", [&] { t.get(); });
         }},

        {"a task that cancels itself runs on until it waits",
         [] {
             auto t = create_task([] {
                 current_task().cancel("by myself");
                 trace("still running");
                 attempt("sleep(0)", yield_now);
                 yield_now();
                 trace("and on");
             });
             attempt("get", [&] { t.get(); });
         }},

        {"a request that the task never met",
         [] {
             auto t = create_task([] {
                 current_task().cancel();
                 return 6;
             });
             attempt("get", [&] { return t.get(); });
             trace("cancelled", t.cancelled());
         }},

        {"an exception stands, whatever was requested",
         [] {
             auto t = create_task([] {
                 current_task().cancel();
                 throw failure{"all the same"};
             });
             attempt("get", [&] { t.get(); });
             trace("cancelled", t.cancelled());
         }},

        {"cleaning up may wait",
         [] {
             auto t = create_task([] {
                 try {
                     park();
                 } catch (const cancelled&) {
                     trace("cleaning up at", now());
                     sleep(2s);
                     trace("cleaned up at", now());
                     throw;
                 }
             });
             sleep(1s);
             t.cancel("the end");
             attempt("get", [&] { t.get(); });
         }},

        {"a second request cuts the cleaning up short",
         [] {
             auto t = create_task([] {
                 try {
                     park();
                 } catch (const cancelled&) {
                     trace("cleaning up at", now());
                     sleep(10s);
                     trace("never");
                 }
             });
             yield_now();
             t.cancel("first");
             sleep(1s);
             t.cancel("second");
             attempt("get", [&] { t.get(); });
             trace("at", now(), "requests", t.cancelling());
         }},

        {"a handler for errors lets a cancellation pass",
         [] {
             auto t = create_task([] {
                 try {
                     park();
                 } catch (const std::exception&) {
                     trace("never");
                 }
             });
             yield_now();
             t.cancel();
             attempt("get", [&] { t.get(); });
         }},

        {"a cancellation that is turned into an error is one",
         [] {
             auto t = create_task([] {
                 try {
                     park();
                 } catch (const cancelled&) {
                     throw failure{"instead"};
                 }
             });
             yield_now();
             t.cancel();
             attempt("get", [&] { t.get(); });
             trace("cancelled", t.cancelled(), "requests", t.cancelling());
         }},

        {"who waits for a task passes its cancellation on",
         [] {
             auto inner = create_task(parked);
             auto outer = create_task([&] {
                 attempt("waiter", [&] { inner.get(); });
                 trace("inner done", inner.done(), "cancelled", inner.cancelled());
             });
             yield_now();
             outer.cancel("from outside");
             outer.get();
         }},

        {"a chain of waiters ends from the inside",
         [] {
             auto c = create_task([] { told("c", park); });
             auto b = create_task([&] { told("b", [&] { c.get(); }); });
             auto a = create_task([&] { told("a", [&] { b.get(); }); });
             turns(2);
             a.cancel("down the chain");
             attempt("get", [&] { a.get(); });
             trace("requests", a.cancelling(), b.cancelling(), c.cancelling());
         }},

        {"the awaited task swallows what was passed on",
         [] {
             auto inner = create_task([] {
                 attempt("inner", park);
                 return 8;
             });
             auto outer = create_task([&] { attempt("waiter", [&] { return inner.get(); }); });
             turns(2);
             outer.cancel();
             outer.get();
             trace("inner cancelled", inner.cancelled());
         }},

        {"the awaited task fails when the cancellation is passed on",
         [] {
             auto inner = create_task([] {
                 try {
                     park();
                 } catch (const cancelled&) {
                     throw failure{"while cleaning up"};
                 }
             });
             auto outer = create_task([&] { attempt("waiter", [&] { inner.get(); }); });
             turns(2);
             outer.cancel();
             outer.get();
             trace("inner's exception", inner.exception());
         }},

        {"who waits for a cancelled task is not cancelled itself",
         [] {
             auto inner = create_task(parked);
             auto outer = create_task([&] {
                 attempt("waiter", [&] { inner.get(); });
                 trace("requests", current_task().cancelling());
                 yield_now();
                 trace("waiter goes on");
             });
             turns(2);
             inner.cancel("inner only");
             outer.get();
         }},

        {"of two who wait for one task, cancelling one cancels the other's task",
         [] {
             auto inner = create_task(parked);
             const auto waiter = [&](const char* name) {
                 attempt(name, [&] { inner.get(); });
                 trace(name, "requests", current_task().cancelling());
             };
             auto a = create_task(waiter, "a");
             auto b = create_task(waiter, "b");
             turns(2);
             b.cancel("b is cancelled");
             a.get();
             b.get();
         }},

        {"a cancellation in the turn in which the sleep is over wins",
         [] {
             task<> t;
             auto first = create_task([&] {
                 sleep(1s);
                 trace("cancel", t.cancel("just in time"));
             });
             yield_now();
             t = create_task([] {
                 attempt("sleep", [] { sleep(1s); });
                 trace("at", now());
             });
             t.get();
             first.get();
         }},

        {"a cancellation after the awaited task's end, before its waiter has run, wins",
         [] {
             auto inner = create_task([] { return 1; });
             auto outer = create_task([&] { attempt("waiter", [&] { return inner.get(); }); });
             yield_now();
             const bool done = inner.done();
             trace("inner done", done, "cancel", outer.cancel("won"));
             outer.get();
         }},

        {"cancelled by a callback",
         [] {
             auto t = create_task(parked);
             yield_now();
             get_running_loop().call_soon([&] { trace("callback: cancel", t.cancel("from a callback")); });
             attempt("get", [&] { t.get(); });
         }},

        {"cancelled by two who do not know each other",
         [] {
             auto t = create_task([] {
                 attempt("first", park);
                 attempt("second", park);
             });
             const auto canceller = [&](const char* name) {
                 t.cancel(name);
                 yield_now();
             };
             yield_now();
             create_task(canceller, "one").get();
             create_task(canceller, "two").get();
             t.get();
             trace("requests", t.cancelling());
         }},

        {"a request meant for the past: cancel, then the task waits for something that is ready",
         [] {
             auto t = create_task([] {
                 mutex lock;
                 queue<int> queue;
                 event event;
                 event.set();
                 current_task().cancel("later");
                 const std::lock_guard locked(lock);
                 trace("locked");
                 queue.put(1);
                 trace("put");
                 trace("got", queue.get());
                 event.wait();
                 trace("event");
                 attempt("the first real wait", yield_now);
             });
             t.get();
         }},

        {"a cancelled sleeper leaves no deadline behind",
         [] {
             auto t = create_task([] { sleep(1000s); });
             sleep(1s);
             t.cancel();
             attempt("get", [&] { t.get(); });
             sleep(2s);
             trace("at", now());
         }},

        {"cancelled tasks end in the order in which they were cancelled",
         [] {
             std::vector<task<>> tasks;
             for (int name : {0, 1, 2, 3})
                 tasks.push_back(create_task([name] {
                     try {
                         park();
                     } catch (const cancelled&) {
                         trace(name, "ends");
                         throw;
                     }
                 }));
             yield_now();
             for (std::size_t n : {2u, 0u, 3u, 1u})
                 tasks[n].cancel();
             for (auto& t : tasks)
                 attempt("get", [&] { t.get(); });
         }},

        {"cancelling a task in its last wait, and once more when it is over",
         [] {
             auto t = create_task([] {
                 attempt("wait", park);
                 return 2;
             });
             yield_now();
             trace("cancel", t.cancel());
             yield_now();
             attempt("cancel", [&] { return t.cancel(); });
             trace("result", t.result(), "requests", t.cancelling());
         }},
    },
};

}  // namespace
}  // namespace conformance
