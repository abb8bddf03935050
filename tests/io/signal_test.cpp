#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <thread>

#include <weft/signal.hpp>
#include <weft/timeout.hpp>

#include "fixture.hpp"
#include "rounds.hpp"

using namespace io_test;
using weft::signal_set;

namespace {

void (*handler_of(int signo))(int) {
    struct sigaction now{};
    ::sigaction(signo, nullptr, &now);
    return now.sa_handler;
}

/// All of them: leak_check does not count eventfds, of which each set has one.
std::size_t all_descriptors() {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
    return count;
}

}  // namespace

TEST_CASE("signal_set: wait returns the signal that came") {
    leak_check leaks;
    weft::run([] {
        signal_set set{SIGUSR1, SIGUSR2};
        auto waiting = start([&] { return set.wait(); });
        CHECK_FALSE(waiting.done());
        ::raise(SIGUSR2);
        CHECK(waiting.get() == SIGUSR2);
        auto again = start([&] { return set.wait(); });
        CHECK_FALSE(again.done());   // it was taken
        ::raise(SIGUSR1);
        CHECK(again.get() == SIGUSR1);
    });
}

TEST_CASE("signal_set: what comes before the wait is kept, each signal once, the lowest first") {
    leak_check leaks;
    weft::run([] {
        signal_set set{SIGUSR1, SIGUSR2, SIGRTMAX};
        for (int signo : {SIGRTMAX, SIGUSR2, SIGUSR1, SIGUSR2}) ::raise(signo);
        CHECK(set.wait() == SIGUSR1);
        CHECK(set.wait() == SIGUSR2);
        CHECK(set.wait() == SIGRTMAX);
        auto waiting = start([&] { return set.wait(); });
        turns(3);
        CHECK_FALSE(waiting.done());
        ::raise(SIGUSR1);
        CHECK(waiting.get() == SIGUSR1);
    });
}

TEST_CASE("signal_set: every set gets the signal, and only those that want it") {
    leak_check leaks;
    weft::run([] {
        signal_set a{SIGUSR1}, b{SIGUSR1, SIGUSR2}, c{SIGUSR2};
        auto in_c = start([&] { return c.wait(); });
        ::raise(SIGUSR1);
        CHECK(a.wait() == SIGUSR1);
        CHECK(b.wait() == SIGUSR1);
        turns(3);
        CHECK_FALSE(in_c.done());
        ::raise(SIGUSR2);
        CHECK(in_c.get() == SIGUSR2);
        CHECK(b.wait() == SIGUSR2);
    });
}

TEST_CASE("signal_set: of several that wait on one set each signal wakes one") {
    leak_check leaks;
    weft::run([] {
        signal_set set{SIGUSR1, SIGUSR2};
        auto one = start([&] { return set.wait(); });
        auto two = start([&] { return set.wait(); });
        ::raise(SIGUSR1);
        while (!one.done() && !two.done()) weft::yield_now();
        turns(5);
        CHECK(one.done() != two.done());
        ::raise(SIGUSR2);
        CHECK(one.get() + two.get() == SIGUSR1 + SIGUSR2);

        auto three = start([&] { return set.wait(); });
        auto four = start([&] { return set.wait(); });
        ::raise(SIGUSR1);   // both before anybody has run
        ::raise(SIGUSR2);
        CHECK(three.get() + four.get() == SIGUSR1 + SIGUSR2);
    });
}

TEST_CASE("signal_set: what the process did before comes back with the end of the last set") {
    leak_check leaks;
    const std::size_t descriptors = all_descriptors();
    static std::atomic<int> called = 0;
    std::signal(SIGUSR1, [](int) { ++called; });
    const auto before = handler_of(SIGUSR1);
    {
        signal_set a{SIGUSR1};
        CHECK(handler_of(SIGUSR1) != before);
        {
            signal_set b{SIGUSR1, SIGUSR2};
            CHECK(handler_of(SIGUSR2) != SIG_DFL);
            signal_set moved = std::move(b);
        }
        CHECK(handler_of(SIGUSR2) == SIG_DFL);
        CHECK(handler_of(SIGUSR1) != before);
        ::raise(SIGUSR1);
    }
    CHECK(called == 0);
    CHECK(handler_of(SIGUSR1) == before);
    ::raise(SIGUSR1);
    CHECK(called == 1);
    {
        signal_set c{SIGUSR1};
        std::signal(SIGUSR1, SIG_IGN);   // somebody else's, who came later
    }
    CHECK(handler_of(SIGUSR1) == SIG_IGN);
    std::signal(SIGUSR1, SIG_DFL);
    CHECK(all_descriptors() == descriptors);
}

