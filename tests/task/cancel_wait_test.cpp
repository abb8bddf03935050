// Cancellation of those who wait for other tasks, and cancellation while the fiber unwinds.

#include <stdexcept>

#include <weft/cancellation.hpp>
#include <weft/gather.hpp>
#include <weft/timeout.hpp>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

TEST_CASE_METHOD(fixture, "get: forwards a cancellation, waits for the end, then throws cancelled") {
    run([] {
        notes log;
        auto work = create_task([&] {
            try {
                park();
            } catch (const cancelled& c) {
                log.push_back("work: " + c.message());
                sleep(1s);
                log.push_back("work ends");
                throw;
            }
        });
        auto waiter = create_task([&] { log.push_back("waiter: " + thrown_by([&] { work.get(); })); });
        turns(2);
        waiter.cancel("stop");
        waiter.join();
        CHECK(log == notes{"work: stop", "work ends", "waiter: stop"});
        CHECK(work.cancelled());
    });
}

TEST_CASE_METHOD(fixture, "get: forwards a request that was pending before the call") {
    run([] {
        auto work = create_task(park);
        yield_now();
        current_task().cancel("early");
        CHECK(thrown_by([&] { work.get(); }) == "early");
        CHECK(work.cancelled());
    });
}

TEST_CASE_METHOD(fixture,
                 "get: throws cancelled also if the awaited task swallowed the request and returned") {
    run([] {
        auto work = create_task([] {
            CHECK_THROWS_AS(park(), cancelled);
            return 9;
        });
        auto waiter = create_task([&] { return work.get(); });
        turns(2);
        waiter.cancel();
        waiter.join();
        CHECK(waiter.cancelled());
        CHECK(work.get() == 9);
    });
}

TEST_CASE_METHOD(fixture, "get: forwards each of several requests") {
    run([] {
        notes log;
        auto work = create_task([&] {
            for (int i = 0; i < 2; ++i)
                log.push_back(thrown_by(park));
        });
        auto waiter = create_task([&] { work.get(); });
        turns(2);
        waiter.cancel("first");
        turns(3);
        CHECK_FALSE(waiter.done());
        waiter.cancel("second");
        waiter.join();
        CHECK(log == notes{"first", "second"});
        CHECK(reports::text(waiter.exception()) == "cancelled: second");
    });
}

TEST_CASE_METHOD(fixture, "get: a task cancelled by one of its waiters is cancelled for all") {
    run([] {
        auto work = create_task(park);
        auto one = create_task([&] { work.get(); });
        auto two = create_task([&] { work.get(); });
        turns(2);
        one.cancel();
        two.join();
        CHECK(two.cancelled());
        CHECK(two.cancelling() == 0);
    });
}

TEST_CASE_METHOD(fixture, "get: who forwards a request keeps its place among those who wait") {
    run([] {
        notes log;
        auto work = create_task([] {
            CHECK_THROWS_AS(park(), cancelled);
            CHECK_THROWS_AS(park(), cancelled);
        });
        auto first = create_task([&] { log.push_back("first: " + thrown_by([&] { work.get(); })); });
        auto second = create_task([&] {
            work.join();
            log.push_back("second");
        });
        turns(2);
        first.cancel("one");
        turns(2);
        first.cancel("two");
        gather(first, second);
        CHECK(log == notes{"first: two", "second"});
    });
}

TEST_CASE_METHOD(fixture, "get: through a chain of tasks forwards to the end of the chain") {
    run([] {
        notes log;
        auto end = create_task([&] { log.push_back(thrown_by(park)); });
        task<> chain = end;
        for (int i = 0; i < 5; ++i)
            chain = create_task([last = chain] { last.get(); });
        turns(7);
        chain.cancel("down");
        chain.join();
        CHECK(log == notes{"down"});
        CHECK(chain.cancelled());
        CHECK_FALSE(end.cancelled());
    });
}

TEST_CASE_METHOD(fixture, "join: does not forward a cancellation") {
    run([] {
        auto work = create_task(park);
        auto waiter = create_task([&] { work.join(); });
        turns(2);
        waiter.cancel("only you");
        waiter.join();
        CHECK(waiter.cancelled());
        CHECK_FALSE(work.done());
        CHECK(work.cancelling() == 0);
    });
}

TEST_CASE_METHOD(fixture, "the end of a cancelled task is no cancellation of those who get it") {
    run([] {
        auto work = create_task(park);
        yield_now();
        work.cancel("the work");
        CHECK(thrown_by([&] { work.get(); }) == "the work");
        CHECK(current_task().cancelling() == 0);
        yield_now();
    });
}

