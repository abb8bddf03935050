// Context variables: each task, callback and thread has its own values, begun with a copy of its creator's (PEP 567).

#include <weft/context_var.hpp>

#include <atomic>

#include <weft/event.hpp>
#include <weft/gather.hpp>
#include <weft/task_group.hpp>
#include <weft/timeout.hpp>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

namespace {

context_var<std::string> request{"none"};

/// Counts the values that live: a copy is another one.
using value = context_var<counted>;

}  // namespace

TEST_CASE_METHOD(fixture, "context_var: it gives its initial value until it is set") {
    const context_var<int> number(7);
    const context_var<int> zero;
    CHECK(number.get() == 7);
    CHECK(zero.get() == 0);
    run([&] { CHECK(number.get() == 7); });
}

TEST_CASE_METHOD(fixture, "context_var: what a task sets, it gets, and its token gives back what was before") {
    run([] {
        context_var<int> number(1);
        auto first = number.set(2);
        auto second = number.set(3);
        CHECK(number.get() == 3);
        CHECK(first.old_value() == std::nullopt);
        CHECK(second.old_value() == 2);
        number.reset(second);
        CHECK(number.get() == 2);
        number.reset(first);
        CHECK(number.get() == 1);
        CHECK(number.set(4).old_value() == std::nullopt);
    });
}

TEST_CASE_METHOD(fixture, "context_var: tokens may be used in any order; each restores what was before its own set") {
    run([] {
        context_var<int> number(1);
        auto first = number.set(2);
        auto second = number.set(3);
        number.reset(first);
        CHECK(number.get() == 1);
        number.reset(second);
        CHECK(number.get() == 2);
    });
}

TEST_CASE_METHOD(fixture, "context_var: a token is used once, and its copies with it") {
    run([] {
        context_var<int> number(1);
        auto token = number.set(2);
        const auto copy = token;
        number.reset(token);
        number.set(5);
        CHECK_THROWS_AS(number.reset(token), invalid_state);
        CHECK_THROWS_AS(number.reset(copy), invalid_state);
        CHECK(number.get() == 5);
    });
}

TEST_CASE_METHOD(fixture, "context_var: a token of another variable, and an empty one, are refused") {
    run([] {
        context_var<int> one(1), two(2);
        auto token = one.set(10);
        CHECK_THROWS_AS(two.reset(token), std::invalid_argument);
        CHECK_THROWS_AS(two.reset(context_var<int>::token()), std::invalid_argument);
        CHECK(one.get() == 10);
        one.reset(token);
        CHECK(one.get() == 1);
    });
}

TEST_CASE_METHOD(fixture, "context_var: a token of another context is refused, and stays good in its own") {
    run([] {
        context_var<int> number(1);
        auto token = number.set(2);
        create_task([&] {
            CHECK_THROWS_AS(number.reset(token), std::invalid_argument);
            number.set(3);
            CHECK_THROWS_AS(number.reset(token), std::invalid_argument);
            CHECK(number.get() == 3);
        }).get();
        get_running_loop().call_soon([&] { CHECK_THROWS_AS(number.reset(token), std::invalid_argument); });
        yield_now();
        std::thread([&] { CHECK_THROWS_AS(number.reset(token), std::invalid_argument); }).join();
        number.reset(token);
        CHECK(number.get() == 1);
    });
}

TEST_CASE_METHOD(fixture, "context_var: a token of a task that has ended fits no later one") {
    run([] {
        context_var<int> number(1);
        auto token = create_task([&] { return number.set(2); }).get();
        for (int i = 0; i < 10; ++i)
            create_task([&] {
                number.set(i);
                CHECK_THROWS_AS(number.reset(token), std::invalid_argument);
            }).get();
    });
}

TEST_CASE_METHOD(fixture, "context_var: a task starts with a copy of its creator's values as of its creation") {
    run([] {
        request.set("a");
        auto child = create_task([] {
            CHECK(request.get() == "a");
            request.set("child");
            yield_now();
            CHECK(request.get() == "child");
            create_task([] { CHECK(request.get() == "child"); }).get();
        });
        request.set("b");
        child.get();
        CHECK(request.get() == "b");
        create_task({.eager = true}, [] {
            CHECK(request.get() == "b");
            request.set("eager");
        }).get();
        CHECK(request.get() == "b");
    });
    CHECK(request.get() == "none");
}

TEST_CASE_METHOD(fixture, "context_var: fibers that take turns never see each other's values") {
    run([] {
        context_var<int> number(-1);
        with_task_group([&](task_group& group) {
            for (int i = 0; i < 20; ++i)
                group.create_task([&, i] {
                    CHECK(number.get() == -1);
                    for (int k = 0; k < 10; ++k) {
                        number.set(100 * i + k);
                        yield_now();
                        CHECK(number.get() == 100 * i + k);
                    }
                });
        });
        CHECK(number.get() == -1);
    });
}

