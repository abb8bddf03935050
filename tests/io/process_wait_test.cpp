// How children end, who is told, and who takes their exit status.

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include <weft/gather.hpp>
#include <weft/semaphore.hpp>
#include <weft/timeout.hpp>

#include "process_fixture.hpp"
#include "rounds.hpp"

using namespace io_test;

TEST_CASE("process: its return code is what it exited with, or minus the signal it died of") {
    leak_check leaks;
    weft::run([] {
        CHECK(create_subprocess_shell("exit 0").wait() == 0);
        CHECK(create_subprocess_shell("exit 255").wait() == 255);
        CHECK(create_subprocess_shell("kill -9 $$").wait() == -9);
        CHECK(create_subprocess_shell("kill -TERM $$").wait() == -SIGTERM);
    });
}

TEST_CASE("process: while it runs there is no return code, and afterwards it stays") {
    leak_check leaks;
    weft::run([] {
        process p = endless();
        CHECK(p.pid() > 0);
        CHECK_FALSE(p.return_code());
        const pid_t pid = p.pid();
        p.std_in().close();
        CHECK(p.wait() == 0);
        CHECK(p.return_code() == 0);
        CHECK(p.wait() == 0);
        CHECK(p.pid() == pid);
        CHECK(state_of(pid) == 0);
    });
}

TEST_CASE("process: the return code is seen without a wait, and without a turn of the loop") {
    leak_check leaks;
    weft::run([] {
        process p = create_subprocess_shell("exit 5");
        while (!p.return_code()) std::this_thread::yield();
        CHECK(p.return_code() == 5);
        CHECK(childless());
        CHECK(p.wait() == 5);
    });
}

TEST_CASE("process: several tasks wait for one child") {
    leak_check leaks;
    weft::run([] {
        process p = endless();
        std::vector<weft::task<int>> waiting;
        for (int i = 0; i < 5; ++i) waiting.push_back(start([&] { return p.wait(); }));
        turns(2);
        waiting[1].cancel();
        waiting[1].join();
        CHECK(waiting[1].cancelled());
        p.terminate();
        for (int i : {0, 2, 3, 4}) CHECK(waiting[i].get() == -SIGTERM);
    });
}

TEST_CASE("process: a cancelled or timed out wait leaves the child running, to be waited for again") {
    leak_check leaks;
    weft::run([] {
        process p = endless();
        for (int i = 0; i < 3; ++i) {
            CHECK_THROWS_AS(weft::timeout(1ms, [&] { p.wait(); }), weft::timeout_error);
            auto waiting = start([&] { p.wait(); });
            waiting.cancel();
            waiting.join();
            CHECK(waiting.cancelled());
            CHECK_FALSE(p.return_code());
        }
        p.std_in().close();
        CHECK(p.wait() == 0);
    });
}

TEST_CASE("process: signals reach the child, also one that is stopped") {
    leak_check leaks;
    weft::run([] {
        process p = endless();
        p.send_signal(SIGSTOP);
        until([&] { return state_of(p.pid()) == 'T'; });
        CHECK_FALSE(p.return_code());   // stopped is not ended
        p.terminate();
        CHECK_FALSE(p.return_code());
        p.send_signal(SIGCONT);
        CHECK(p.wait() == -SIGTERM);

        process q = endless();
        q.send_signal(SIGSTOP);
        until([&] { return state_of(q.pid()) == 'T'; });
        q.kill();
        CHECK(q.wait() == -SIGKILL);
        CHECK(error_of([] {
                  process r = endless();
                  r.send_signal(999);
              }) == EINVAL);
        until(childless);
    });
}

TEST_CASE("process: a child whose end is known gets no signals, one that is a zombie may") {
    leak_check leaks;
    weft::run([] {
        process p = create_subprocess_exec({"true"});
        while (state_of(p.pid()) != 'Z') {}   // the loop does not come to reap it meanwhile
        p.kill();
        CHECK(p.wait() == 0);
        CHECK(error_of([&] { p.kill(); }) == ESRCH);
        CHECK(error_of([&] { p.terminate(); }) == ESRCH);
        CHECK(message_of<std::system_error>([&] { p.send_signal(0); }).find(std::to_string(p.pid())) != std::string::npos);
    });
}

TEST_CASE("process: one that is dropped runs on, and is no zombie afterwards") {
    leak_check leaks;
    weft::run([] {
        int ends[2];
        REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
        process_options o;
        o.pass_fds = {ends[0]};
        o.std_in = o.std_out = stdio::devnull;
        const pid_t pid = create_subprocess_shell("cat <&" + std::to_string(ends[0]), o).pid();
        turns(10);
        CHECK(state_of(pid) != 0);
        CHECK(state_of(pid) != 'Z');
        ::close(ends[0]);
        ::close(ends[1]);
        until([&] { return state_of(pid) == 0; });
        until(childless);
    });
}

TEST_CASE("process: dropping it closes its pipes, also under who waits in it") {
    leak_check leaks;
    weft::run([] {
        auto p = std::make_unique<process>(create_subprocess_shell("cat; exit 6", piped()));
        auto waiting = start([&] { return p->wait(); });
        turns(1);
        p.reset();
        CHECK(waiting.get() == 6);
    });
}

TEST_CASE("process: nobody else's children are waited for, and SIGCHLD is left alone") {
    leak_check leaks;
    struct sigaction before, after;
    ::sigaction(SIGCHLD, nullptr, &before);
    const pid_t own = ::fork();
    REQUIRE(own >= 0);
    if (own == 0) ::_exit(77);
    weft::run([] {
        for (int i = 0; i < 20; ++i) CHECK(create_subprocess_shell("exit 1").wait() == 1);
    });
    int status = 0;
    CHECK(::waitpid(own, &status, 0) == own);
    CHECK(WEXITSTATUS(status) == 77);
    ::sigaction(SIGCHLD, nullptr, &after);
    CHECK(after.sa_handler == before.sa_handler);
}