TEST_CASE_METHOD(fixture,
                 "unwinding: destructors that block are not cancelled again, a new request stays pending") {
    run([] {
        notes log;
        auto t = create_task([&] {
            try {
                at_exit cleanup{[&] {
                    sleep(1s);
                    log.push_back("slept");
                    yield_now();
                    create_task([] { sleep(1s); }).join();
                    log.push_back("joined");
                }};
                park();
            } catch (const cancelled& c) {
                log.push_back(c.message());
            }
            log.push_back(thrown_by(yield_now));
        });
        yield_now();
        t.cancel("first");
        turns(2);
        t.cancel("second");
        t.get();
        CHECK(log == notes{"slept", "joined", "first", "second"});
    });
}

TEST_CASE_METHOD(fixture, "unwinding: by another exception holds a cancellation back, too") {
    run([] {
        notes log;
        auto t = create_task([&] {
            try {
                at_exit cleanup{[&] {
                    sleep(1s);
                    log.push_back("slept");
                }};
                throw std::runtime_error("failed");
            } catch (const std::runtime_error& e) {
                log.push_back(e.what());
                // A catch block is not unwinding.
                log.push_back(thrown_by(yield_now));
            }
        });
        yield_now();
        t.cancel("came meanwhile");
        t.get();
        CHECK(log == notes{"slept", "failed", "came meanwhile"});
    });
}

TEST_CASE_METHOD(fixture, "unwinding: get in a destructor waits, and forwards nothing") {
    run([] {
        auto work = create_task([] {
            sleep(1s);
            return 4;
        });
        int got = 0;
        auto t = create_task([&] {
            at_exit cleanup{[&] { got = work.get(); }};
            throw std::runtime_error("failed");
        });
        yield_now();
        t.cancel();
        CHECK_THROWS_AS(t.get(), std::runtime_error);
        CHECK(got == 4);
    });
}

TEST_CASE_METHOD(fixture, "unwinding: a timeout inside a destructor works") {
    run([] {
        notes log;
        auto t = create_task([&] {
            at_exit cleanup{[&] {
                log.push_back(thrown_by<timeout_error>([] { timeout(1s, park); }) == "nothing" ? "finished"
                                                                                               : "timed out");
                log.push_back(move_on_after(1s, park) ? "finished" : "moved on");
            }};
            park();
        });
        yield_now();
        t.cancel("first");
        turns(2);
        t.cancel("held back");
        t.join();
        CHECK(log == notes{"timed out", "moved on"});
        CHECK(t.cancelled());
    });
}

TEST_CASE_METHOD(fixture,
                 "unwinding: an outer deadline that passes meanwhile is not delivered in the destructor") {
    run([] {
        bool slept = false;
        const auto body = [&] {
            at_exit cleanup{[&] {
                sleep(1h);
                slept = true;
            }};
            throw std::out_of_range("from the body");
        };
        CHECK_THROWS_AS(timeout(1s, body), std::out_of_range);
        CHECK(slept);
        yield_now();
    });
}

TEST_CASE_METHOD(fixture,
                 "a catch block that blocks is cancelled like any code, and its exception gives way") {
    run([] {
        auto t = create_task([] {
            try {
                throw std::runtime_error("handled");
            } catch (const std::runtime_error&) {
                park();
            }
        });
        yield_now();
        t.cancel("in the handler");
        t.join();
        CHECK(reports::text(t.exception()) == "cancelled: in the handler");
    });
}

TEST_CASE_METHOD(fixture, "a catch block for cancelled may block, and throw; goes on with the cancellation") {
    run([] {
        auto t = create_task([] {
            try {
                park();
            } catch (const cancelled&) {
                sleep(1s);
                create_task([] { CHECK(throws<int>([] { throw 1; })); }).join();
                throw;
            }
        });
        yield_now();
        t.cancel("kept");
        t.join();
        CHECK(t.cancelled());
        CHECK(reports::text(t.exception()) == "cancelled: kept");
    });
}

TEST_CASE_METHOD(fixture, "a destructor that blocks outside unwinding is protected by uncancellable") {
    run([] {
        bool slept = false, after = false;
        auto t = create_task([&] {
            {
                at_exit cleanup{[&] {
                    uncancellable([&] { sleep(1s); });
                    slept = true;
                }};
            }
            yield_now();
            after = true;
        });
        yield_now();
        t.cancel();
        t.join();
        CHECK(slept);
        CHECK_FALSE(after);
        CHECK(t.cancelled());
    });
}
