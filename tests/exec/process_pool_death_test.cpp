// Workers, servers and parents that die, and jobs that misbehave.

#include <dirent.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "exec/process_fixture.hpp"

namespace {

using namespace exec_test;

int exit_with(int status) { ::_exit(status); }
void crash() {
    ::signal(SIGABRT, SIG_DFL);
    ::raise(SIGABRT);
}
pid_t server_pid() { return ::getppid(); }
int close_everything(const std::string& path) {
    ::closefrom(3);
    return read_pipe(path);
}
void write_nonsense() {
    for (int fd = 3; fd < 100; ++fd) ::send(fd, "this is no frame at all", 23, MSG_NOSIGNAL);
}
void sleep_for_ever() {
    for (;;) ::pause();
}

template <class F> std::string breaks(F&& f) { return thrown_by<broken_process_pool>(std::forward<F>(f)); }

TEST_CASE_METHOD(processes_fixture, "process pool: a worker that is killed breaks the pool, for all that has not ended") {
    process_pool_executor pool(2);
    named_pipe pipe, other;
    const pid_t worker = pool.submit(own_pid).get();
    std::string expected = "a worker process (pid " + std::to_string(worker) + ") was killed by signal 9 (Killed)";
    run([&] {
        auto victim = create_task([&] { return run_in_executor(pool, read_pipe, pipe.path()); });
        pipe.wait_begun();
        auto bystander = create_task([&] { return run_in_executor(pool, read_pipe, other.path()); });
        other.wait_begun();
        auto pending = create_task([&] { return run_in_executor(pool, add, 1, 2); });
        auto submitted = pool.submit(add, 1, 2);
        turns(3);
        CHECK(::kill(worker, SIGKILL) == 0);
        CHECK(breaks([&] { victim.get(); }) == expected);
        CHECK(breaks([&] { bystander.get(); }) == expected);
        CHECK(breaks([&] { pending.get(); }) == expected);
        CHECK(breaks([&] { submitted.get(); }) == expected);
        CHECK(breaks([&] { run_in_executor(pool, add, 1, 2); }) == expected + "; the pool is broken, make a new one");
        CHECK(breaks([&] { pool.submit(add, 1, 2); }) == expected + "; the pool is broken, make a new one");
        process_pool_executor another(1);
        CHECK(run_in_executor(another, add, 1, 2) == 3);
    });
    pool.shutdown();
}

TEST_CASE_METHOD(processes_fixture, "process pool: a worker that is killed while it is idle breaks the pool") {
    process_pool_executor pool(1);
    const pid_t worker = pool.submit(own_pid).get();
    ::kill(worker, SIGKILL);
    const auto use = [&] {
        for (;;) pool.submit(add, 1, 2).get();
    };
    CHECK_THAT(breaks(use), Catch::Contains("was killed by signal 9"));
}

TEST_CASE_METHOD(processes_fixture, "process pool: a job that exits or crashes breaks the pool, and the error says how") {
    CHECK_THAT(breaks([] { process_pool_executor(1).submit(exit_with, 3).get(); }), Catch::Contains("exited with status 3"));
    CHECK_THAT(breaks([] { process_pool_executor(2).submit(crash).get(); }), Catch::Contains("was killed by signal 6 (Aborted)"));
}

TEST_CASE_METHOD(processes_fixture, "process pool: a cancelled waiter whose worker is killed still throws cancelled") {
    process_pool_executor pool(1);
    named_pipe pipe;
    const pid_t worker = pool.submit(own_pid).get();
    run([&] {
        auto t = create_task([&] { return run_in_executor(pool, read_pipe, pipe.path()); });
        pipe.wait_begun();
        t.cancel("first");
        turns(3);
        ::kill(worker, SIGKILL);
        CHECK(thrown_by([&] { t.get(); }) == "first");
    });
}

TEST_CASE_METHOD(processes_fixture, "process pool: the server's death breaks the pool and takes the workers along") {
    process_pool_executor pool(1);
    named_pipe pipe;
    const pid_t server = pool.submit(server_pid).get();
    auto running = pool.submit(read_pipe, pipe.path());
    pipe.wait_begun();
    ::kill(server, SIGKILL);
    CHECK(breaks([&] { running.get(); }) == "the server process of the pool has died");
}

TEST_CASE_METHOD(processes_fixture, "process pool: a job that closes its worker's socket breaks the pool, and does not live on") {
    process_pool_executor pool(1);
    named_pipe pipe;
    auto running = pool.submit(close_everything, pipe.path());
    CHECK_THAT(breaks([&] { running.get(); }), Catch::Contains("was killed by signal 9"));
    pool.shutdown();
    CHECK_FALSE(pipe.begun());
}

TEST_CASE_METHOD(processes_fixture, "process pool: a worker that sends nonsense breaks the pool") {
    process_pool_executor pool(1);
    CHECK(breaks([&] { pool.submit(write_nonsense).get(); }) == "a worker process sent what is no answer");
}

TEST_CASE_METHOD(processes_fixture, "process pool: shutdown ends a broken pool, also while it breaks") {
    for (int i = 0; i < rounds(10); ++i) {
        process_pool_executor pool(2);
        auto dying = pool.submit(exit_with, 1);
        auto pending = pool.submit(add, 1, 2);
        pool.shutdown(i % 2);
        CHECK(throws<broken_process_pool>([&] { dying.get(); }));
    }
}

TEST_CASE_METHOD(processes_fixture, "process pool: it ends though a process that the program has forked has its sockets, too") {
    pid_t forked = -1;
    {
        process_pool_executor pool(2);
        CHECK(pool.submit(add, 1, 2).get() == 3);
        forked = ::fork();
        if (forked == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            sleep_for_ever();
        }
        REQUIRE(forked > 0);
    }
    CHECK(::waitpid(forked, nullptr, WNOHANG) == 0);   // it was there all the time
    ::kill(forked, SIGKILL);
    CHECK(::waitpid(forked, nullptr, 0) == forked);
}

TEST_CASE_METHOD(processes_fixture, "process pool: its processes die with the program that made them") {
    const auto result = weft_test::in_child([] {
        process_pool_executor pool(2);
        pool.submit(sleep_for_ever);
        pool.submit(own_pid).get();
        ::raise(SIGKILL);
    });   // which returns when the last process that has its standard error is gone
    CHECK(result.died_of(SIGKILL));
}

TEST_CASE_METHOD(processes_fixture, "process pool: a program with more rights than its user has none, and is not started again") {
    if (::geteuid() != 0) return;   // who else could take another user's
    const auto result = weft_test::in_child([] {
        if (::seteuid(65534) < 0) return 1;
        return thrown_by<std::runtime_error>([] { process_pool_executor pool(1); }).find("more rights than its user") ==
                       std::string::npos
                   ? 2
                   : 0;
    });
    CHECK(result.exited_with(0));
    CHECK(result.error_output.empty());
}

TEST_CASE_METHOD(processes_fixture, "process pool: a set WEFT_PROCESS_POOL stops a program with a sentence") {
    const auto result = weft_test::in_child([] {
        ::setenv("WEFT_PROCESS_POOL", "77", 1);
        ::execl("/proc/self/exe", "test", "--list-tests", nullptr);
    });
    CHECK(result.exited_with(127));
    CHECK(result.said("WEFT_PROCESS_POOL is set") == 1);
}

}  // namespace
