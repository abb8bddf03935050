#include <catch2/catch.hpp>

#include <signal.h>
#include <unistd.h>

#include <thread>

#include <weft/run.hpp>
#include <weft/task.hpp>

#include "child_process.hpp"
#include "rounds.hpp"

using weft_test::child_result;
using weft_test::in_child;

namespace {

// The sanitizers have their own ways to report: there, a child only has to die.
constexpr bool reported_by_weft = !weft_test::on_asan && !weft_test::on_tsan;

[[gnu::noinline]] int descend(int depth) {
    volatile char frame[256];
    frame[0] = static_cast<char>(depth);
    if (depth == 0) return 0;
    const int below = descend(depth - 1);
    return below + frame[0];
}

void overflow() { descend(1 << 28); }

void check_report(const child_result& child, const std::string& task, const std::string& bytes) {
    if (!reported_by_weft) {
        CHECK_FALSE(child.exited_with(0));
        return;
    }
    INFO(child.error_output);
    CHECK(child.died_of(SIGSEGV));
    CHECK(child.said("weft: stack overflow in task '" + task) == 1);
    CHECK(child.said("has " + bytes + " bytes") == 1);
    CHECK(child.said("task_options::stack_size") == 1);
    CHECK(child.said("WEFT_STACK_SIZE") == 1);
}

}  // namespace

TEST_CASE("overflow: the report names the task, the size of its stack and how to raise it, and the process dies") {
    check_report(in_child([] { weft::run([] { weft::create_task({.name = "deep"}, overflow).get(); }); }), "deep'",
                 "262144");
}

TEST_CASE("overflow: a task with a stack of its own size is told of that size") {
    check_report(in_child([] {
                     weft::run([] {
                         weft::create_task({.name = "narrow", .stack_size = 64 * 1024}, overflow).get();
                     });
                 }),
                 "narrow'", "65536");
}

TEST_CASE("overflow: a task without a name has its number for one") {
    check_report(in_child([] { weft::run({.stack_size = 128 * 1024}, overflow); }), "task-", "131072");
}

TEST_CASE("overflow: a stack that has run other tasks before is still guarded") {
    check_report(in_child([] {
                     weft::run([] {
                         for (int i = 0; i < 10; ++i) weft::create_task({.name = "shallow"}, [] { descend(100); }).get();
                         weft::create_task({.name = "deep"}, overflow).get();
                     });
                 }),
                 "deep'", "262144");
}

TEST_CASE("overflow: it is reported on every thread that runs a loop, also in a second run") {
    check_report(in_child([] {
                     weft::run([] {});
                     std::thread([] {
                         weft::run([] {});
                         weft::run([] { weft::create_task({.name = "deep"}, overflow).get(); });
                     }).join();
                 }),
                 "deep'", "262144");
}

TEST_CASE("overflow: a task that fits does not die") {
    const child_result child = in_child([] {
        weft::run([] {
            weft::create_task({.name = "wide", .stack_size = 16 * 1024 * 1024}, [] { descend(20'000); }).get();
        });
    });
    CHECK(child.exited_with(0));
    CHECK(child.error_output.empty());
}

TEST_CASE("overflow: any other fault is no overflow, and kills as ever") {
    if (!reported_by_weft) return;
    const child_result child = in_child([] {
        weft::run([] {
            volatile int* volatile nowhere = nullptr;
            *nowhere = 1;
        });
    });
    CHECK(child.died_of(SIGSEGV));
    CHECK(child.said("weft") == 0);
}

TEST_CASE("overflow: a handler that the program had before is called after the report") {
    if (!reported_by_weft) return;
    const child_result child = in_child([] {
        struct sigaction ours {};
        ours.sa_flags = SA_ONSTACK;
        ours.sa_handler = [](int) {
            [[maybe_unused]] auto written = ::write(STDERR_FILENO, "ours\n", 5);
            ::_exit(3);
        };
        ::sigaction(SIGSEGV, &ours, nullptr);
        weft::run([] { weft::create_task({.name = "deep"}, overflow).get(); });
    });
    CHECK(child.exited_with(3));
    CHECK(child.said("weft: stack overflow in task 'deep'") == 1);
    CHECK(child.said("ours") == 1);
}

TEST_CASE("overflow: a handler that came after ours, and calls it in turn, does not keep the process from dying") {
    static struct sigaction ours;
    static volatile sig_atomic_t calls = 0;
    const auto child = in_child([] {
        ::alarm(20);
        weft::run([] {});   // ours is there
        struct sigaction theirs {};
        theirs.sa_flags = SA_SIGINFO | SA_ONSTACK;
        theirs.sa_sigaction = [](int signal, siginfo_t* info, void* context) {
            calls = calls + 1;
            if (calls > 5) ::_exit(5);
            if (ours.sa_flags & SA_SIGINFO) ours.sa_sigaction(signal, info, context);
            else ::signal(signal, SIG_DFL);
        };
        ::sigaction(SIGSEGV, &theirs, &ours);
        weft::run([] { weft::create_task({.name = "deep"}, overflow).get(); });   // ours is before theirs again
    });
    check_report(child, "deep'", "262144");
}