TEST_CASE("signal_set: a cancelled wait loses no signal, whenever it comes") {
    leak_check leaks;
    weft::run([] {
        signal_set set{SIGUSR1};
        for (int i = 0; i < 200; ++i) {
            auto waiting = start([&] { return set.wait(); });
            ::raise(SIGUSR1);
            turns(i % 4);
            waiting.cancel();
            waiting.join();
            CHECK((waiting.cancelled() ? set.wait() : waiting.get()) == SIGUSR1);
        }
        auto cancelled = weft::create_task([&] {
            weft::current_task().cancel();
            set.wait();
        });
        ::raise(SIGUSR1);
        cancelled.join();
        CHECK(cancelled.cancelled());
        CHECK(set.wait() == SIGUSR1);
    });
}

TEST_CASE("signal_set: it is waited for on any loops, whichever thread the signal comes to") {
    leak_check leaks;
    constexpr int loops = 3, rounds = 200;
    std::atomic<int> waiting = 0, taken = 0;
    const int other = SIGRTMIN + 1;
    signal_set shared{SIGUSR1, other};
    std::vector<std::thread> threads;
    for (int i = 0; i < loops; ++i) {
        threads.emplace_back([&] {
            weft::run([&] {
                signal_set own{SIGUSR2};
                ++waiting;
                auto stop = start([&] { own.wait(); });
                auto taking = start([&] {
                    for (;;) {
                        shared.wait();
                        ++taken;
                        taken.notify_all();
                    }
                });
                stop.get();
                taking.cancel();
            });
        });
    }
    while (waiting != loops) std::this_thread::yield();
    for (int i = 0; i < rounds; ++i) {
        if (i % 2) ::raise(SIGUSR1);
        else ::pthread_kill(threads[static_cast<std::size_t>(i) % loops].native_handle(), SIGUSR1);
        ::raise(other);
        for (int seen; (seen = taken) < 2 * (i + 1);) taken.wait(seen);
    }
    ::kill(::getpid(), SIGUSR2);
    for (auto& t : threads) t.join();
    CHECK(taken == 2 * rounds);
}

TEST_CASE("wait_readable: a signal that arrives while it looks is no failure") {
    leak_check leaks;
    const signal_set keep{SIGUSR1};   // so that it finds no default action
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    std::atomic<bool> sending = false, stop = false;
    std::thread sender([&, to = ::pthread_self()] {
        for (; !stop; sending = true) ::pthread_kill(to, SIGUSR1);
    });
    while (!sending) std::this_thread::yield();
    int failed = 0;
    weft::run([&] {
        for (int i = 0; i < weft_test::rounds(20'000); ++i) {
            auto waiting = start([&] { failed += error_of([&] { weft::wait_readable(ends[0]); }) != 0; });
            waiting.cancel();
            waiting.join();
        }
    });
    stop = true;
    sender.join();
    CHECK(failed == 0);
    for (const int end : ends) ::close(end);
}

TEST_CASE("signal_set: sets come and go while signals arrive") {
    leak_check leaks;
    signal_set keep{SIGUSR1};   // so that none of them finds the default action
    std::atomic<bool> stop = false;
    std::thread sender([&] {
        while (!stop) ::kill(::getpid(), SIGUSR1);
    });
    std::atomic<int> wrong = 0;   // Catch2's assertions are for one thread
    std::vector<std::thread> makers;
    for (int i = 0; i < 2; ++i) {
        makers.emplace_back([&] {
            weft::run([&] {
                for (int n = 0; n < 300; ++n) {
                    signal_set a{SIGUSR1}, b{SIGUSR1};
                    if (b.wait() != SIGUSR1) ++wrong;
                }
            });
        });
    }
    for (auto& t : makers) t.join();
    stop = true;
    sender.join();
    CHECK(wrong == 0);
}

TEST_CASE("signal_set: what cannot be waited for is refused, naming it") {
    leak_check leaks;
    for (int signo : {0, -1, 65, 1000, 32, SIGKILL, SIGSTOP, SIGSEGV}) {
        INFO(signo);
        CHECK(message_of<std::invalid_argument>([&] { signal_set set{SIGUSR1, signo}; })
                  .find("signal " + std::to_string(signo) + ":") != std::string::npos);
    }
    CHECK(handler_of(SIGUSR1) == SIG_DFL);
    CHECK_THROWS_AS(signal_set({}), std::invalid_argument);
    signal_set set{SIGUSR1};
    CHECK_THROWS_AS(set.wait(), weft::no_running_loop);
}
