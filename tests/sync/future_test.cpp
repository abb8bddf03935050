// <weft/future.hpp>

#include <string>

#include "sync/fixture.hpp"

using namespace sync_test;

namespace {

template <class F>
std::error_code future_error_of(F&& f) {
    try {
        std::forward<F>(f)();
    } catch (const std::future_error& e) {
        return e.code();
    }
    return {};
}

}  // namespace

TEST_CASE_METHOD(fixture, "future: a value that is there is got at once, once") {
    bool other_ran = false;  // here: the task may begin when run's function has returned
    run([&] {
        promise<std::string> p;
        auto f = p.get_future();
        CHECK(f.valid());
        CHECK_FALSE(f.done());
        create_task([&] { other_ran = true; });
        CHECK(p.set_value("value"));
        CHECK(f.done());
        CHECK_FALSE(f.cancelled());
        f.wait();
        CHECK(f.wait_for(0s) == std::future_status::ready);
        CHECK(f.get() == "value");
        CHECK_FALSE(f.valid());
        CHECK_FALSE(other_ran);
    });
}

TEST_CASE_METHOD(fixture, "future: waits for the value, for nothing, for a reference, for what only moves") {
    run([] {
        promise<int> value;
        promise<> nothing;
        promise<int&> reference;
        promise<std::unique_ptr<int>> pointer;
        auto t = create_task([&, v = value.get_future(), n = nothing.get_future(), r = reference.get_future(),
                              p = pointer.get_future()]() mutable {
            n.get();
            ++r.get();
            return v.get() + *p.get();
        });
        yield_now();
        int counter = 0;
        CHECK(value.set_value(1));
        CHECK(nothing.set_value());
        CHECK(reference.set_value(counter));
        CHECK(pointer.set_value(std::make_unique<int>(2)));
        CHECK(t.get() == 3);
        CHECK(counter == 1);
    });
}

TEST_CASE_METHOD(fixture, "future: throws the exception it was given") {
    run([] {
        promise<int> p;
        auto f = p.get_future();
        auto t = create_task([&] { return thrown_by<std::runtime_error>([&] { f.get(); }); });
        yield_now();
        CHECK(p.set_exception(std::make_exception_ptr(std::runtime_error("bad"))));
        CHECK(t.get() == "bad");
        CHECK_FALSE(f.valid());
    });
}

TEST_CASE_METHOD(fixture, "future: the end of a promise that gave nothing breaks it") {
    run([] {
        auto p = std::make_unique<promise<int>>();
        auto f = p->get_future();
        auto t = create_task([&] { return future_error_of([&] { f.get(); }); });
        yield_now();
        p.reset();
        CHECK(t.get() == std::future_errc::broken_promise);

        promise<int> first, second;
        auto broken = first.get_future();
        first = std::move(second);
        CHECK(future_error_of([&] { broken.get(); }) == std::future_errc::broken_promise);
    });
}

TEST_CASE_METHOD(fixture, "future: one-shot, as std's") {
    promise<int> p;
    auto f = p.get_future();
    CHECK(future_error_of([&] { p.get_future(); }) == std::future_errc::future_already_retrieved);
    p.set_value(1);
    CHECK(future_error_of([&] { p.set_value(2); }) == std::future_errc::promise_already_satisfied);
    CHECK(future_error_of([&] { p.set_exception(std::make_exception_ptr(1)); }) ==
          std::future_errc::promise_already_satisfied);
    CHECK(f.get() == 1);
    CHECK(future_error_of([&] { f.get(); }) == std::future_errc::no_state);
    CHECK(future_error_of([&] { f.wait(); }) == std::future_errc::no_state);
    CHECK(future_error_of([&] { f.cancel(); }) == std::future_errc::no_state);
    promise<int> moved = std::move(p);
    CHECK(future_error_of([&] { p.set_value(1); }) == std::future_errc::no_state);
    CHECK(throws<std::invalid_argument>([] { promise<int>().set_exception(nullptr); }));
    STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<future<int>>);
    STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<promise<int>>);
    STATIC_REQUIRE(std::is_nothrow_move_constructible_v<future<int>>);
}

