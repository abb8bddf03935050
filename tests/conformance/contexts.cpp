// Context variables, and threads: to_thread, executors, calls from other threads.

#include <atomic>
#include <semaphore>

#include "scenario.hpp"

namespace conformance {
namespace {

using text_var = context_var<std::string>;

const topic contexts{
    "contexts",
    {
        {"context: a task starts with a copy of its creator's values",
         [] {
             text_var var("initial");
             const auto child = [&](const char* name) {
                 trace(name, var.get());
                 var.set(name);
                 yield_now();
                 trace(name, var.get());
             };
             auto first = create_task(child, "first");
             var.set("main");
             auto second = create_task(child, "second");
             first.get();
             second.get();
             trace("main", var.get());
         }},

        {"context: gathered functions do not see each other's values",
         [] {
             context_var<int> var(0);
             const auto child = [&](int n) {
                 return [&var, n] {
                     const int before = var.get();
                     var.set(n);
                     yield_now();
                     return std::vector<int>{before, var.get()};
                 };
             };
             var.set(7);
             const auto values = gather(child(1), child(2));
             trace(values, var.get());
         }},

        {"context: a callback has its creator's values as they were",
         [] {
             text_var var("initial");
             const auto callback = [&](const char* name) {
                 trace(name, var.get());
                 var.set(name);
             };
             get_running_loop().call_soon(callback, "first");
             var.set("main");
             get_running_loop().call_soon(callback, "second");
             get_running_loop().call_later(1s, callback, "later");
             sleep(2s);
             trace("main", var.get());
         }},

        {"context: a done callback has the values of who registered it",
         [] {
             text_var var("initial");
             auto t = create_task([&] { var.set("child"); });
             var.set("main");
             t.add_done_callback([&] { trace("callback", var.get()); });
             turns(3);
         }},

        {"context: reset gives the value before back",
         [] {
             text_var var("initial");
             const auto a = var.set("a");
             const auto b = var.set("b");
             var.reset(b);
             trace(var.get());
             var.reset(a);
             trace(var.get());
         }},

        {"context: a token is of no use in another task",
         [] {
             text_var var("initial");
             const auto token = var.set("main");
             auto t = create_task([&] {
                 attempt("reset", [&] { var.reset(token); });
                 trace(var.get());
             });
             t.get();
         }},

        {"context: a runner's values persist from run to run",
         [] {
             text_var var("initial");
             {
                 runner r;
                 for (const char* value : {"first", "second"})
                     r.run([&] {
                         trace(var.get());
                         var.set(value);
                     });
             }
             trace("outside", var.get());
         },
         setting::makes_loops},

        {"context: a thread job starts with a copy",
         [] {
             text_var var("initial");
             var.set("main");
             const std::string seen = to_thread([&] {
                 const std::string value = var.get();
                 var.set("job");
                 return value;
             });
             trace(seen, var.get());
         }},

        {"to_thread gives the value, and throws the exception",
         [] {
             attempt("value", [] { return to_thread([](int a, int b) { return a + b; }, 1, 2); });
             attempt("exception", [] { to_thread([] { throw failure{"in the thread"}; }); });
         }},

        {"to_thread: tasks go on meanwhile",
         [] {
             std::binary_semaphore go(0);
             auto t = create_task([&] {
                 for (int n : {1, 2}) {
                     trace("other", n);
                     yield_now();
                 }
                 go.release();
             });
             const char* value = to_thread([&] {
                 go.acquire();
                 return "job";
             });
             trace(value);
             t.get();
         }},

        {"to_thread: cancelled while the job runs",
         [] {
             std::atomic<bool> started{false};
             std::binary_semaphore go(0);
             auto t = create_task([&] {
                 to_thread([&] {
                     started = true;
                     go.acquire();
                 });
             });
             while (!started)
                 yield_now();
             t.cancel("leave");
             turns(3);
             trace("job runs, waiter done", t.done());
             go.release();
             attempt("waiter", [&] { t.get(); });
         }},

        {"a pool of one thread does one thing after another",
         [] {
             std::vector<int> order;
             thread_pool_executor pool(1);
             std::vector<task<>> jobs;
             for (int n : {1, 2, 3})
                 jobs.push_back(create_task([&, n] { run_in_executor(pool, [&, n] { order.push_back(n); }); }));
             gather(jobs);
             trace(order);
         }},

        {"a thread runs something in the loop and has its result, or its exception",
         [] {
             weft::loop& l = get_running_loop();
             to_thread([&] {
                 attempt("value", [&] {
                     return run_threadsafe(l, [] {
                                yield_now();
                                return 5;
                            })
                         .get();
                 });
                 attempt("exception", [&] { run_threadsafe(l, [] { throw failure{"in the loop"}; }).get(); });
             });
         }},

        {"callbacks from a thread run in order",
         [] {
             weft::loop& l = get_running_loop();
             to_thread([&] {
                 for (int n : {1, 2, 3})
                     l.call_soon_threadsafe([n] { trace("callback", n); });
             });
             turns(2);
         }},
    },
};

}  // namespace
}  // namespace conformance
