// <weft/barrier.hpp>

#include <set>

#include "sync/fixture.hpp"

using namespace sync_test;

namespace {

/// What a wait came to: the number, or -1 for a broken barrier.
std::ptrdiff_t number_of(barrier& b) {
    try {
        return b.wait();
    } catch (const broken_barrier&) {
        return -1;
    }
}

}  // namespace

TEST_CASE_METHOD(fixture, "barrier: with one party nobody waits") {
    bool other_ran = false;  // here: the task may begin when run's function has returned
    run([&] {
        barrier b(1);
        create_task([&] { other_ran = true; });
        CHECK(b.wait() == 0);
        CHECK(b.wait() == 0);
        CHECK(b.parties() == 1);
        CHECK_FALSE(other_ran);
    });
}

TEST_CASE_METHOD(fixture, "barrier: all wait for the last one, and each gets its number, round after round") {
    run([] {
        barrier b(3);
        for (int round = 0; round < 3; ++round) {
            auto first = create_task([&] { return b.wait(); });
            auto second = create_task([&] { return b.wait(); });
            yield_now();
            CHECK(b.n_waiting() == 2);
            CHECK_FALSE(first.done());
            CHECK(b.wait() == 2);
            CHECK(b.n_waiting() == 0);   // the next round can begin before they have run
            CHECK(first.get() == 0);
            CHECK(second.get() == 1);
        }
    });
}

TEST_CASE_METHOD(fixture, "barrier: those who wait go on in the order in which they came") {
    notes log;
    run([&] {
        barrier b(4);
        for (const char* name : {"a", "b", "c"})
            create_task([&, name] {
                b.wait();
                log.push_back(name);
            });
        yield_now();
        b.wait();
        log.push_back("last");
        yield_now();
    });
    CHECK(log == notes{"last", "a", "b", "c"});
}

TEST_CASE_METHOD(fixture, "barrier: a cancelled waiter leaves without breaking it, and no longer counts") {
    run([] {
        barrier b(3);
        auto stays = create_task([&] { return b.wait(); });
        auto leaves = create_task([&] { return b.wait(); });
        yield_now();
        leaves.cancel();
        leaves.join();
        CHECK(leaves.cancelled());
        CHECK_FALSE(b.broken());
        CHECK(b.n_waiting() == 1);
        auto comes = create_task([&] { return b.wait(); });
        yield_now();
        CHECK_FALSE(stays.done());
        CHECK(b.wait() == 2);
        CHECK(stays.get() == 0);
        CHECK(comes.get() == 1);
    });
}

TEST_CASE_METHOD(fixture, "barrier: cancelled, then the last party comes in the same turn: one is missing") {
    run([] {
        for (const std::size_t who : {0, 1, 2}) {   // wherever it stands in the queue
            barrier b(4);
            std::vector<task<std::ptrdiff_t>> waiting;
            for (int i = 0; i < 3; ++i) waiting.push_back(create_task([&] { return b.wait(); }));
            yield_now();
            waiting[who].cancel();
            CHECK(b.n_waiting() == 2);
            auto last = create_task([&] { return b.wait(); });
            turns(3);
            CHECK(waiting[who].cancelled());
            CHECK_FALSE(last.done());
            CHECK(b.wait() == 3);
            CHECK(last.get() == 2);
            for (std::size_t i = 0; i < 3; ++i) {
                if (i != who) CHECK(waiting[i].get() == (i < who ? static_cast<int>(i) : static_cast<int>(i) - 1));
            }
        }
    });
}

TEST_CASE_METHOD(fixture, "barrier: the last party comes, then one is cancelled in the same turn: the others go on") {
    run([] {
        barrier b(3);
        auto stays = create_task([&] { return b.wait(); });
        auto leaves = create_task([&] { return b.wait(); });
        yield_now();
        CHECK(b.wait() == 2);
        leaves.cancel();
        leaves.join();
        CHECK(leaves.cancelled());
        CHECK(stays.get() == 0);
        CHECK(b.n_waiting() == 0);
        CHECK_FALSE(b.broken());
    });
}

