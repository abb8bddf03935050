// Waiting for many: gather, shield, wait, as_completed.

#include <algorithm>

#include "scenario.hpp"

namespace conformance {
namespace {

auto after(int seconds, const char* value) {
    return [=] {
        sleep(seconds * 1s);
        return value;
    };
}

auto failing(int seconds, std::string message) {
    return [=]() -> const char* {
        sleep(seconds * 1s);
        throw failure{message};
    };
}

/// Waits; tells of a cancellation and passes it on.
auto told(const char* name) {
    return [=]() -> const char* {
        try {
            park();
        } catch (const cancelled&) {
            trace(name, std::current_exception(), "at", now());
            throw;
        }
        return "";
    };
}

using named_task = task<const char*>;

named_task task_after(int seconds, const char* value) {
    return create_task({.name = value}, after(seconds, value));
}

const char* parked() {
    park();
    return "";
}

std::vector<std::string> names(const std::vector<named_task>& tasks) {
    std::vector<std::string> all;
    for (const auto& t : tasks)
        all.push_back(t.name());
    std::sort(all.begin(), all.end());
    return all;
}

template <class... Limits> void waited(const std::vector<named_task>& tasks, Limits... limits) {
    const auto [done, pending] = wait(tasks, limits...);
    trace("at", now(), "done", names(done), "pending", names(pending));
}

/// Ends what a scenario leaves behind.
void end(const std::vector<named_task>& tasks) {
    for (const auto& t : tasks)
        t.cancel();
    wait(tasks);
}

auto pair(std::string name) {
    return [name] { return gather(after(1, (name == "a" ? "a1" : "b1")), after(2, (name == "a" ? "a2" : "b2"))); };
}

const topic many{
    "many",
    {
        {"gather gives results in the order of its arguments",
         [] {
             const auto results = gather(after(3, "a"), after(1, "b"), after(2, "c"));
             trace(results, "at", now());
             const auto mixed = gather(create_task(after(2, "d")), after(1, "e"));
             trace(mixed, "at", now());
         }},

        {"gather of nothing", [] { trace(gather()); }},

        {"gather of tasks that are done",
         [] {
             const auto a = task_after(0, "a"), b = task_after(0, "b");
             a.get();
             b.get();
             trace(gather(a, b));
         }},

        {"gather of one task twice",
         [] {
             const auto t = task_after(1, "a");
             trace(gather(t, t));
         }},

        {"gather of tasks: the first exception comes at once, the others run on",
         [] {
             const auto slow = task_after(5, "slow");
             attempt("gather", [&] { return gather(slow, create_task(failing(1, "broken"))); });
             trace("at", now(), "slow done", slow.done());
             const char* value = slow.get();
             trace("slow", value, "at", now());
         }},

        {"gather of tasks: the second exception is not reported",
         [] {
             std::vector<named_task> tasks;
             for (int n : {1, 2})
                 tasks.push_back(create_task(failing(n, "number " + std::to_string(n))));
             attempt("gather", [&] { return gather(tasks); });
             tasks.clear();
             sleep(5s);
             trace("at", now());
         }},

        {"gather with return_exceptions",
         [] {
             auto cancelled = create_task(parked);
             get_running_loop().call_later(2s, [&] { cancelled.cancel(); });
             auto a = create_task(after(3, "a"));
             auto b = create_task(failing(1, "broken"));
             attempt("gather", [&] { return gather(return_exceptions, a, b, cancelled); });
             trace("at", now());
         }},

        {"gather: a child that is cancelled by itself",
         [] {
             auto child = create_task(told("child")), sibling = create_task(told("sibling"));
             get_running_loop().call_later(1s, [&] { child.cancel(); });
             attempt("gather", [&] { return gather(child, sibling); });
             trace("at", now(), "requests", current_task().cancelling(), "sibling done", sibling.done());
             end({sibling});
         }},

        {"gather of tasks, cancelled from outside, cancels them all and waits",
         [] {
             const auto slowly = []() -> const char* {
                 try {
                     park();
                 } catch (const cancelled&) {
                     sleep(3s);
                     trace("cleaned up at", now());
                     throw;
                 }
                 return "";
             };
             const std::vector<named_task> children{create_task(told("a")), create_task(slowly), create_task(told("b"))};
             auto t = create_task([&] { gather(children); });
             sleep(1s);
             t.cancel("from outside");
             attempt("get", [&] { t.get(); });
             std::vector<bool> cancelled;
             for (const auto& c : children)
                 cancelled.push_back(c.cancelled());
             trace("at", now(), cancelled);
         }},

        {"gather with return_exceptions, cancelled from outside, throws all the same",
         [] {
             auto t = create_task([] { gather(return_exceptions, told("a"), told("b")); });
             sleep(1s);
             t.cancel("from outside");
             attempt("get", [&] { t.get(); });
         }},

        {"gather, cancelled from outside, and a child swallows it",
         [] {
             auto t = create_task([] {
                 attempt("child", park);
                 return "value";
             });
             auto p = create_task([&] { attempt("gather", [&] { return gather(t, create_task(told("other"))); }); });
             sleep(1s);
             p.cancel();
             p.get();
             trace("child", t.result());
         }},

        {"gather, cancelled from outside in the turn in which all are done",
         [] {
             const std::vector<named_task> children{task_after(0, "a"), task_after(0, "b")};
             auto t = create_task([&] { attempt("gather", [&] { return gather(children); }); });
             turns(2);
             trace(std::vector<bool>{children[0].done(), children[1].done()});
             t.cancel("won");
             t.get();
         }},

        {"gather of functions: the first exception ends the others",
         [] {
             const auto other = [] {
                 try {
                     sleep(5s);
                 } catch (const cancelled&) {
                     trace("other cancelled at", now());
                     throw;
                 }
                 return "";
             };
             attempt("gather", [&] { return gather(other, failing(1, "broken")); });
             trace("at", now());
             sleep(2s);
             trace("end");
         }},

        {"gather within gather",
         [] {
             const auto results = gather(pair("a"), pair("b"));
             trace(results, "at", now());
             attempt("failing",
                     [] { return gather(pair("c"), [] { return gather(failing(1, "deep"), after(0, "d")); }); });
         }},

        {"shield passes the result and the exception on",
         [] {
             attempt("result", [] { return shield(task_after(1, "value")); });
             attempt("exception", [] { return shield(create_task(failing(1, "broken"))); });
             auto done = task_after(0, "done");
             done.get();
             attempt("done", [&] { return shield(done); });
         }},

        {"shield: cancelling who waits does not cancel the task",
         [] {
             auto inner = task_after(5, "value");
             auto t = create_task([&] {
                 attempt("waiter", [&] { return shield(inner); });
                 trace("at", now());
             });
             sleep(1s);
             t.cancel("waiter only");
             t.get();
             const char* value = inner.get();
             trace("inner", value, "at", now());
         }},

        {"shield: cancelling the task cancels who waits, but makes no request of it",
         [] {
             auto inner = create_task(told("inner"));
             auto t = create_task([&] {
                 attempt("waiter", [&] { return shield(inner); });
                 trace("requests", current_task().cancelling());
             });
             sleep(1s);
             inner.cancel();
             t.get();
         }},

        {"shield: nobody is left to take the exception",
         [] {
             auto t = create_task([] { attempt("waiter", [] { return shield(create_task(failing(2, "unheard"))); }); });
             sleep(1s);
             t.cancel();
             t.get();
             sleep(5s);
             trace("at", now());
         }},

        {"shield in a timeout: the task outlives the deadline",
         [] {
             auto inner = task_after(5, "value");
             attempt("timeout", [&] { timeout(1s, [&] { shield(inner); }); });
             const char* value = inner.get();
             trace("inner", value, "at", now());
         }},

        {"shield twice, for two who wait",
         [] {
             auto inner = task_after(3, "value");
             const auto waiter = [&](const char* name) { attempt(name, [&] { return shield(inner); }); };
             auto a = create_task(waiter, "a"), b = create_task(waiter, "b");
             sleep(1s);
             a.cancel();
             a.get();
             b.get();
         }},

        {"wait for all",
         [] { waited({task_after(2, "a"), task_after(1, "b"), create_task({.name = "c"}, failing(3, ""))}); }},

        {"wait for the first to be done",
         [] {
             const std::vector<named_task> tasks{task_after(2, "a"), task_after(1, "b")};
             waited(tasks, return_when::first_completed);
             waited(tasks, return_when::first_completed);
             waited(tasks);
         }},

        {"wait for the first to be done: two in one turn",
         [] {
             const std::vector<named_task> tasks{task_after(2, "a"), task_after(1, "b"), task_after(1, "c")};
             waited(tasks, return_when::first_completed);
             end(tasks);
         }},

        {"wait for the first exception",
         [] {
             const std::vector<named_task> tasks{task_after(1, "a"), create_task({.name = "b"}, failing(2, "broken")),
                                                 task_after(3, "c")};
             waited(tasks, return_when::first_exception);
             trace(tasks[1].exception());
             end(tasks);
         }},

        {"wait for the first exception: there is none",
         [] { waited({task_after(1, "a"), task_after(2, "b")}, return_when::first_exception); }},

        {"wait for the first exception: a cancelled task is none",
         [] {
             auto parked_task = create_task({.name = "parked"}, parked);
             get_running_loop().call_later(1s, [&] { parked_task.cancel(); });
             waited({task_after(2, "a"), parked_task}, return_when::first_exception);
         }},

        {"wait with a time limit cancels nothing and throws nothing",
         [] {
             const std::vector<named_task> tasks{task_after(1, "a"), task_after(3, "b")};
             waited(tasks, 2s);
             waited(tasks, 0s);
             waited(tasks, 9s);
         }},

        {"wait, cancelled from outside, leaves the tasks alone",
         [] {
             const std::vector<named_task> tasks{task_after(2, "a"), task_after(3, "b")};
             auto t = create_task([&] { wait(tasks); });
             sleep(1s);
             t.cancel("waiter only");
             attempt("waiter", [&] { t.get(); });
             waited(tasks);
         }},

        {"wait for nothing is refused", [] { attempt("wait", [] { wait(std::vector<named_task>()); }); }},

        {"as_completed gives tasks in the order in which they end",
         [] {
             for (auto& t : as_completed({task_after(3, "a"), task_after(1, "b"), create_task(failing(2, "broken"))})) {
                 attempt("next", [&] { return t.get(); });
                 trace("at", now());
             }
         }},

        {"as_completed with a time limit, which counts from the call",
         [] {
             const std::vector<named_task> tasks{task_after(1, "a"), task_after(9, "b")};
             attempt("as_completed", [&] {
                 for (auto& t : as_completed(tasks, 3s)) {
                     const char* value = t.get();
                     trace(value, "at", now());
                     sleep(1s);
                 }
             });
             trace("at", now(), "b done", tasks[1].done());
             end(tasks);
         }},

        {"as_completed, left early, leaves the rest running",
         [] {
             const std::vector<named_task> tasks{task_after(1, "a"), task_after(2, "b")};
             for (auto& t : as_completed(tasks)) {
                 const char* value = t.get();
                 trace(value, "at", now());
                 break;
             }
             const char* value = tasks[1].get();
             trace(value, "at", now());
         }},

        {"as_completed, cancelled from outside, leaves the tasks alone",
         [] {
             const std::vector<named_task> tasks{task_after(1, "a"), task_after(3, "b")};
             auto t = create_task([&] {
                 for (auto& done : as_completed(tasks)) {
                     const char* value = done.get();
                     trace(value, "at", now());
                 }
             });
             sleep(2s);
             t.cancel("waiter only");
             attempt("waiter", [&] { t.get(); });
             const char* value = tasks[1].get();
             trace(value, "at", now());
         }},

        {"as_completed of nothing",
         [] {
             for (auto& t : as_completed(std::vector<named_task>()))
                 trace("never", t.name());
             trace("end");
         }},
    },
};

}  // namespace
}  // namespace conformance
