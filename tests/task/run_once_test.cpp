// loop::fd and run_once: a loop embedded in another one, which is a poll(2) loop of the test's own.

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <stdexcept>
#include <system_error>
#include <thread>

#include <weft/socket.hpp>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

namespace {

/// The host: polls and, when told, makes one turn. Fails if run_once, asked because fd() was readable, has nothing to do more
/// often than may be: that would be a host that spins. What wakes it may be told of again, once, and on io_uring much later, when the
/// kernel has got round to it, together with what is told again of what came since.
struct host {
    bool readable(int timeout_ms = 0) {
        pollfd p{l.fd(), POLLIN, 0};
        return ::poll(&p, 1, timeout_ms) == 1;
    }
    /// Until nothing is left to do at once.
    void drain() {
        while (readable()) turn();
    }
    /// Until `done`; the host sleeps in poll for as long as it takes.
    template <class Done> void run_until(Done done) {
        while (!done()) {
            REQUIRE(readable(60'000));
            turn();
        }
    }
    void turn() {
        may_be_in_vain += l.run_once(0s) ? 2 : -1;
        REQUIRE(may_be_in_vain >= 0);
    }

    weft_test::leak_check leaks;
    int may_be_in_vain = 3;
    runner r;
    loop& l = r.get_loop();
};

}  // namespace

TEST_CASE("loop::fd: is readable while a callback is ready, and not when nothing is to be done") {
    host h;
    CHECK_FALSE(h.readable());
    bool called = false;
    h.l.call_soon([&] { called = true; });
    CHECK(h.readable());
    CHECK(h.readable());   // asking changes nothing
    CHECK_FALSE(called);
    CHECK(h.l.run_once(0s));
    CHECK(called);
    CHECK_FALSE(h.readable());
    CHECK_FALSE(h.l.run_once(0s));
    CHECK_FALSE(h.readable());
}

TEST_CASE("loop::fd: what was ready before it was first asked for counts") {
    host h;
    bool called = false;
    h.l.call_soon([&] { called = true; });
    CHECK(h.readable());
    h.drain();
    CHECK(called);
}

TEST_CASE("loop::fd: stays readable while tasks have more to do than one turn") {
    host h;
    int left = 5000;
    h.l.call_soon([&] {
        create_task([&] {
            while (--left > 0) yield_now();
        });
    });
    int runs = 0;
    while (left > 0) {
        REQUIRE(h.readable());
        h.l.run_once(0s);
        ++runs;
    }
    CHECK(runs > 10);   // a turn is bounded, however much is ready
    h.drain();
}

TEST_CASE("loop::fd: wakes the host for timers, in time and in order") {
    host h;
    notes log;
    const auto start = h.l.time();
    h.l.call_later(20ms, [&] { log.push_back("20"); });
    h.l.call_later(5ms, [&] { log.push_back("5"); });
    handle far = h.l.call_later(1h, [&] { log.push_back("hour"); });
    CHECK_FALSE(h.readable());
    h.run_until([&] { return log.size() == 2; });
    CHECK(log == notes{"5", "20"});
    CHECK(h.l.time() - start >= 20ms);
    CHECK_FALSE(h.readable());
}

TEST_CASE("loop::fd: a timer that is set while the loop does not run replaces a later one") {
    host h;
    bool called = false;
    h.l.call_later(1h, [] {});
    h.drain();
    CHECK_FALSE(h.readable());
    h.l.call_later(1ms, [&] { called = true; });
    h.run_until([&] { return called; });
    h.l.call_at(h.l.time() - 1s, [&] { called = false; });   // due already
    CHECK(h.readable());
    h.drain();
    CHECK_FALSE(called);
}

TEST_CASE("loop::fd: wakes the host for tasks that sleep") {
    host h;
    bool ended = false;
    h.l.call_soon([&] {
        create_task([&] {
            for (int i = 0; i < 5; ++i) sleep(1ms);
            ended = true;
        });
    });
    h.run_until([&] { return ended; });
    CHECK_FALSE(h.readable());
}

TEST_CASE("loop::fd: wakes the host for what other threads bring") {
    host h;
    std::atomic<int> called{0};
    for (int round = 1; round <= 200; ++round) {
        std::thread other([&] { h.l.call_soon_threadsafe([&] { ++called; }); });
        h.run_until([&] { return called == round; });
        other.join();
    }
    h.drain();   // it comes to rest
}

TEST_CASE("loop::fd: wakes the host when another thread, or this one outside of the loop, cancels a task") {
    host h;
    for (const bool same_thread : {true, false}) {
        task<> waiting;
        h.l.call_soon([&] { waiting = create_task([] { sleep(1h); }); });
        h.drain();
        REQUIRE(waiting);
        CHECK_FALSE(waiting.done());
        if (same_thread) waiting.cancel();
        else std::thread([&] { waiting.cancel(); }).join();
        h.run_until([&] { return waiting.done(); });
        CHECK(waiting.cancelled());
    }
}

TEST_CASE("loop::fd: wakes the host for descriptors, of sockets and of readers") {
    host h;
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    {
        auto s = std::make_shared<weft::socket>(ends[0]);
        std::size_t got = 0;
        int told = 0;
        h.l.call_soon([&, s] {
            create_task([&, s] {
                std::byte buffer[10];
                got = s->recv(buffer);
            });
        });
        h.drain();
        CHECK_FALSE(h.readable());
        REQUIRE(::write(ends[1], "abc", 3) == 3);
        CHECK(h.readable());
        h.run_until([&] { return got == 3; });
        h.drain();
        h.l.add_reader(ends[1], [&] {
            ++told;
            char c;
            CHECK(::read(ends[1], &c, 1) == 1);
        });
        CHECK_FALSE(h.readable());
        REQUIRE(::write(s->native_handle(), "xy", 2) == 2);
        h.run_until([&] { return told == 2; });
        CHECK(h.l.remove_reader(ends[1]));
        h.drain();
        h.r.close();
    }
    ::close(ends[1]);
}

TEST_CASE("loop::fd: wakes the host for an eventfd each time that it is written") {
    host h;
    const int bell = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    REQUIRE(bell >= 0);
    int seen = 0;
    const auto take = [&] {
        eventfd_t count = 0;
        if (::eventfd_read(bell, &count) == 0) ++seen;
    };
    h.l.add_reader(bell, take);
    h.drain();
    for (int i = 1; i <= 5; ++i) {
        ::eventfd_write(bell, 1);
        h.run_until([&] { return seen == i; });
        h.drain();
    }
    h.l.remove_reader(bell);
    h.drain();
    ::close(bell);
}

TEST_CASE("run_once: waits as long as it is told for something to do, and no longer") {
    host h;
    const auto start = std::chrono::steady_clock::now();
    CHECK_FALSE(h.l.run_once(20ms));
    CHECK(std::chrono::steady_clock::now() - start >= 20ms);
    bool called = false;
    h.l.call_later(1ms, [&] { called = true; });
    CHECK(h.l.run_once(1h));   // until the timer is due, then runs it
    CHECK(called);
    std::atomic<bool> other_called{false};
    std::thread other([&] { h.l.call_soon_threadsafe([&] { other_called = true; }); });
    while (!other_called) h.l.run_once(1h);
    other.join();
    CHECK_FALSE(h.l.run_once(-1s));
}

TEST_CASE_METHOD(fixture, "run_once: works without fd, one turn at a time, on the virtual clock, too") {
    runner r;
    loop& l = r.get_loop();
    notes log;
    l.call_soon([&] {
        log.push_back("a");
        l.call_soon([&] { log.push_back("b"); });
    });
    l.call_later(1h, [&] { log.push_back("hour"); });
    while (l.run_once(0s)) {}
    CHECK(log == notes{"a", "b"});
    CHECK(l.run_once(2h));
    CHECK(log == notes{"a", "b", "hour"});
    CHECK_FALSE(l.run_once(1s));
    CHECK_FALSE(l.is_running());
}

TEST_CASE("run_once: a callback that throws is reported; the host is not touched") {
    host h;
    std::string told;
    h.l.set_exception_handler([&](loop&, const exception_context& c) { told = c.message; });
    h.l.call_soon([] { throw std::runtime_error("broken"); });
    CHECK(h.l.run_once(0s));
    CHECK(told == "a callback threw");
}

TEST_CASE("run_once: a stop in it is spent with it") {
    host h;
    h.l.call_soon([&] { h.l.stop(); });
    CHECK(h.l.run_once(0s));
    bool later = false;
    h.l.call_later(1ms, [&] {
        later = true;
        h.l.stop();
    });
    h.l.run_forever();
    CHECK(later);
}

TEST_CASE("loop::fd: run and run_once may take turns") {
    host h;
    bool called = false;
    CHECK_FALSE(h.readable());
    CHECK(h.r.run([] {
        sleep(1ms);
        return 5;
    }) == 5);
    CHECK_FALSE(h.readable());
    h.l.call_soon_threadsafe([&] { called = true; });
    CHECK(h.readable());
    h.drain();
    CHECK(called);
    h.r.run([&] { CHECK(h.l.fd() == h.l.fd()); });
}

TEST_CASE("loop::fd: one loop inside another, on the same thread") {
    weft_test::leak_check leaks;
    runner inner_runner;
    loop& inner = inner_runner.get_loop();
    int ticks = 0;
    std::function<void()> tick = [&] {
        if (++ticks < 5) inner.call_later(1ms, tick);
    };
    inner.call_soon(tick);
    // The host is a plain one here: a loop of weft's cannot run inside a callback of another one of this thread.
    while (ticks < 5) {
        pollfd p{inner.fd(), POLLIN, 0};
        REQUIRE(::poll(&p, 1, 60'000) == 1);
        inner.run_once(0s);
    }
    run([&] { CHECK(throws<std::logic_error>([&] { inner.run_once(0s); })); });
    CHECK(ticks == 5);
}
