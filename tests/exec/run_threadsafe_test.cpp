#include "exec/fixture.hpp"

namespace {

using namespace exec_test;

/// A loop on a thread of its own, until the end of the scope.
class other_loop {
public:
    other_loop() {
        std::promise<loop*> started;
        auto running = started.get_future();
        thread_ = std::thread([this, &started] {
            run([&] {
                started.set_value(&get_running_loop());
                over_.wait();
            });
        });
        loop_ = running.get();
    }
    ~other_loop() {
        over_.set();
        thread_.join();
    }
    operator loop&() const { return *loop_; }
    std::thread::id id() const { return thread_.get_id(); }

private:
    event over_;
    loop* loop_ = nullptr;
    std::thread thread_;
};

TEST_CASE_METHOD(threads_fixture, "run_threadsafe: runs as a task of the loop, and gives its value or exception") {
    other_loop there;
    CHECK(run_threadsafe(there, [] {
              current_task();
              sleep(1ns);
              return std::this_thread::get_id();
          }).get() == there.id());
    CHECK(*run_threadsafe(there, [](std::unique_ptr<int> p) { return p; }, std::make_unique<int>(4)).get() == 4);
    run_threadsafe(there, [] {}).get();
    static int place = 0;
    CHECK(&run_threadsafe(there, []() -> int& { return place; }).get() == &place);
    auto failing = run_threadsafe(there, [] { throw std::runtime_error("over there"); });
    CHECK(thrown_by<std::runtime_error>([&] { failing.get(); }) == "over there");
}

TEST_CASE_METHOD(threads_fixture, "run_threadsafe: a task of another loop suspends for the result") {
    other_loop there;
    run([&] {
        bool other_ran = false;
        blocking_job job;
        gather(
            [&] {
                auto result = run_threadsafe(there, std::ref(job));
                CHECK(result.get() == 7);
                CHECK(other_ran);
            },
            [&] {
                job.wait_begun();
                other_ran = true;
                job.let_end();
            });
    });
}

TEST_CASE_METHOD(threads_fixture, "run_threadsafe: on the calling thread's own loop it is a task, too") {
    run([] {
        auto result = run_threadsafe(get_running_loop(), [] { return 6; });
        CHECK_FALSE(result.done());
        CHECK(result.get() == 6);
    });
}

TEST_CASE_METHOD(threads_fixture, "run_threadsafe: cancel() of the future reaches the task") {
    other_loop there;
    std::promise<void> waiting;
    std::promise<bool> ended;
    auto result = run_threadsafe(there, [&, object = counted()] {
        try {
            waiting.set_value();
            park();
        } catch (const cancelled&) {
            ended.set_value(true);
            throw;
        }
        ended.set_value(false);
    });
    waiting.get_future().get();
    CHECK(result.cancel("from here"));
    CHECK(result.cancelled());
    CHECK(thrown_by([&] { result.get(); }) == "from here");
    CHECK(ended.get_future().get());
    CHECK_FALSE(result.valid());
}

TEST_CASE_METHOD(threads_fixture, "run_threadsafe: cancelled before it begins, the function is never called") {
    run([] {
        bool ran = false;
        auto early = run_threadsafe(get_running_loop(), [&, object = counted()] { ran = true; });
        early.cancel();
        auto between = run_threadsafe(get_running_loop(), [&, object = counted()] { ran = true; });
        get_running_loop().call_soon_threadsafe([&] { between.cancel(); });   // the task is made, and has not begun
        until([] { return counted::live == 0; });
        CHECK(early.cancelled());
        CHECK(between.cancelled());
        CHECK_FALSE(ran);
    });
}

TEST_CASE_METHOD(threads_fixture, "run_threadsafe: cancel() after the end does nothing") {
    other_loop there;
    auto result = run_threadsafe(there, [] { return 1; });
    result.wait();
    CHECK_FALSE(result.cancel());
    CHECK(result.get() == 1);
}

TEST_CASE_METHOD(threads_fixture, "run_threadsafe: cancel() races with the end, again and again") {
    other_loop there;
    for (int i = 0; i < rounds(2000); ++i) {
        auto result = run_threadsafe(there, [object = counted(), i] {
            if (i % 3) yield_now();
            return 1;
        });
        for (int k = i % 5; k > 0; --k) std::this_thread::yield();
        if (result.cancel()) CHECK(throws<cancelled>([&] { result.get(); }));
        else CHECK(result.get() == 1);
    }
    until([] { return counted::live == 0; });
}

TEST_CASE_METHOD(threads_fixture, "run_threadsafe: a task that ends cancelled makes the future cancelled") {
    other_loop there;
    auto result = run_threadsafe(there, [] { throw cancelled("of itself"); });
    CHECK(thrown_by([&] { result.get(); }) == "of itself");
}

TEST_CASE_METHOD(threads_fixture, "run_threadsafe: a loop that ends cancels the calls that run and those not begun") {
    future<void> running, never;
    {
        runner r;
        r.run([&] {
            std::atomic<bool> begun{false};
            running = run_threadsafe(get_running_loop(), [&begun, object = counted()] {
                begun = true;
                park();
            });
            until([&] { return begun.load(); });
        });
        never = run_threadsafe(r.get_loop(), [object = counted()] { park(); });
    }
    CHECK(throws<cancelled>([&] { running.get(); }));
    CHECK(throws<cancelled>([&] { never.get(); }));
}

TEST_CASE_METHOD(threads_fixture, "run_threadsafe: a closed loop refuses") {
    runner r;
    loop& l = r.get_loop();
    r.close();
    CHECK(throws<invalid_state>([&] { run_threadsafe(l, [] {}); }));
}

TEST_CASE_METHOD(threads_fixture, "run_threadsafe: dropping the future lets the task run on") {
    other_loop there;
    std::promise<void> go;
    std::promise<int> ran;
    run_threadsafe(there, [&] {
        sleep(1ns);
        ran.set_value(1);
    });
    CHECK(ran.get_future().get() == 1);
}

TEST_CASE_METHOD(threads_fixture, "run_threadsafe: many threads call into one loop") {
    other_loop there;
    int sum = 0;   // only the loop's thread touches it
    {
        std::vector<thread> callers;
        for (int i = 0; i < 4; ++i)
            callers.emplace_back([&] {
                for (int k = 0; k < rounds(1000); ++k) run_threadsafe(there, [&] { ++sum; }).get();
            });
    }
    CHECK(run_threadsafe(there, [&] { return sum; }).get() == 4 * rounds(1000));
}

}  // namespace