TEST_CASE("process: an exit status that somebody else took is remembered by the system, or reported and 255") {
    leak_check leaks;
    const auto before = ::signal(SIGCHLD, SIG_IGN);   // the system takes it
    weft::run([] {
        reports told;
        process p = create_subprocess_shell("exit 3");
        const int code = p.wait();
        turns(2);
        if (code != 3) {
            CHECK(code == 255);
            REQUIRE(told.messages.size() == 1);
            CHECK(told.messages[0].find("somebody else has taken its exit status") != std::string::npos);
        } else {
            CHECK(told.messages.empty());
        }
        process killed = endless();
        killed.kill();
        const int signalled = killed.wait();
        CHECK((signalled == -SIGKILL || signalled == 255));
    });
    ::signal(SIGCHLD, before);
}

TEST_CASE("process: a thousand short children leave nothing behind") {
    leak_check leaks;
    weft::run([] {
        weft::semaphore at_once(16);
        std::vector<weft::task<int>> all;
        const int count = weft_test::rounds(1000);
        for (int i = 0; i < count; ++i)
            all.push_back(weft::create_task([&at_once, i] {
                const std::lock_guard lock(at_once);
                process p = create_subprocess_exec({"sh", "-c", "exit " + std::to_string(i % 200)}, i % 3 ? process_options{} : piped());
                return p.wait();
            }));
        int wrong = 0;
        for (int i = 0; i < count; ++i) wrong += all[i].get() != i % 200;
        CHECK(wrong == 0);
        CHECK(childless());
    });
}

TEST_CASE("process: two loops start and wait for children at once") {
    leak_check leaks;
    std::atomic<int> wrong{0};
    const auto many = [&] {
        weft::run([&] {
            for (int i = 0; i < weft_test::rounds(60); ++i)
                wrong += create_subprocess_shell("exit " + std::to_string(i)).wait() != i;
        });
    };
    std::thread other(many);
    many();
    other.join();
    CHECK(wrong == 0);
    CHECK(childless());
}

TEST_CASE("process: another loop and a plain thread wait for a child, too") {
    leak_check leaks;
    weft::run([] {
        process p = endless();
        std::atomic<int> waiting{0};
        int codes[2] = {};
        std::thread loop([&] { weft::run([&] { ++waiting, codes[0] = p.wait(); }); });
        std::thread plain([&] { ++waiting, codes[1] = p.wait(); });
        until([&] { return waiting == 2; });
        p.kill();
        CHECK(p.wait() == -SIGKILL);
        loop.join();
        plain.join();
        CHECK(codes[0] == -SIGKILL);
        CHECK(codes[1] == -SIGKILL);
    });
}

TEST_CASE("process: children outlive their loop, and are reaped and waited for all the same") {
    const auto before = weft_test::open_descriptors();
    process kept[3];
    weft::run([&] {
        for (auto& p : kept) p = endless();
        CHECK_FALSE(kept[0].return_code());
    });
    for (auto& p : kept) CHECK_FALSE(p.return_code());
    const pid_t dropped = kept[2].pid();
    kept[2] = process();
    kept[0].std_in().close();
    CHECK(kept[0].wait() == 0);   // a plain thread
    kept[1].kill();
    weft::run([&] { CHECK(kept[1].wait() == -SIGKILL); });
    until([&] { return state_of(dropped) == 0; });
    until(childless);
    for (auto& p : kept) p = process();
    until([&] { return weft_test::open_descriptors() == before; });

    // And once more, after the last of them has gone.
    process again;
    weft::run([&] { again = endless(); });
    again.kill();
    CHECK(again.wait() == -SIGKILL);
    again = process();
    until([&] { return weft_test::open_descriptors() == before; });
}

TEST_CASE("process: a plain thread waits for a child also while nobody turns its loop") {
    leak_check leaks;
    weft::runner here;
    process p = here.run([] { return endless(); });
    here.run([&] { p.std_in().close(); });
    CHECK(p.wait() == 0);
    CHECK(p.wait() == 0);
    p = here.run([] { return endless(); });
    int code = 0;
    std::thread plain([&] { code = p.wait(); });
    p.kill();
    plain.join();
    CHECK(code == -SIGKILL);
    here.run([&] { CHECK(p.wait() == -SIGKILL); });
    p = process();
}

TEST_CASE("process: one that ends just as its loop does is not lost") {
    const auto before = weft_test::open_descriptors();
    for (int i = 0; i < weft_test::rounds(50); ++i) {
        process p;
        weft::run([&] { p = create_subprocess_exec({"true"}); });
        CHECK(p.wait() == 0);
    }
    until(childless);
    until([&] { return weft_test::open_descriptors() == before; });   // the thread that reaped them has let go of them
}

TEST_CASE("process: a wait in a loop callback works if the end is known, and else says that it cannot wait") {
    leak_check leaks;
    weft::run([] {
        process p = endless();
        bool refused = false;
        int code = -1;
        weft::get_running_loop().call_soon([&] {
            try {
                p.wait();
            } catch (const weft::no_running_task&) {
                refused = true;
            }
        });
        turns(2);
        CHECK(refused);
        p.std_in().close();
        p.wait();
        weft::get_running_loop().call_soon([&] { code = p.wait(); });
        turns(2);
        CHECK(code == 0);
    });
}