TEST_CASE_METHOD(fixture, "future: a value whose move throws may be set again") {
    struct fragile {
        explicit fragile(bool fails) {
            if (fails) throw std::runtime_error("fragile");
        }
    };
    promise<fragile> p;
    auto f = p.get_future();
    CHECK(throws<std::runtime_error>([&] { p.set_value(true); }));
    CHECK_FALSE(f.done());
    CHECK(p.set_value(false));
    f.get();
}

TEST_CASE_METHOD(fixture, "future: after cancel, waiters get `cancelled` and set_value is refused") {
    run([] {
        promise<int> p;
        auto f = p.get_future();
        std::string told;
        p.on_cancel([&] { told += "told"; });
        auto t = create_task([&] { return thrown_by([&] { f.get(); }); });
        yield_now();
        auto also = std::move(f);   // f is being waited for by nobody but t
        f = std::move(also);
        CHECK(f.cancel("no need"));
        CHECK(told == "told");
        CHECK(f.cancelled());
        CHECK(f.done());
        CHECK_FALSE(f.cancel());
        CHECK(t.get() == "no need");
        CHECK_FALSE(t.cancelled());   // the future was cancelled, not the task
        CHECK_FALSE(p.set_value(1));
        CHECK_FALSE(p.set_value(2));
        CHECK_FALSE(p.set_exception(std::make_exception_ptr(1)));
        p.on_cancel([&] { told += " again"; });
        CHECK(told == "told again");
    });
}

TEST_CASE_METHOD(fixture, "future: cancel after the value comes too late") {
    promise<int> p;
    auto f = p.get_future();
    bool told = false;
    p.on_cancel([&] { told = true; });
    p.set_value(1);
    CHECK_FALSE(f.cancel());
    CHECK_FALSE(f.cancelled());
    CHECK_FALSE(told);
    CHECK(f.get() == 1);
    promise<int> other;
    auto given = other.get_future();
    other.set_exception(std::make_exception_ptr(cancelled("by hand")));
    CHECK(given.cancelled());
    CHECK(thrown_by([&] { given.get(); }) == "by hand");
}

TEST_CASE_METHOD(fixture, "future: a cancelled get leaves it valid, not cancelled, and the value in it") {
    run([] {
        promise<int> p;
        auto f = p.get_future();
        auto t = create_task([&] { return f.get(); });
        yield_now();
        t.cancel();
        t.join();
        CHECK(t.cancelled());
        CHECK(f.valid());
        CHECK_FALSE(f.cancelled());
        p.set_value(1);
        CHECK(f.get() == 1);
    });
}

TEST_CASE_METHOD(fixture, "future: set, and the getter cancelled, in the same turn, in both orders: the value stays") {
    run([] {
        for (const bool cancel_first : {true, false}) {
            promise<std::string> p;
            auto f = p.get_future();
            auto t = create_task([&] { return f.get(); });
            yield_now();
            if (cancel_first) t.cancel();
            p.set_value("value");
            if (!cancel_first) t.cancel();
            t.join();
            CHECK(t.cancelled());
            CHECK(f.get() == "value");
        }
    });
}

TEST_CASE_METHOD(fixture, "future: a timed wait says whether it was done in time") {
    run([] {
        promise<int> p;
        auto f = p.get_future();
        const auto start = virtual_clock::now();
        CHECK(f.wait_for(1ms) == std::future_status::timeout);
        CHECK(f.wait_until(start + 2ms) == std::future_status::timeout);
        CHECK(virtual_clock::now() == start + 2ms);
        auto t = create_task([&] { return f.wait_for(1h); });
        yield_now();
        p.set_value(1);
        CHECK(t.get() == std::future_status::ready);
    });
}