TEST_CASE_METHOD(fixture, "context_var: children of a gather have copies; the body of a timeout is the same task") {
    run([] {
        request.set("outer");
        gather([] { request.set("one"); }, [] { CHECK(request.get() == "outer"); });
        CHECK(request.get() == "outer");
        timeout(1s, [] { request.set("inner"); });
        CHECK(request.get() == "inner");
    });
}

TEST_CASE_METHOD(fixture, "context_var: callbacks and timers run with a copy of their creator's values") {
    run([] {
        notes seen;
        loop& l = get_running_loop();
        request.set("soon");
        l.call_soon([&] {
            seen.push_back(request.get());
            request.set("changed by the callback");
            l.call_soon([&] { seen.push_back(request.get()); });
            create_task([&] { seen.push_back(request.get()); });
        });
        request.set("later");
        l.call_later(1ms, [&] { seen.push_back(request.get()); });
        request.set("threadsafe");
        l.call_soon_threadsafe([&] { seen.push_back(request.get()); });
        request.set("mine");
        l.call_soon([&] { seen.push_back(request.get()); });
        sleep(2ms);
        CHECK(request.get() == "mine");
        std::sort(seen.begin(), seen.end());
        CHECK(seen == notes{"changed by the callback", "changed by the callback", "later", "mine", "soon", "threadsafe"});
    });
}

TEST_CASE_METHOD(fixture, "context_var: a callback from another thread brings that thread's values") {
    run([] {
        std::string seen;
        event done;
        loop& l = get_running_loop();
        request.set("the task's");
        std::thread thread([&] {
            CHECK(request.get() == "none");
            request.set("the thread's");
            l.call_soon_threadsafe([&] {
                seen = request.get();
                done.set();
            });
        });
        done.wait();
        thread.join();
        CHECK(seen == "the thread's");
        CHECK(request.get() == "the task's");
    });
}

TEST_CASE_METHOD(fixture, "context_var: a done callback runs with the values of who registered it, when it was registered") {
    run([] {
        notes seen;
        auto note = [&] { seen.push_back(request.get()); };
        auto t = create_task([] {
            request.set("the task's");
            yield_now();
        });
        request.set("first");
        t.add_done_callback(note);
        request.set("second");
        t.add_done_callback(note);
        request.set("last");
        t.get();
        t.add_done_callback(note);
        turns(2);
        CHECK(seen == notes{"first", "second", "last"});
    });
}

TEST_CASE_METHOD(fixture, "context_var: a thread without a loop has values of its own, which run() copies") {
    context_var<int> number(1);
    std::thread([&] {
        auto token = number.set(2);
        run([&] {
            CHECK(number.get() == 2);
            number.set(3);
        });
        CHECK(number.get() == 2);
        number.reset(token);
        CHECK(number.get() == 1);
    }).join();
    CHECK(number.get() == 1);
}

TEST_CASE_METHOD(fixture, "context_var: a runner keeps the values of its main tasks, tokens included, and the thread sees none") {
    context_var<int> number(1);
    auto outside = number.set(2);
    runner r;
    number.set(9);
    auto token = r.run([&] {
        CHECK(number.get() == 2);
        return number.set(3);
    });
    CHECK(number.get() == 9);
    r.run([&] {
        CHECK(number.get() == 3);
        create_task([&] { number.set(4); }).get();
    });
    CHECK_THROWS_AS(r.run([&] {
        number.set(5);
        throw std::runtime_error("the values stay all the same");
    }),
                    std::runtime_error);
    r.run([&] {
        CHECK(number.get() == 5);
        number.reset(token);
        CHECK(number.get() == 2);
        CHECK_THROWS_AS(number.reset(outside), std::invalid_argument);
    });
    number.reset(outside);
    CHECK(number.get() == 1);
}

TEST_CASE_METHOD(fixture, "context_var: many variables in many tasks keep apart what is shared and what is not") {
    run([] {
        std::vector<std::unique_ptr<context_var<int>>> vars;
        for (int i = 0; i < 100; ++i)
            vars.push_back(std::make_unique<context_var<int>>(i));
        for (int i = 99; i >= 0; i -= 2)
            vars[static_cast<std::size_t>(i)]->set(1000 + i);
        std::vector<task<>> tasks;
        for (int t = 0; t < 10; ++t)
            tasks.push_back(create_task([&, t] {
                for (int i = t; i < 100; i += 10)
                    vars[static_cast<std::size_t>(i)]->set(2000 + t);
                yield_now();
                for (int i = 0; i < 100; ++i) {
                    const int expected = i % 10 == t ? 2000 + t : i % 2 ? 1000 + i : i;
                    CHECK(vars[static_cast<std::size_t>(i)]->get() == expected);
                }
            }));
        gather(tasks);
        for (int i = 0; i < 100; ++i)
            CHECK(vars[static_cast<std::size_t>(i)]->get() == (i % 2 ? 1000 + i : i));
    });
}

