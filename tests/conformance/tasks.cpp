// Tasks: starting, ending, results, callbacks, what nobody took.

#include <algorithm>
#include <map>

#include "scenario.hpp"

namespace conformance {
namespace {

std::vector<std::string> names_of_all_tasks() {
    std::vector<std::string> names;
    for (const task_handle& t : all_tasks())
        names.push_back(t.name());
    std::sort(names.begin(), names.end());
    return names;
}

template <class Tasks> void join_all(const Tasks& tasks) {
    for (const auto& t : tasks)
        t.get();
}

const topic tasks{
    "tasks",
    {
        {"tasks start in the next turn, first in first out",
         [] {
             std::vector<task<>> tasks;
             for (int n : {1, 2, 3})
                 tasks.push_back(create_task([n] { trace("child", n); }));
             trace("created");
             yield_now();
             trace("one turn later:", std::vector<bool>{tasks[0].done(), tasks[1].done(), tasks[2].done()});
         }},

        {"tasks take turns when they yield",
         [] {
             std::vector<task<>> tasks;
             for (const char* name : {"a", "b", "c"})
                 tasks.push_back(create_task([name] {
                     for (int step : {1, 2, 3}) {
                         trace(name, step);
                         yield_now();
                     }
                 }));
             join_all(tasks);
         }},

        {"a child of a child starts a turn after it",
         [] {
             auto first = create_task([] {
                 trace("child: start");
                 auto t = create_task([] { trace("grandchild"); });
                 trace("child: created");
                 t.get();
                 trace("child: end");
             });
             create_task([] { trace("second"); }).get();
             first.get();
         }},

        {"sleepers wake in the order of their deadlines",
         [] {
             std::vector<task<>> tasks;
             for (int seconds : {3, 1, 2})
                 tasks.push_back(create_task([seconds] {
                     sleep(seconds * 1s);
                     trace("slept", seconds, "now", now());
                 }));
             join_all(tasks);
         }},

        {"two sleepers with one deadline wake in the order in which they went to sleep",
         [] {
             std::vector<task<>> tasks;
             for (const char* name : {"a", "b"})
                 tasks.push_back(create_task([name] {
                     sleep(1s);
                     trace(name);
                 }));
             join_all(tasks);
         }},

        {"sleeping for no time, or less, is yielding",
         [] {
             create_task([] { trace("child"); });
             sleep(-1s);
             trace("slept -1, now", now());
             create_task([] { trace("child"); });
             sleep(0s);
             trace("slept 0, now", now());
         }},

        {"a result can be had as often as one likes, by as many as like",
         [] {
             auto t = create_task([] {
                 sleep(1s);
                 return 7;
             });
             std::vector<task<>> waiters;
             for (const char* name : {"a", "b", "c"})
                 waiters.push_back(create_task([name, t] { trace(name, "got", t.get()); }));
             join_all(waiters);
             trace("again:", t.get(), t.result());
         }},

        {"waiting for a task that is done does not wait",
         [] {
             auto done = create_task([] { return 1; });
             yield_now();
             create_task([] { trace("other"); });
             trace("got", done.get());
             yield_now();
             trace("end");
         }},

        {"an exception is thrown at everybody who waits, each time",
         [] {
             auto t = create_task([] {
                 yield_now();
                 throw failure{"broken"};
             });
             std::vector<task<>> waiters;
             for (const char* name : {"a", "b"})
                 waiters.push_back(create_task([name, t] { attempt(name, [&] { t.get(); }); }));
             join_all(waiters);
             attempt("again", [&] { t.get(); });
             trace("exception", t.exception(), "cancelled", t.cancelled());
         }},

        {"an unfinished task has neither result nor exception",
         [] {
             auto t = create_task(park);
             attempt("result", [&] { t.result(); });
             attempt("exception", [&] { t.exception(); });
             trace("done", t.done(), "cancelled", t.cancelled());
             t.cancel();
             attempt("get", [&] { t.get(); });
         }},

        {"the exception of a cancelled task",
         [] {
             auto t = create_task(park);
             yield_now();
             t.cancel();
             turns(2);
             trace("done", t.done(), "cancelled", t.cancelled());
             attempt("exception", [&] { return t.exception(); });
             attempt("result", [&] { t.result(); });
         }},

        {"a task that throws a cancellation itself ends cancelled",
         [] {
             auto t = create_task([] { throw cancelled("by itself"); });
             attempt("get", [&] { t.get(); });
             trace("cancelled", t.cancelled(), "requests", t.cancelling());
         }},

        {"a task has a name, and can be given another",
         [] {
             auto t = create_task({.name = "someone"}, [] {
                 trace("I am", current_task().name());
                 current_task().set_name("else");
                 trace("I am", current_task().name());
             });
             t.get();
             trace(t.name());
         }},

        {"each task is its own current task, also after it waited",
         [] {
             std::map<std::string, task_handle> tasks;
             for (const char* name : {"a", "b"})
                 tasks[name] = create_task([name, &tasks] {
                     for (int i = 0; i < 2; ++i) {
                         trace(name, "is itself:", current_task() == tasks[name]);
                         yield_now();
                     }
                 });
             for (const auto& t : tasks)
                 t.second.join();
         }},

        {"the current task in a callback",
         [] {
             get_running_loop().call_soon([] { attempt("callback", [] { current_task(); }); });
             turns(2);
         }},

        {"all_tasks are the unfinished ones, the caller too",
         [] {
             current_task().set_name("main");
             auto parked = create_task({.name = "parked"}, park);
             auto shorter = create_task({.name = "short"}, [] { trace("in the child:", names_of_all_tasks()); });
             trace("created:", names_of_all_tasks());
             shorter.get();
             trace("one ended:", names_of_all_tasks());
             parked.cancel();
             attempt("get", [&] { parked.get(); });
             trace("both ended:", names_of_all_tasks());
         }},

        {"a task that waits for itself is told so",
         [] {
             task<> t;
             t = create_task([&] { attempt("itself", [&] { t.get(); }); });
             t.get();
         }},

        {"a task whose handle was dropped goes on",
         [] {
             create_task([] {
                 yield_now();
                 trace("still here");
             });
             turns(3);
         }},

        {"done callbacks run in order of registration, a turn after the end",
         [] {
             auto t = create_task([] { trace("child ends"); });
             t.add_done_callback([&](const task_handle& done) { trace("first", done == t); });
             t.add_done_callback([](const task_handle& done) { trace("second", done.done()); });
             yield_now();
             trace("a turn later");
             yield_now();
             trace("two turns later");
         }},

        {"a done callback of a task that is done runs in the next turn",
         [] {
             auto t = create_task([] {});
             t.get();
             t.add_done_callback([] { trace("callback"); });
             trace("added");
             yield_now();
             trace("end");
         }},

        {"a done callback can be taken back",
         [] {
             auto t = create_task([] {});
             const callback_id id = t.add_done_callback([] { trace("never"); });
             t.add_done_callback([] { trace("the other"); });
             trace("removed", t.remove_done_callback(id));
             trace("again", t.remove_done_callback(id));
             turns(3);
         }},

        {"a done callback that throws is reported and stops nothing",
         [] {
             auto t = create_task([] {});
             t.add_done_callback([] { throw failure{"in the callback"}; });
             t.add_done_callback([] { trace("the next"); });
             turns(3);
         }},

        {"done callbacks see a cancelled task",
         [] {
             auto t = create_task(park);
             t.add_done_callback([](const task_handle& done) { trace("done", done.done(), "cancelled", done.cancelled()); });
             yield_now();
             t.cancel("enough");
             turns(3);
         }},

        {"an exception that nobody took is reported when the last handle dies",
         [] {
             auto t = create_task([] { throw failure{"lost"}; });
             turns(2);
             trace("still held");
             t = {};
             turns(2);
             trace("end");
         }},

        {"an exception that was looked at is not reported",
         [] {
             auto t = create_task([] { throw failure{"seen"}; });
             turns(2);
             trace(t.exception());
             t = {};
             turns(2);
             trace("end");
         }},

        {"waiting for the end alone takes no exception",
         [] {
             auto t = create_task([] { throw failure{"only waited for"}; });
             wait({t});
             trace("ended");
             t = {};
             turns(2);
             trace("end");
         }},

        {"a cancelled task that nobody asked is not reported",
         [] {
             auto t = create_task(park);
             yield_now();
             t.cancel();
             t = {};
             turns(3);
             trace("end");
         }},

        {"an eager task runs until it first waits, before create_task returns",
         [] {
             auto t = create_task({.eager = true}, [] {
                 trace("child: start");
                 yield_now();
                 trace("child: end");
                 return 5;
             });
             trace("created, done", t.done());
             trace("main: waits");
             trace("got", t.get());
         }},

        {"an eager task that never waits is done at once",
         [] {
             auto t = create_task({.eager = true}, [] {
                 trace("child");
                 return 5;
             });
             trace("done", t.done());
             trace("got", t.result());
             auto failing = create_task({.eager = true}, [] {
                 trace("failing");
                 throw failure{"eager"};
             });
             trace("done", failing.done());
             attempt("get", [&] { failing.get(); });
         }},

        {"an eager task is the current one while it runs, and its creator afterwards",
         [] {
             current_task().set_name("main");
             trace(current_task().name());
             auto t = create_task({.name = "eager", .eager = true}, [] {
                 trace(current_task().name());
                 yield_now();
                 trace(current_task().name());
             });
             trace(current_task().name());
             t.get();
             trace(current_task().name());
         }},

        {"an eager task is cancelled at the wait it began with",
         [] {
             auto t = create_task({.eager = true}, [] {
                 trace("child: start");
                 try {
                     park();
                 } catch (const cancelled&) {
                     trace("child:", std::current_exception());
                     throw;
                 }
             });
             t.cancel("early");
             attempt("get", [&] { t.get(); });
         }},
    },
};

}  // namespace
}  // namespace conformance
