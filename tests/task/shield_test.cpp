// <weft/gather.hpp>: shield.

#include <memory>
#include <stdexcept>

#include <weft/gather.hpp>
#include <weft/timeout.hpp>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

TEST_CASE_METHOD(fixture, "shield: gives the task's result or exception") {
    run([] {
        CHECK(shield(create_task([] { return 1; })) == 1);
        shield(create_task([] { sleep(1s); }));
        int x = 0;
        CHECK(&shield(create_task([&]() -> int& { return x; })) == &x);
        CHECK(*shield(create_task([] { return std::make_unique<int>(2); })) == 2);
        CHECK_THROWS_AS(shield(create_task([] { throw std::out_of_range("x"); })), std::out_of_range);
    });
}

TEST_CASE_METHOD(fixture, "shield: moves the result of the last handle, copies otherwise") {
    run([] {
        CHECK(shield(create_task([] { return counted(1); })).value == 1);
        CHECK(counted::copies == 0);
        auto t = create_task([] { return counted(2); });
        CHECK(shield(t).value == 2);
        CHECK(counted::copies == 1);
    });
}

TEST_CASE_METHOD(fixture,
                 "shield: cancelling the waiter leaves the task alone, and the waiter leaves at once") {
    run([] {
        const auto start = get_running_loop().time();
        auto work = create_task([] {
            sleep(1h);
            return 3;
        });
        auto waiter = create_task([&] { shield(work); });
        turns(2);
        waiter.cancel("only you");
        waiter.join();
        CHECK(get_running_loop().time() == start);
        CHECK(reports::text(waiter.exception()) == "cancelled: only you");
        CHECK(work.cancelling() == 0);
        CHECK(work.get() == 3);
    });
}

TEST_CASE_METHOD(fixture,
                 "shield: a task cancelled by others throws cancelled, and the waiter is not cancelled") {
    run([] {
        auto work = create_task(park);
        create_task([work] { work.cancel("by others"); });
        CHECK(thrown_by([&] { shield(work); }) == "by others");
        CHECK(current_task().cancelling() == 0);
        yield_now();
    });
}

TEST_CASE_METHOD(fixture, "shield: in a timeout the deadline ends the waiting, not the task") {
    run([] {
        auto work = create_task([] {
            sleep(5s);
            return 4;
        });
        CHECK_THROWS_AS(timeout(1s, [&] { return shield(work); }), timeout_error);
        CHECK_FALSE(work.done());
        CHECK(work.get() == 4);
    });
}

TEST_CASE_METHOD(fixture, "shield: of a done task does not check") {
    run([] {
        auto work = create_task([] { return 5; });
        work.join();
        current_task().cancel("pending");
        CHECK(shield(work) == 5);
        CHECK(thrown_by(yield_now) == "pending");
    });
}

TEST_CASE_METHOD(fixture, "shield: of oneself throws logic_error") {
    run([] {
        task<> t;
        t = create_task([&] { shield(t); });
        CHECK_THROWS_AS(t.get(), std::logic_error);
    });
}