TEST_CASE_METHOD(fixture, "context_var: values live as long as a context that holds them, and no longer than its task") {
    run([] {
        value number(counted(0));
        const int before = counted::live;
        task<> parent = create_task([&] {
            number.set(counted(1));
            CHECK(counted::live == before + 1);
            number.set(counted(2));
            CHECK(counted::live == before + 1);
            create_task([&] {
                sleep(1ms);
                CHECK(number.get().value == 2);
            });
        });
        parent.get();
        CHECK(counted::live == before + 1);   // the child's
        sleep(2ms);
        CHECK(counted::live == before);       // though a handle of the parent's is still here
    });
}

TEST_CASE_METHOD(fixture, "context_var: callbacks that never run, or were taken back, hold no values") {
    runner r;
    value number(counted(0));
    const int before = counted::live;
    handle never, cancelled;
    r.run([&] {
        create_task([&] {
            number.set(counted(1));
            loop& l = get_running_loop();
            never = l.call_later(1h, [] {});
            cancelled = l.call_later(1h, [] {});
            const auto parked = create_task({.name = "parked"}, park);
            const auto id = parked.add_done_callback([] {});
            parked.add_done_callback([] {});
            CHECK(parked.remove_done_callback(id));
        }).get();
    });
    CHECK(counted::live == before + 1);
    cancelled.cancel();
    CHECK(counted::live == before + 1);
    r.close();
    CHECK(counted::live == before);
}

TEST_CASE_METHOD(fixture, "context_var: a variable may be destroyed before the contexts that hold its values") {
    run([] {
        auto number = std::make_unique<value>(counted(1));
        number->set(counted(2));
        auto child = create_task(park);
        number.reset();
        value another(counted(3));   // perhaps at the same address
        CHECK(another.get().value == 3);
        child.cancel();
        child.join();
    });
}

namespace {

/// Sets a variable again when the last copy of it goes.
struct clinging {
    context_var<int>* other;
    std::shared_ptr<int> alive = std::make_shared<int>(0);
    ~clinging() {
        if (alive && alive.use_count() == 1 && other)
            other->set(other->get() + 1);
    }
    clinging(context_var<int>* o) : other(o) {}
    clinging(const clinging&) = default;
    clinging(clinging&&) = default;
};

}  // namespace

TEST_CASE_METHOD(fixture, "context_var: a value whose destructor sets variables does so in the context that drops it") {
    run([] {
        context_var<int> drops(0);
        context_var<clinging> holder(clinging(nullptr));
        {
            auto token = holder.set(clinging(&drops));
            create_task([&] { holder.set(clinging(&drops)); }).get();   // drops its own with its task
            CHECK(drops.get() == 0);
            holder.reset(token);
        }
        CHECK(drops.get() == 1);
    });
}

TEST_CASE_METHOD(fixture, "context_var: jobs of other threads run with a copy of the submitter's values") {
    run([] {
        request.set("the submitter's");
        detail::context values = detail::context::copy_of_current();
        event done;
        std::thread worker([&] {
            request.set("the worker's");
            {
                detail::context_scope in_context(values);
                CHECK(request.get() == "the submitter's");
                request.set("the job's");
            }
            CHECK(request.get() == "the worker's");
            done.set();
        });
        done.wait();
        worker.join();
        CHECK(request.get() == "the submitter's");
    });
}

TEST_CASE_METHOD(fixture, "context_var: threads may share, set and drop copies of the same values at the same time") {
    value number(counted(0));
    run([&] {
        number.set(counted(1));
        std::atomic<int> wrong{0};
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; ++t)
            threads.emplace_back([&, t, values = detail::context::copy_of_current()]() mutable {
                for (int i = 0; i < 500; ++i) {
                    detail::context mine = values;
                    detail::context_scope in_context(mine);
                    wrong += number.get().value != 1;
                    auto token = number.set(counted(t));
                    wrong += number.get().value != t;
                    number.reset(token);
                }
            });
        for (int i = 0; i < 500; ++i)
            create_task([&, i] { number.set(counted(i)); }).get();
        for (auto& t : threads)
            t.join();
        CHECK(wrong == 0);
    });
}