TEST_CASE_METHOD(fixture, "barrier: abort breaks it for those who wait and those who come, until it is reset") {
    run([] {
        barrier b(2);
        auto waits = create_task([&] { return number_of(b); });
        yield_now();
        b.abort();
        CHECK(b.broken());
        CHECK(waits.get() == -1);
        CHECK(number_of(b) == -1);
        b.reset();
        CHECK_FALSE(b.broken());
        auto again = create_task([&] { return number_of(b); });
        yield_now();
        CHECK(number_of(b) == 1);
        CHECK(again.get() == 0);
    });
}

TEST_CASE_METHOD(fixture, "barrier: reset breaks it only for those who wait") {
    run([] {
        barrier b(2);
        auto waits = create_task([&] { return number_of(b); });
        yield_now();
        b.reset();
        auto comes = create_task([&] { return number_of(b); });
        CHECK(waits.get() == -1);
        CHECK_FALSE(b.broken());
        CHECK(number_of(b) == 1);
        CHECK(comes.get() == 0);
    });
}

TEST_CASE_METHOD(fixture, "barrier: aborted and cancelled in the same turn, in both orders: the cancellation wins") {
    run([] {
        barrier b(3);
        auto first = create_task([&] { return b.wait(); });
        auto second = create_task([&] { return b.wait(); });
        yield_now();
        first.cancel();
        b.abort();
        second.cancel();
        first.join();
        second.join();
        CHECK(first.cancelled());
        CHECK(second.cancelled());
    });
}

TEST_CASE_METHOD(fixture, "barrier: needs a party") {
    CHECK(throws<std::invalid_argument>([] { barrier b(0); }));
    CHECK(throws<std::invalid_argument>([] { barrier b(-1); }));
}

TEST_CASE_METHOD(fixture, "barrier: a loop callback may come last, and must not wait") {
    run([] {
        barrier b(2);
        in_callback([&] { CHECK(throws<no_running_task>([&] { b.wait(); })); });
        CHECK(b.n_waiting() == 0);
        auto t = create_task([&] { return b.wait(); });
        yield_now();
        in_callback([&] { CHECK(b.wait() == 1); });
        CHECK(t.get() == 0);
    });
}

TEST_CASE_METHOD(fixture, "barrier: a woken waiter may destroy it at once, while others that were woken have not run") {
    run([] {
        auto b = std::make_unique<barrier>(3);
        auto first = create_task([&] {
            b->wait();
            b.reset();
        });
        auto second = create_task([&, also = b.get()] { also->wait(); });
        yield_now();
        b->wait();
        first.get();
        second.get();
        CHECK_FALSE(b);
    });
}

TEST_CASE("barrier: destroying one that somebody waits for ends the program with a sentence") {
    const auto child = in_child([] {
        run([] {
            auto b = std::make_unique<barrier>(2);
            create_task([&] { b->wait(); });
            yield_now();
            b.reset();
        });
    });
    CHECK(child.died_of(SIGABRT));
    CHECK(child.said("a barrier is destroyed while somebody waits for it") == 1);
}

TEST_CASE_METHOD(real_time, "barrier: plain threads and tasks of two loops meet in every round") {
    barrier b(4);
    const int times = rounds(500);
    std::vector<std::atomic<int>> came(static_cast<std::size_t>(times)), numbers(static_cast<std::size_t>(times));
    std::atomic<bool> early{false};
    const auto meet = [&] {
        for (std::size_t i = 0; i < came.size(); ++i) {
            ++came[i];
            numbers[i] += 1 << b.wait();
            if (came[i] != 4) early = true;
        }
    };
    {
        loop_thread first(meet);
        loop_thread second([&] {
            auto t = create_task(meet);
            meet();
            t.get();
        });
        thread third(meet);
    }
    CHECK_FALSE(early);
    for (const auto& n : numbers) REQUIRE(n == 0b1111);
}
