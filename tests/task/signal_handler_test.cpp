// loop::add_signal_handler and remove_signal_handler.

#include <pthread.h>
#include <signal.h>

#include <stdexcept>
#include <thread>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

namespace {

void settle() {
    for (int i = 0; i < 3; ++i) sleep(1ms);
}

void (*handler_of(int signo))(int) {
    struct sigaction now{};
    ::sigaction(signo, nullptr, &now);
    return now.sa_handler;
}

}  // namespace

TEST_CASE_METHOD(fixture, "add_signal_handler: is called when the signal has come, in a turn, not in the signal's handler") {
    run([] {
        loop& l = get_running_loop();
        int called = 0;
        l.add_signal_handler(SIGUSR1, [&] {
            ++called;
            l.call_soon([] {});   // would deadlock or corrupt in a real handler
        });
        ::raise(SIGUSR1);
        CHECK(called == 0);
        settle();
        CHECK(called == 1);
        ::raise(SIGUSR1);
        ::raise(SIGUSR1);   // counts once
        settle();
        CHECK(called == 2);
        CHECK(l.remove_signal_handler(SIGUSR1));
        CHECK_FALSE(l.remove_signal_handler(SIGUSR1));
    });
}

TEST_CASE_METHOD(fixture, "add_signal_handler: replaces the one that was there; each signal has its own") {
    run([] {
        loop& l = get_running_loop();
        notes log;
        l.add_signal_handler(SIGUSR1, [&, c = counted()] { log.push_back("first"); });
        l.add_signal_handler(SIGUSR1, [&] { log.push_back("second"); });
        l.add_signal_handler(SIGUSR2, [&] { log.push_back("other"); });
        CHECK(counted::live == 0);
        ::raise(SIGUSR1);
        settle();
        ::raise(SIGUSR2);
        settle();
        CHECK(log == notes{"second", "other"});
        l.remove_signal_handler(SIGUSR1);
        l.remove_signal_handler(SIGUSR2);
    });
}

TEST_CASE_METHOD(fixture, "add_signal_handler: what the process did before is restored with the removal, and with the loop's end") {
    REQUIRE(handler_of(SIGUSR1) == SIG_DFL);
    run([] {
        get_running_loop().add_signal_handler(SIGUSR1, [] {});
        CHECK(handler_of(SIGUSR1) != SIG_DFL);
        get_running_loop().remove_signal_handler(SIGUSR1);
        CHECK(handler_of(SIGUSR1) == SIG_DFL);
        get_running_loop().add_signal_handler(SIGUSR1, [c = counted()] {});
    });
    CHECK(handler_of(SIGUSR1) == SIG_DFL);
    CHECK(counted::live == 0);
}

TEST_CASE_METHOD(fixture, "add_signal_handler: one that is due and is removed before its turn is not called") {
    run([] {
        loop& l = get_running_loop();
        bool called = false;
        l.add_signal_handler(SIGUSR1, [&] { called = true; });
        ::raise(SIGUSR1);
        l.remove_signal_handler(SIGUSR1);
        settle();
        CHECK_FALSE(called);
    });
}

TEST_CASE_METHOD(fixture, "add_signal_handler: numbers that are no signals, and signals that cannot be handled, are refused") {
    run([] {
        loop& l = get_running_loop();
        CHECK(thrown_by<std::invalid_argument>([&] { l.add_signal_handler(0, [c = counted()] {}); }) ==
              "loop::add_signal_handler: signal 0: there is no such signal");
        CHECK(throws<std::invalid_argument>([&] { l.add_signal_handler(SIGKILL, [] {}); }));
        CHECK(throws<std::invalid_argument>([&] { l.add_signal_handler(SIGSEGV, [] {}); }));
        CHECK(throws<std::invalid_argument>([&] { l.add_signal_handler(65, [] {}); }));
        CHECK_FALSE(l.remove_signal_handler(SIGKILL));
        CHECK(counted::live == 0);
    });
}

TEST_CASE_METHOD(fixture, "add_signal_handler: SIGINT's goes before the cancellation of the main task, and leaves nothing behind") {
    REQUIRE(handler_of(SIGINT) == SIG_DFL);
    bool called = false;
    run([&] {
        get_running_loop().add_signal_handler(SIGINT, [&] { called = true; });
        ::raise(SIGINT);
        settle();
    });
    CHECK(called);
    CHECK(handler_of(SIGINT) == SIG_DFL);   // not the watch of a run that is over
}

TEST_CASE_METHOD(fixture, "add_signal_handler: after its removal Ctrl-C cancels the main task again") {
    CHECK(throws<interrupted>([] {
        run([] {
            get_running_loop().add_signal_handler(SIGINT, [] {});
            get_running_loop().remove_signal_handler(SIGINT);
            ::raise(SIGINT);
            park();
        });
    }));
    CHECK(handler_of(SIGINT) == SIG_DFL);
}

TEST_CASE("add_signal_handler: a signal wakes a loop that sleeps, also when another thread gets it") {
    weft_test::leak_check leaks;
    runner r;
    loop& l = r.get_loop();
    int called = 0;
    l.add_signal_handler(SIGUSR1, [&] {
        if (++called == 20) l.stop();
        else std::thread([] { ::pthread_kill(::pthread_self(), SIGUSR1); }).join();
    });
    std::thread([] { ::pthread_kill(::pthread_self(), SIGUSR1); }).join();
    l.run_forever();
    CHECK(called == 20);
}

TEST_CASE("add_signal_handler: two loops and their handlers for one signal are all told") {
    weft_test::leak_check leaks;
    std::atomic<int> called{0};
    std::atomic<int> ready{0};
    const auto one_loop = [&] {
        runner r;
        loop& l = r.get_loop();
        l.add_signal_handler(SIGUSR2, [&] {
            ++called;
            l.stop();
        });
        ++ready;
        l.run_forever();
    };
    std::thread a(one_loop), b(one_loop);
    while (ready < 2) std::this_thread::yield();
    ::raise(SIGUSR2);
    a.join();
    b.join();
    CHECK(called == 2);
    CHECK(handler_of(SIGUSR2) == SIG_DFL);
}
