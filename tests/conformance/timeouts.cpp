// Deadlines: timeout, timeout_at, wait_for; races, nesting, rescheduling.

#include "scenario.hpp"

namespace conformance {
namespace {

/// A point in time, counted as now() counts.
std::chrono::steady_clock::time_point second(int n) {
    return get_running_loop().time() + (n - now()) * 1s;
}

constexpr auto no_deadline = std::chrono::steady_clock::time_point::max();

auto after(int seconds, const char* value) {
    return [=] {
        sleep(seconds * 1s);
        return value;
    };
}

[[noreturn]] void failing_early() {
    throw failure{"early"};
}

int requests() {
    return current_task().cancelling();
}

const topic timeouts{
    "timeouts",
    {
        {"a body that is done in time",
         [] {
             bool expired = false;
             timeout(10s, [&](timeout_scope& scope) {
                 sleep(1s);
                 trace("slept");
                 expired = scope.expired();
             });
             trace("at", now(), "expired", expired, "requests", requests());
         }},

        {"a body that is cut off",
         [] {
             attempt("timeout", [] {
                 timeout(1s, [] {
                     try {
                         park();
                     } catch (const cancelled&) {
                         trace("body: cut off at", now(), std::current_exception());
                         throw;
                     }
                 });
             });
             trace("requests", requests());
             sleep(1s);
             trace("at", now());
         }},

        {"a body that fails in time",
         [] {
             attempt("timeout", [] { timeout(1s, failing_early); });
             sleep(2s);
             trace("at", now());
         }},

        {"no time at all, and a body that waits",
         [] {
             const auto body = [] {
                 trace("body");
                 sleep(5s);
             };
             attempt("zero", [&] { timeout(0s, body); });
             attempt("negative", [&] { timeout(-1s, body); });
             trace("at", now());
         }},

        {"no time at all, and a body that does not wait",
         [] {
             attempt("timeout", [] {
                 timeout(0s, [] { trace("body"); });
                 trace("no error");
                 sleep(1s);
             });
             trace("requests", requests());
         }},

        {"a body that swallows the cut and returns",
         [] {
             attempt("timeout", [] {
                 return timeout(1s, [](timeout_scope& scope) {
                     attempt("wait", park);
                     sleep(5s);
                     trace("went on, expired", scope.expired());
                     return "value";
                 });
             });
             trace("at", now(), "requests", requests());
         }},

        {"a body that turns the cut into an error",
         [] {
             attempt("timeout", [] {
                 timeout(1s, [] {
                     try {
                         park();
                     } catch (const cancelled&) {
                         throw failure{"instead"};
                     }
                 });
             });
             trace("requests", requests());
         }},

        {"cleaning up may take longer than the deadline",
         [] {
             attempt("timeout", [] {
                 timeout(1s, [] {
                     try {
                         park();
                     } catch (const cancelled&) {
                         sleep(5s);
                         trace("cleaned up at", now());
                         throw;
                     }
                 });
             });
         }},

        {"nested: the inner deadline comes first",
         [] {
             attempt("outer", [] {
                 timeout(3s, [] {
                     attempt("inner", [] { timeout(1s, park); });
                     sleep(1s);
                     trace("outer goes on at", now());
                 });
             });
         }},

        {"nested: the outer deadline comes first",
         [] {
             attempt("outer", [] {
                 timeout(1s, [] {
                     attempt("inner", [] { timeout(3s, park); });
                     trace("outer: swallowed at", now());
                     sleep(1s);
                 });
             });
             trace("at", now(), "requests", requests());
         }},

        {"nested: both deadlines come at once, and one error leaves",
         [] {
             attempt("outer", [] {
                 timeout(1s, [](timeout_scope& first) {
                     bool second_expired = false;
                     try {
                         timeout(1s, [&](timeout_scope& second) {
                             try {
                                 park();
                             } catch (const cancelled&) {
                                 second_expired = second.expired();
                                 throw;
                             }
                         });
                     } catch (...) {
                         trace("inner:", std::current_exception());
                         trace("expired", first.expired(), second_expired);
                         throw;
                     }
                 });
             });
             trace("requests", requests());
             sleep(1s);
             trace("at", now());
         }},

        {"nested: the outer deadline comes while the inner one's cut is being cleaned up",
         [] {
             attempt("outer", [] {
                 timeout(2s, [] {
                     timeout(1s, [] {
                         try {
                             park();
                         } catch (const cancelled&) {
                             trace("cleaning up at", now());
                             sleep(10s);
                             trace("never");
                         }
                     });
                 });
             });
             trace("at", now(), "requests", requests());
         }},

        {"a deadline that is put off",
         [] {
             attempt("timeout", [] {
                 timeout(1s, [](timeout_scope& scope) {
                     scope.reschedule(second(3));
                     sleep(2s);
                     const long when = now() + (scope.when() - get_running_loop().time()) / 1s;
                     trace("at", now(), "when", when, "expired", scope.expired());
                     park();
                 });
             });
             trace("at", now());
         }},

        {"a deadline that is brought forward, even to the past",
         [] {
             const auto body = [](int when) {
                 timeout(10s, [&](timeout_scope& scope) {
                     sleep(1s);
                     scope.reschedule(second(when));
                     park();
                 });
             };
             attempt("timeout", [&] { body(2); });
             trace("at", now());
             attempt("timeout", [&] { body(1); });
             trace("at", now());
         }},

        {"a deadline that is taken away, and set again",
         [] {
             attempt("timeout", [] {
                 timeout(1s, [](timeout_scope& scope) {
                     scope.reschedule(no_deadline);
                     sleep(5s);
                     trace("at", now());
                     scope.reschedule(second(6));
                     park();
                 });
             });
             trace("at", now());
         }},

        {"no deadline to begin with",
         [] {
             attempt("timeout", [] {
                 timeout_at(no_deadline, [](timeout_scope& scope) {
                     sleep(5s);
                     scope.reschedule(second(7));
                     park();
                 });
             });
             trace("at", now());
         }},

        {"a deadline that has passed cannot be put off",
         [] {
             attempt("timeout", [] {
                 timeout(1s, [](timeout_scope& scope) {
                     attempt("wait", park);
                     attempt("reschedule", [&] { scope.reschedule(second(9)); });
                 });
             });
         }},

        {"a point in time for a deadline, also in the past",
         [] {
             attempt("timeout", [] { timeout_at(second(2), park); });
             trace("at", now());
             attempt("timeout", [] { timeout_at(second(1), park); });
             trace("at", now());
         }},

        {"cancelled from outside before the deadline",
         [] {
             auto t = create_task([] {
                 timeout(5s, [](timeout_scope& scope) {
                     try {
                         park();
                     } catch (const cancelled&) {
                         trace("expired", scope.expired());
                         throw;
                     }
                 });
             });
             sleep(1s);
             t.cancel("from outside");
             attempt("get", [&] { t.get(); });
         }},

        {"cancelled from outside in the turn of the deadline",
         [] {
             task<> t;
             get_running_loop().call_later(1s, [&] { t.cancel("from outside"); });
             t = create_task([] { timeout(1s, park); });
             attempt("get", [&] { t.get(); });
             trace("at", now(), "requests", t.cancelling());
         }},

        {"cancelled from outside when the deadline has passed and nobody has noticed",
         [] {
             auto t = create_task([] { timeout(1s, park); });
             yield_now();
             pass_time(2s);
             t.cancel("from outside");
             attempt("get", [&] { t.get(); });
             trace("at", now(), "requests", t.cancelling());
         }},

        {"the deadline comes while a cancellation is being cleaned up",
         [] {
             auto t = create_task([] {
                 timeout(2s, [] {
                     try {
                         park();
                     } catch (const cancelled&) {
                         trace("cleaning up:", std::current_exception());
                         attempt("cleaning up", [] { sleep(5s); });
                         throw;
                     }
                 });
             });
             sleep(1s);
             t.cancel("from outside");
             attempt("get", [&] { t.get(); });
             trace("at", now(), "requests", t.cancelling());
         }},

        {"the deadline comes in the turn in which the body's wait is over",
         [] {
             auto t = create_task([] {
                 timeout(1s, [] {
                     sleep(1s);
                     trace("never");
                 });
             });
             attempt("timeout", [&] { t.get(); });
             trace("at", now());
         }},

        {"one timeout after another in one task",
         [] {
             for (int n : {2, 0, 3, 0}) {
                 attempt("timeout", [&] { timeout(1s, [&] { sleep(n * 1s); }); });
                 trace("at", now(), "requests", requests());
             }
         }},

        {"each task has its own deadline",
         [] {
             std::vector<task<>> tasks;
             for (int limit : {3, 1})
                 tasks.push_back(create_task([limit] { timeout(limit * 1s, [] { sleep(2s); }); }));
             for (auto& t : tasks)
                 attempt("get", [&] { t.get(); });
         }},

        {"wait_for a function: in time, too late, failing",
         [] {
             attempt("in time", [] { return wait_for(after(1, "value"), 2s); });
             attempt("too late", [] { return wait_for(after(5, "value"), 2s); });
             attempt("failing", [] { wait_for(failing_early, 2s); });
             attempt("without a limit", [] { return wait_for(after(1, "value"), std::chrono::hours::max()); });
             trace("at", now());
         }},

        {"wait_for a function, and no time at all",
         [] {
             const auto body = [](int seconds) {
                 return [=] {
                     trace("body");
                     if (seconds > 0) sleep(seconds * 1s);
                     return "value";
                 };
             };
             attempt("zero", [&] { return wait_for(body(0), 0s); });
             attempt("zero, waiting", [&] { return wait_for(body(1), 0s); });
         }},

        {"wait_for a task: in time, too late, failing",
         [] {
             attempt("in time", [] { return wait_for(create_task(after(1, "value")), 2s); });
             auto late = create_task(after(5, "value"));
             attempt("too late", [&] { return wait_for(late, 2s); });
             trace("at", now(), "done", late.done(), "cancelled", late.cancelled());
             attempt("failing", [] {
                 wait_for(create_task([] {
                              sleep(1s);
                              failing_early();
                          }),
                          2s);
             });
         }},

        {"wait_for a task that is done, and no time at all",
         [] {
             auto t = create_task(after(0, "value"));
             t.get();
             attempt("zero", [&] { return wait_for(t, 0s); });
             attempt("negative", [&] { return wait_for(t, -1s); });
         }},

        {"wait_for waits for the end of the task that it cancels",
         [] {
             auto t = create_task([] {
                 try {
                     park();
                 } catch (const cancelled&) {
                     sleep(3s);
                     trace("cleaned up at", now());
                     throw;
                 }
             });
             attempt("wait_for", [&] { wait_for(t, 1s); });
         }},

        {"wait_for a task that swallows the cut and has a value",
         [] {
             auto t = create_task([] {
                 attempt("wait", park);
                 return "all the same";
             });
             attempt("wait_for", [&] { return wait_for(t, 1s); });
         }},

        {"wait_for a task that fails when it is cut",
         [] {
             auto t = create_task([] {
                 try {
                     park();
                 } catch (const cancelled&) {
                     throw failure{"while cleaning up"};
                 }
             });
             attempt("wait_for", [&] { wait_for(t, 1s); });
         }},

        {"wait_for passes a cancellation on to the task",
         [] {
             auto inner = create_task(after(10, "value"));
             auto outer = create_task([&] { attempt("waiter", [&] { return wait_for(inner, 5s); }); });
             sleep(1s);
             outer.cancel("from outside");
             outer.get();
             trace("inner cancelled", inner.cancelled(), "at", now());
         }},

        {"wait_for a task that somebody else cancels",
         [] {
             auto inner = create_task(after(10, "value"));
             auto outer = create_task([&] {
                 attempt("waiter", [&] { return wait_for(inner, 5s); });
                 trace("requests", requests());
             });
             sleep(1s);
             inner.cancel("inner only");
             outer.get();
         }},

        {"wait_for: cancelled from outside in the turn in which the task ends",
         [] {
             auto inner = create_task(after(0, "value"));
             auto outer = create_task([&] { attempt("waiter", [&] { return wait_for(inner, 5s); }); });
             turns(2);
             trace("inner done", inner.done());
             outer.cancel("won");
             outer.get();
         }},
    },
};

}  // namespace
}  // namespace conformance
