// Exceptions that nobody took: who is told of them, and what counts as taking.

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <stdexcept>

#include <weft/gather.hpp>
#include <weft/task_group.hpp>
#include <weft/timeout.hpp>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

namespace {

const std::string never = "task exception was never retrieved";

[[noreturn]] void fail() {
    throw std::runtime_error("lost");
}

/// What is written to standard error while it lives.
class captured_errors {
public:
    captured_errors() : file_(std::tmpfile()), saved_(::dup(2)) { ::dup2(::fileno(file_), 2); }
    ~captured_errors() {
        restore();
        std::fclose(file_);
    }
    captured_errors(const captured_errors&) = delete;
    captured_errors& operator=(const captured_errors&) = delete;

    std::string text() {
        restore();
        std::string all(static_cast<std::size_t>(::lseek(::fileno(file_), 0, SEEK_END)), ' ');
        [[maybe_unused]] auto got = ::pread(::fileno(file_), all.data(), all.size(), 0);
        return all;
    }

private:
    void restore() {
        if (saved_ < 0)
            return;
        ::dup2(saved_, 2);
        ::close(std::exchange(saved_, -1));
    }
    std::FILE* file_;
    int saved_;
};

/// How many reports come when `use` is given a task that has failed, or will.
template <class F> std::size_t reports_after(F use) {
    reports told;
    run([&] {
        told.install();
        {
            task<> t = create_task(fail);
            use(t);
        }
        sleep(1s);
    });
    for (const auto& r : told.seen)
        CHECK(r.message == never);
    return told.seen.size();
}

}  // namespace

TEST_CASE_METHOD(fixture, "an exception nobody took is reported when the last handle dies") {
    reports told;
    run([&] {
        told.install();
        auto t = create_task(fail);
        const std::uint64_t id = t.id();
        task_handle last = t;
        t = {};
        sleep(1s);
        CHECK(told.seen.empty());
        last = {};
        sleep(1s);
        REQUIRE(told.seen.size() == 1);
        CHECK(told.seen[0].message == never);
        CHECK(told.seen[0].exception == "lost");
        CHECK(told.seen[0].task == id);
    });
    CHECK(told.seen.size() == 1);
}

TEST_CASE_METHOD(fixture, "an exception of a detached task is reported when the task ends") {
    reports told;
    run([&] {
        told.install();
        create_task(fail);
        turns(3);
        CHECK(told.seen.size() == 1);
    });
}

TEST_CASE_METHOD(fixture, "join, wait and done callbacks do not take the exception") {
    CHECK(reports_after([](task<>&) {}) == 1);
    CHECK(reports_after([](task<>& t) { t.join(); }) == 1);
    CHECK(reports_after([](task<>& t) { wait({t}); }) == 1);
    CHECK(reports_after([](task<>& t) {
              t.add_done_callback([](const task_handle&) {});
              t.join();
          }) == 1);
    CHECK(reports_after([](task<>& t) {
              t.join();
              static_cast<void>(t.done() && t.cancelled());
          }) == 1);
}

TEST_CASE_METHOD(fixture, "get takes the exception") {
    CHECK(reports_after([](task<>& t) { CHECK_THROWS(t.get()); }) == 0);
    CHECK(reports_after([](task<>& t) { CHECK_THROWS(std::move(t).get()); }) == 0);
}

TEST_CASE_METHOD(fixture, "result takes the exception") {
    CHECK(reports_after([](task<>& t) {
              t.join();
              CHECK_THROWS(t.result());
          }) == 0);
}

TEST_CASE_METHOD(fixture, "exception takes the exception, also in a done callback") {
    CHECK(reports_after([](task<>& t) {
              t.join();
              CHECK(t.exception());
          }) == 0);
    CHECK(reports_after([](task<>& t) {
              t.add_done_callback([](const task_handle& done) { CHECK(done.exception()); });
              t.join();
          }) == 0);
}

TEST_CASE_METHOD(fixture, "asking for the exception too early does not take it") {
    CHECK(reports_after([](task<>& t) {
              CHECK_THROWS_AS(t.exception(), invalid_state);
              CHECK_THROWS_AS(t.result(), invalid_state);
          }) == 1);
}

TEST_CASE_METHOD(fixture, "gather takes the exceptions of all its tasks, also those it did not throw") {
    CHECK(reports_after([](task<>& t) { CHECK_THROWS(gather(t)); }) == 0);
    CHECK(reports_after([](task<>& t) { gather(return_exceptions, t); }) == 0);
    CHECK(reports_after([](task<>& t) {
              auto later = create_task([] {
                  sleep(1ms);
                  throw std::runtime_error("second");
              });
              CHECK_THROWS(gather(t, later));
              later.join();
          }) == 0);
}

TEST_CASE_METHOD(fixture, "wait_for takes the exception") {
    CHECK(reports_after([](task<>& t) { CHECK_THROWS_AS(wait_for(t, 1s), std::runtime_error); }) == 0);
}

