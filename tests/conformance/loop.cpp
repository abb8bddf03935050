// Futures, the loop's callbacks and timers, run and runner.

#include "scenario.hpp"

namespace conformance {
namespace {

std::exception_ptr broken(const char* message) {
    return std::make_exception_ptr(failure{message});
}

/// run, with reports traced.
template <class F> void run_main(F&& f) {
    runner r;
    trace_reports(r.get_loop());
    r.run(std::forward<F>(f));
}

/// Waits until it is cancelled, and goes on.
void swallow() {
    try {
        park();
    } catch (const cancelled&) {
        trace("swallowed");
    }
}

/// A loop's callback that traces.
auto tracing(std::string line) {
    return [line] { trace(line); };
}

const topic loop{
    "loop",
    {
        {"future: a value wakes who waits",
         [] {
             promise<int> p;
             auto f = p.get_future().share();
             auto t = create_task([f] { trace("got", f.get()); });
             yield_now();
             p.set_value(5);
             trace("set, done", f.done(), "cancelled", f.cancelled());
             t.get();
         }},

        {"future: an exception reaches who waits",
         [] {
             promise<int> p;
             auto f = p.get_future();
             auto t = create_task([&] { attempt("waiter", [&] { return f.get(); }); });
             yield_now();
             p.set_exception(broken("broken"));
             t.get();
         }},

        {"future: set twice is refused",
         [] {
             promise<int> p;
             auto f = p.get_future();
             p.set_value(1);
             attempt("value", [&] { p.set_value(2); });
             attempt("exception", [&] { p.set_exception(broken("x")); });
             trace(f.get());
         }},

        {"future: cancelled, it throws at who waits, whose task goes on",
         [] {
             promise<int> p;
             auto f = p.get_future().share();
             auto t = create_task([&] {
                 attempt("waiter", [&] { return f.get(); });
                 trace("requests", current_task().cancelling());
                 yield_now();
                 trace("goes on");
             });
             yield_now();
             const bool first = f.cancel("not today"), second = f.cancel();
             trace("cancel", first, "again", second, "cancelled", f.cancelled());
             t.get();
         }},

        {"future: cancelled after it was set: too late",
         [] {
             promise<int> p;
             auto f = p.get_future().share();
             p.set_value(1);
             const bool asked = f.cancel();
             trace("cancel", asked, "cancelled", f.cancelled(), "got", f.get());
         }},

        {"future: to set a cancelled one",
         [] {
             promise<int> p;
             auto f = p.get_future();
             f.cancel();
             attempt("set", [&] { return p.set_value(1); });
         }},

        {"future: who waits is cancelled",
         [] {
             promise<int> p;
             auto f = p.get_future();
             auto t = create_task([&] { attempt("waiter", [&] { return f.get(); }); });
             yield_now();
             t.cancel();
             t.get();
             trace("future cancelled", f.cancelled());
         }},

        {"future: many who wait go on in order",
         [] {
             promise<int> p;
             auto f = p.get_future().share();
             std::vector<task<>> tasks;
             for (const char* name : {"a", "b", "c"})
                 tasks.push_back(create_task([f, name] { trace(name, "got", f.get()); }));
             yield_now();
             p.set_value(1);
             for (auto& t : tasks)
                 t.get();
         }},

        {"future: set, and then the waiter is cancelled before it has run",
         [] {
             promise<int> p;
             auto f = p.get_future();
             auto t = create_task([&] { attempt("waiter", [&] { return f.get(); }); });
             yield_now();
             p.set_value(1);
             t.cancel("won");
             t.get();
             trace("future cancelled", f.cancelled());
         }},

        {"callbacks run in order, those they queue a turn later",
         [] {
             weft::loop& l = get_running_loop();
             l.call_soon([&] {
                 trace("first");
                 l.call_soon(tracing("queued by the first"));
             });
             l.call_soon(tracing("second"));
             yield_now();
             trace("a turn later");
             yield_now();
             trace("two turns later");
         }},

        {"callbacks and tasks take their turns in one order",
         [] {
             weft::loop& l = get_running_loop();
             const auto child = [](int name) {
                 trace("task", name);
                 yield_now();
                 trace("task", name, "again");
             };
             auto first = create_task(child, 1);
             l.call_soon(tracing("callback 1"));
             auto second = create_task(child, 2);
             l.call_soon(tracing("callback 2"));
             first.get();
             second.get();
         }},

        {"a callback that was cancelled does not run",
         [] {
             weft::loop& l = get_running_loop();
             handle soon = l.call_soon(tracing("never"));
             soon.cancel();
             handle timer = l.call_later(1s, tracing("never"));
             l.call_soon([&] { timer.cancel(); });
             sleep(2s);
             trace("cancelled", soon.cancelled(), timer.cancelled());
         }},

        {"a callback that throws is reported, and the loop goes on",
         [] {
             get_running_loop().call_soon([] { throw failure{"in the callback"}; });
             get_running_loop().call_soon(tracing("the next"));
             turns(2);
         }},

        {"timers run in the order of their times",
         [] {
             weft::loop& l = get_running_loop();
             const auto begin = l.time();
             for (int n : {3, 1, 2})
                 l.call_later(n * 1s, [n] { trace("timer", n, "at", now()); });
             l.call_at(begin + 2500ms, tracing("at two and a half"));
             sleep(4s);
         }},

        {"timers of one time",
         [] {
             for (int n = 0; n < 5; ++n)
                 get_running_loop().call_later(1s, tracing(std::to_string(n)));
             sleep(2s);
         }},

        {"a timer cancels another of the same time",
         [] {
             weft::loop& l = get_running_loop();
             handle second;
             l.call_later(1s, [&] { second.cancel(); });
             second = l.call_later(1s, tracing("never"));
             sleep(2s);
             trace("cancelled", second.cancelled());
         }},

        {"a timer of no time, or less, runs at once",
         [] {
             for (int seconds : {0, -1}) {
                 get_running_loop().call_later(1s, tracing("later"));
                 get_running_loop().call_later(seconds * 1s, [] { trace("at once, at", now()); });
                 sleep(2s);
             }
         }},

        {"run returns what its function returns, and throws what it throws",
         [] {
             attempt("run", [] { return run([] { return 5; }); });
             attempt("run", [] { run([] { throw failure{"main"}; }); });
             attempt("run", [] {
                 run([] {
                     current_task().cancel("myself");
                     sleep(1s);
                 });
             });
         },
         setting::makes_loops},

        {"run ends the tasks that are left, and waits for them",
         [] {
             run_main([] {
                 create_task([] {
                     try {
                         park();
                     } catch (const cancelled&) {
                         trace("cleaning up");
                         sleep(1s);
                         trace("cleaned up");
                         throw;
                     }
                 });
                 yield_now();
                 trace("main ends");
             });
             trace("run ends");
         },
         setting::makes_loops},

        {"run: a task that was left fails at the end",
         [] {
             runner r;
             trace_reports(r.get_loop());
             attempt("run", [&] {
                 r.run([] {
                     create_task([] {
                         try {
                             park();
                         } catch (const cancelled&) {
                             throw failure{"at the end"};
                         }
                     });
                     yield_now();
                 });
             });
             r.close();
             trace("run ends");
         },
         setting::makes_loops},

        {"run: a task that was left before its first turn",
         [] {
             run_main([] {
                 create_task([] {
                     trace("started");
                     swallow();
                 });
                 trace("main ends");
             });
             trace("run ends");
         },
         setting::makes_loops},

        {"run: a task that was left swallows its end",
         [] {
             run_main([] {
                 create_task([] {
                     swallow();
                     for (int n : {1, 2}) {
                         sleep(1s);
                         trace("still here", n);
                     }
                 });
                 yield_now();
             });
             trace("run ends");
         },
         setting::makes_loops},

        {"run within run is refused", [] { attempt("run", [] { run(yield_now); }); }},

        {"runner: several runs on one loop, and tasks go on in the next",
         [] {
             {
                 runner r;
                 const char* first = r.run([] {
                     create_task([] {
                         for (int n : {1, 2, 3}) {
                             trace("count", n);
                             sleep(1s);
                         }
                     });
                     yield_now();
                     return "first";
                 });
                 trace(first);
                 const char* second = r.run([] {
                     sleep(1500ms);
                     return "second";
                 });
                 trace(second);
             }
             trace("closed");
         },
         setting::makes_loops},

        {"runner: goes on after a run that failed",
         [] {
             runner r;
             attempt("run", [&] { r.run([] { throw failure{"first"}; }); });
             attempt("run", [&] { return r.run([] { return "second"; }); });
         },
         setting::makes_loops},

        {"runner: a run on a closed one",
         [] {
             runner r;
             r.run(yield_now);
             r.close();
             r.close();
             attempt("run", [&] { r.run(yield_now); });
         },
         setting::makes_loops},
    },
};

}  // namespace
}  // namespace conformance