TEST_CASE_METHOD(fixture, "future: waiters wake in the order in which they came, also those of a shared_future") {
    notes log;
    run([&] {
        promise<std::string> p;
        shared_future<std::string> f = p.get_future().share();
        for (const char* name : {"a", "b", "c"})
            create_task([&log, name, f] { log.push_back(name + f.get()); });
        yield_now();
        p.set_value("!");
        yield_now();
        CHECK(&f.get() == &f.get());
        CHECK(f.valid());
    });
    CHECK(log == notes{"a!", "b!", "c!"});
}

TEST_CASE_METHOD(fixture, "shared_future: nothing, references, exceptions and cancellation, for all") {
    run([] {
        promise<> nothing;
        auto n = nothing.get_future().share();
        nothing.set_value();
        n.get();
        n.get();
        int counter = 0;
        promise<int&> reference;
        shared_future<int&> r = reference.get_future();
        reference.set_value(counter);
        ++r.get();
        CHECK(counter == 1);
        promise<int> p;
        const auto f = p.get_future().share();
        auto copy = f;
        auto t = create_task([&] { return thrown_by([&] { f.get(); }); });
        yield_now();
        CHECK(copy.cancel("all"));
        CHECK(t.get() == "all");
        CHECK(thrown_by([&] { copy.get(); }) == "all");
        CHECK(future_error_of([] { shared_future<int>().get(); }) == std::future_errc::no_state);
    });
}

TEST_CASE_METHOD(fixture, "future: in a loop callback one that is done is got, and a wait throws") {
    run([] {
        promise<int> p;
        auto f = p.get_future();
        in_callback([&] {
            CHECK(throws<no_running_task>([&] { f.get(); }));
            p.set_value(1);
            CHECK(f.get() == 1);
        });
    });
}

TEST_CASE_METHOD(fixture, "future: a waiter outlives both ends") {
    run([] {
        auto p = std::make_unique<promise<int>>();
        auto f = std::make_unique<shared_future<int>>(p->get_future());
        auto t = create_task([&] { f->wait(); });
        yield_now();
        f.reset();
        p.reset();
        t.get();
    });
}

TEST_CASE_METHOD(real_time, "future: plain threads and tasks of two loops give each other values") {
    for (int i = rounds(300); i > 0; --i) {
        promise<int> from_thread, from_loop;
        auto to_loop = from_thread.get_future();
        auto to_all = from_loop.get_future().share();
        std::atomic<int> sum{0};
        {
            thread plain([&] {
                from_thread.set_value(1);
                sum += to_all.get();
            });
            loop_thread first([&] { from_loop.set_value(to_loop.get() + 1); });
            loop_thread second([&] { sum += to_all.get(); });
        }
        REQUIRE(sum == 4);
    }
}

TEST_CASE_METHOD(real_time, "future: a cancel from another thread and a value: one of them wins, for everybody") {
    for (int i = rounds(1000); i > 0; --i) {
        promise<int> p;
        auto f = p.get_future().share();
        bool set = false, cancelled_it = false;
        {
            thread one([&] { set = p.set_value(1); });
            thread two([&, g = f]() mutable { cancelled_it = g.cancel(); });
        }
        REQUIRE(set != cancelled_it);
        REQUIRE(f.cancelled() == cancelled_it);
    }
}

TEST_CASE_METHOD(real_time, "future: who finds it done may destroy both ends while it is still being set") {
    for (int i = rounds(1000); i > 0; --i) {
        std::thread setter;
        bool right = false;
        {
            promise<int> p;
            auto f = p.get_future();
            setter = std::thread([&p] { p.set_value(7); });
            while (!f.done())
                std::this_thread::yield();
            right = f.get() == 7;
        }
        setter.join();
        REQUIRE(right);
    }
}

TEST_CASE_METHOD(real_time, "future: a plain thread's timed wait gives up") {
    promise<int> p;
    auto f = p.get_future();
    auto status = std::future_status::ready;
    thread([&] { status = f.wait_for(1ms); }).join();
    CHECK(status == std::future_status::timeout);
}