TEST_CASE_METHOD(fixture, "shield takes the exception") {
    CHECK(reports_after([](task<>& t) { CHECK_THROWS_AS(shield(t), std::runtime_error); }) == 0);
}

TEST_CASE_METHOD(fixture, "a shield that is cancelled before the task fails does not take the exception") {
    CHECK(reports_after([](task<>&) {
              auto failing = create_task([] {
                  sleep(1ms);
                  throw std::runtime_error("unheard");
              });
              auto waiter = create_task([&] { shield(failing); });
              yield_now();
              waiter.cancel();
              waiter.join();
              wait({failing});
          }) == 2);
}

TEST_CASE_METHOD(fixture, "as_completed takes the exception") {
    CHECK(reports_after([](task<>& t) {
              for (auto& done : as_completed({t}))
                  CHECK(done == t);
          }) == 0);
}

TEST_CASE_METHOD(fixture, "a task group takes its children's exceptions") {
    reports told;
    run([&] {
        told.install();
        CHECK_THROWS_AS(with_task_group([](task_group& group) {
                            group.create_task(fail);
                            group.create_task(fail);
                        }),
                        exception_group);
        sleep(1s);
    });
    CHECK(told.seen.empty());
}

TEST_CASE_METHOD(fixture, "run takes the main task's exception") {
    captured_errors errors;
    CHECK_THROWS(run(fail));
    CHECK(errors.text().empty());
}

TEST_CASE_METHOD(fixture, "a task that ended cancelled is not reported") {
    reports told;
    run([&] {
        told.install();
        create_task([] { throw cancelled("quietly"); });
        create_task(park).cancel();
        sleep(1s);
    });
    CHECK(told.seen.empty());
}

TEST_CASE_METHOD(fixture,
                 "an exception is reported by the task's own loop when the last handle dies elsewhere") {
    reports told;
    run([&] {
        told.install();
        auto t = create_task(fail);
        t.join();
        std::thread([last = std::move(t)]() mutable { last = {}; }).join();
        sleep(1s);
        CHECK(told.seen.size() == 1);
    });
}

TEST_CASE_METHOD(fixture, "an exception nobody took is printed at once if the task's loop is closed") {
    captured_errors errors;
    {
        task<> t;
        run([&] {
            t = create_task({.name = "forgotten"}, fail);
            t.join();
        });
    }
    const std::string text = errors.text();
    CHECK(text.find(never) != std::string::npos);
    CHECK(text.find("lost") != std::string::npos);
    CHECK(text.find("forgotten") != std::string::npos);
}

TEST_CASE_METHOD(fixture,
                 "an exception that only a callback knew of is printed when the loop closes and drops it") {
    captured_errors errors;
    reports told;
    run([&] {
        told.install();
        auto t = create_task(fail);
        t.join();
        get_running_loop().call_later(1h, [t = std::move(t)] { FAIL_CHECK("called"); });
    });
    CHECK(told.seen.empty());
    CHECK(errors.text().find(never) != std::string::npos);
}

TEST_CASE_METHOD(fixture, "an exception that a task keeps alive is reported when that task is gone") {
    reports told;
    run([&] {
        told.install();
        auto t = create_task(fail);
        create_task([t = std::move(t)] { park(); });
        turns(2);
    });
    REQUIRE(told.seen.size() == 1);
    CHECK(told.seen[0].message == never);
}

TEST_CASE_METHOD(fixture,
                 "without an exception handler an exception nobody took is printed on standard error") {
    captured_errors errors;
    run([] {
        create_task(fail);
        turns(3);
    });
    const std::string text = errors.text();
    CHECK(text.find(never) != std::string::npos);
    CHECK(text.find("lost") != std::string::npos);
}

TEST_CASE_METHOD(fixture, "an exception handler may throw: that is printed, and the loop goes on") {
    captured_errors errors;
    const int result = run([] {
        get_running_loop().set_exception_handler(
            [](loop&, const exception_context&) { throw std::runtime_error("handler"); });
        create_task(fail);
        sleep(1s);
        return 6;
    });
    CHECK(result == 6);
    const std::string text = errors.text();
    CHECK(text.find("lost") != std::string::npos);
    CHECK(text.find("handler") != std::string::npos);
}

TEST_CASE_METHOD(fixture,
                 "an exception handler may take the exception's handle, start tasks, and replace itself") {
    int calls = 0;
    run([&] {
        get_running_loop().set_exception_handler([&](loop& l, const exception_context& c) {
            ++calls;
            CHECK(c.task.done());
            create_task([&] { ++calls; });
            l.set_exception_handler([&](loop&, const exception_context&) { calls += 100; });
        });
        create_task(fail);
        sleep(1s);
        CHECK(calls == 2);
        create_task(fail);
        sleep(1s);
        CHECK(calls == 102);
    });
}
