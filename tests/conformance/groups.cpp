// Task groups: who is cancelled when, what is thrown.

#include "scenario.hpp"

namespace conformance {
namespace {

auto failing(int seconds, const char* message) {
    return [=] {
        sleep(seconds * 1s);
        throw failure{message};
    };
}

/// Waits; tells of a cancellation and passes it on.
auto told(const char* name) {
    return [=] {
        try {
            park();
        } catch (const cancelled&) {
            trace(name, "cancelled at", now());
            throw;
        }
    };
}

/// Waits; when it is cancelled, calls f, and then passes it on.
template <class F> auto cleaning_up(F f) {
    return [=] {
        try {
            park();
        } catch (const cancelled&) {
            f();
            throw;
        }
    };
}

void group(void (*body)(task_group&)) {
    with_task_group(body);
}

/// Plays a group and traces what came of it.
void attempt_group(void (*body)(task_group&)) {
    attempt("group", [&] { group(body); });
}

int requests() {
    return current_task().cancelling();
}

void slow_cleaning() {
    sleep(3s);
    trace("child cleaned up at", now());
}

void adding_child(task_group& g, int depth) {
    trace("child", depth);
    if (depth > 0) g.create_task([&g, depth] { adding_child(g, depth - 1); });
    sleep(1s);
    trace("child", depth, "ends at", now());
}

const topic groups{
    "groups",
    {
        {"a group ends when its last child has",
         [] {
             std::vector<task<int>> tasks;
             with_task_group([&](task_group& g) {
                 for (int s : {2, 1})
                     tasks.push_back(g.create_task([s] {
                         sleep(s * 1s);
                         trace("child ends at", now());
                         return s;
                     }));
                 trace("body ends at", now());
             });
             trace("group ends at", now(), std::vector<int>{tasks[0].result(), tasks[1].result()});
         }},

        {"a group without children ends at once",
         [] {
             group([](task_group&) { trace("body"); });
             trace("end");
         }},

        {"a child that fails cancels its siblings and the body",
         [] {
             attempt_group([](task_group& g) {
                 g.create_task(told("sibling"));
                 g.create_task(failing(1, "broken"));
                 told("body")();
             });
             trace("requests", requests());
             sleep(1s);
             trace("at", now());
         }},

        {"a child that fails before the body waits does not stop it until then",
         [] {
             attempt_group([](task_group& g) {
                 g.create_task(failing(0, "broken"));
                 trace("body runs on");
                 attempt("body", [] { sleep(5s); });
                 trace("body swallowed it at", now());
             });
         }},

        {"a child that fails when the body has ended",
         [] {
             attempt_group([](task_group& g) {
                 g.create_task(told("sibling"));
                 g.create_task(failing(1, "broken"));
             });
         }},

        {"a group takes its own request back, whenever a child failed",
         [] {
             for (int n : {0, 1, 2}) {
                 attempt("group", [n] {
                     with_task_group([n](task_group& g) {
                         g.create_task([n] {
                             sleep(n * 1s);
                             throw failure{std::to_string(n)};
                         });
                         g.create_task(park);
                         sleep(1s);
                     });
                 });
                 trace("requests", requests());
             }
         }},

        {"two children fail in one turn",
         [] {
             attempt_group([](task_group& g) {
                 g.create_task(failing(1, "first"));
                 g.create_task(failing(1, "second"));
             });
         }},

        {"children that fail without ever waiting",
         [] {
             attempt_group([](task_group& g) {
                 for (int n : {1, 2}) {
                     g.create_task([n] {
                         yield_now();
                         throw failure{"after a yield, " + std::to_string(n)};
                     });
                     g.create_task([n] { throw failure{"at once, " + std::to_string(n)}; });
                 }
                 g.create_task(told("sibling"));
             });
         }},

        {"a child that succeeds in the turn in which its sibling fails",
         [] {
             attempt_group([](task_group& g) {
                 g.create_task(failing(1, "broken"));
                 auto child = g.create_task([] {
                     sleep(1s);
                     return "value";
                 });
                 cleaning_up([&] { trace("child", child.result()); })();
             });
         }},

        {"a sibling that fails while it is cancelled",
         [] {
             attempt_group([](task_group& g) {
                 g.create_task(cleaning_up([] {
                     sleep(2s);
                     throw failure{"while cleaning up"};
                 }));
                 g.create_task(failing(1, "broken"));
             });
             trace("at", now());
         }},

        {"a sibling that swallows its cancellation",
         [] {
             attempt_group([](task_group& g) {
                 g.create_task([] {
                     attempt("sibling", park);
                     sleep(2s);
                     trace("sibling ends at", now());
                 });
                 g.create_task(failing(1, "broken"));
             });
             trace("at", now());
         }},

        {"a body that fails",
         [] {
             attempt_group([](task_group& g) {
                 g.create_task(told("child"));
                 sleep(1s);
                 throw failure{"body"};
             });
         }},

        {"a body that fails, and then a child",
         [] {
             attempt_group([](task_group& g) {
                 g.create_task(cleaning_up([] { throw failure{"child"}; }));
                 sleep(1s);
                 throw failure{"body"};
             });
         }},

        {"a child that fails, and then the body while it is cut off",
         [] {
             attempt_group([](task_group& g) {
                 g.create_task(failing(1, "child"));
                 cleaning_up([] { throw failure{"body"}; })();
             });
         }},

        {"a child that ends cancelled by itself is no failure",
         [] {
             attempt_group([](task_group& g) {
                 auto a = g.create_task(told("a"));
                 auto b = g.create_task([] {
                     sleep(2s);
                     return "value";
                 });
                 sleep(1s);
                 a.cancel();
                 trace("b", b.get());
             });
             trace("at", now());
         }},

        {"a body that waits for a child that was cancelled",
         [] {
             attempt_group([](task_group& g) {
                 auto child = g.create_task(told("child"));
                 g.create_task(told("sibling"));
                 sleep(1s);
                 child.cancel("child only");
                 child.get();
             });
             trace("requests", requests());
         }},

        {"cancelled from outside while the body runs",
         [] {
             auto t = create_task(group, [](task_group& g) {
                 g.create_task(told("child"));
                 told("body")();
             });
             sleep(1s);
             t.cancel("from outside");
             attempt("get", [&] { t.get(); });
             trace("requests", t.cancelling());
         }},

        {"cancelled from outside when the body has ended",
         [] {
             auto t = create_task(group, [](task_group& g) { g.create_task(told("child")); });
             sleep(1s);
             t.cancel("from outside");
             attempt("get", [&] { t.get(); });
             trace("requests", t.cancelling());
         }},

        {"cancelled from outside, and the children take their time",
         [] {
             auto t = create_task(group, [](task_group& g) { g.create_task(cleaning_up(slow_cleaning)); });
             sleep(1s);
             t.cancel();
             attempt("get", [&] { t.get(); });
             trace("at", now());
         }},

        {"cancelled from outside twice, the second time while the children take their time",
         [] {
             auto t = create_task(group, [](task_group& g) { g.create_task(cleaning_up(slow_cleaning)); });
             sleep(1s);
             t.cancel();
             sleep(1s);
             t.cancel();
             attempt("get", [&] { t.get(); });
             trace("at", now(), "requests", t.cancelling());
         }},

        {"cancelled from outside, and a child fails meanwhile: the cancellation stays pending",
         [] {
             auto t = create_task([] {
                 attempt_group(
                     [](task_group& g) { g.create_task(cleaning_up([] { throw failure{"while cleaning up"}; })); });
                 trace("requests", requests());
                 attempt("the next wait", [] { sleep(1s); });
             });
             sleep(1s);
             t.cancel();
             t.get();
         }},

        {"children add children",
         [] {
             with_task_group([](task_group& g) { g.create_task([&g] { adding_child(g, 2); }); });
             trace("group ends at", now());
         }},

        {"no child can be added to a group that is being cancelled",
         [] {
             attempt_group([](task_group& g) {
                 g.create_task(cleaning_up([&g] { attempt("adding", [&] { g.create_task(told("never")); }); }));
                 g.create_task(failing(1, "broken"));
             });
         }},

        {"nested groups: a failure inside becomes a group within the group",
         [] {
             attempt_group([](task_group& g) {
                 g.create_task(group, [](task_group& inner) {
                     inner.create_task(failing(1, "inner"));
                     inner.create_task(told("inner sibling"));
                 });
                 g.create_task(told("outer sibling"));
             });
         }},

        {"nested groups: a failure outside cancels the group inside",
         [] {
             attempt_group([](task_group& outer) {
                 outer.create_task(failing(1, "outer"));
                 group([](task_group& inner) {
                     inner.create_task(told("inner child"));
                     told("inner body")();
                 });
             });
             trace("requests", requests());
         }},

        {"nested groups: children of both fail in one turn",
         [] {
             attempt_group([](task_group& outer) {
                 outer.create_task(failing(1, "outer"));
                 group([](task_group& inner) { inner.create_task(failing(1, "inner")); });
             });
             sleep(1s);
             trace("at", now());
         }},

        {"a failure that is caught around an inner group stays there",
         [] {
             attempt("outer", [] {
                 with_task_group([](task_group& g) {
                     g.create_task([] { sleep(3s); });
                     attempt("inner", [] { group([](task_group& inner) { inner.create_task(failing(1, "inner")); }); });
                     sleep(1s);
                     trace("body goes on at", now());
                 });
             });
             trace("at", now());
         }},

        {"a group in a timeout: the deadline cancels the children",
         [] {
             attempt("timeout", [] {
                 timeout(2s, [] {
                     group([](task_group& g) {
                         g.create_task(told("child"));
                         g.create_task([] { sleep(1s); });
                     });
                 });
             });
             trace("at", now(), "requests", requests());
         }},

        {"timeouts in a group: one child's deadline is a failure",
         [] {
             attempt_group([](task_group& g) {
                 g.create_task([] { timeout(2s, [] { sleep(5s); }); });
                 g.create_task(told("sibling"));
             });
             trace("at", now());
         }},

        {"a child that fails in the turn of the deadline around the group",
         [] {
             attempt("timeout", [] {
                 timeout(1s, [] { group([](task_group& g) { g.create_task(failing(1, "broken")); }); });
             });
             trace("requests", requests());
             sleep(1s);
             trace("at", now());
         }},

        {"a task group ends early by the documentation's recipe, or by cancel()",
         [] {
             attempt("body", [] {
                 with_task_group([](task_group& g) {
                     g.create_task(told("child"));
                     sleep(1s);
                     g.cancel();
                 });
                 trace("group ended at", now());
             });
         }},

        {"one group after another",
         [] {
             for (int n : {0, 1, 0, 2}) {
                 attempt("group", [n] {
                     with_task_group([n](task_group& g) {
                         for (int i = 0; i < n; ++i)
                             g.create_task([i] {
                                 sleep(i * 1s);
                                 throw failure{std::to_string(i)};
                             });
                         g.create_task([] { turns(3); });
                     });
                 });
             }
         }},
    },
};

}  // namespace
}  // namespace conformance
