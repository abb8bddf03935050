// How children are started: which program, with what, and what must not get through to it.

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cerrno>
#include <sstream>
#include <thread>

#include "process_fixture.hpp"
#include "redirected.hpp"

using namespace io_test;

namespace {

void write_program(const std::string& path, const std::string& text, mode_t mode = 0700) {
    std::ofstream(path) << text;
    REQUIRE(::chmod(path.c_str(), mode) == 0);
}

process_options with_env(std::map<std::string, std::string> env) {
    process_options o = read_from();
    o.env = std::move(env);
    return o;
}
process_options in_folder(const std::string& path) {
    process_options o = read_from();
    o.cwd = path;
    return o;
}

int spawn_error(std::vector<std::string> argv, process_options o = {}) {
    return error_of([&] { create_subprocess_exec(std::move(argv), std::move(o)); });
}

}  // namespace

TEST_CASE("process: a program gets its arguments as they are") {
    leak_check leaks;
    weft::run([] {
        CHECK(output_of({"printf", "[%s]", "a b", "", "'\"$HOME\\", "\n"}) == "[a b][]['\"$HOME\\][\n]");
        CHECK(output_of({"/bin/sh", "-c", "echo $0 $#", "name", "1", "2"}) == "name 2\n");
        CHECK(childless());
    });
}

TEST_CASE("process: a command is run by the shell") {
    leak_check leaks;
    weft::run([] {
        auto p = create_subprocess_shell("echo one; echo two | tr a-z A-Z", read_from());
        CHECK(p.communicate().first == "one\nTWO\n");
        CHECK(create_subprocess_shell("exit 9").wait() == 9);
    });
}

TEST_CASE("process: a program that is not there is ENOENT and named, and leaves nothing behind") {
    leak_check leaks;
    weft::run([] {
        CHECK(spawn_error({"no-such-program"}) == ENOENT);
        CHECK(spawn_error({"no-such-program"}, piped()) == ENOENT);
        CHECK(spawn_error({"/no/such/program"}) == ENOENT);
        CHECK(spawn_error({""}) == ENOENT);
        const auto said = message_of<std::system_error>([] { create_subprocess_exec({"no-such-program", "x"}); });
        CHECK(said == "create_subprocess_exec 'no-such-program': No such file or directory");
        CHECK(childless());
    });
}

TEST_CASE("process: a program that cannot be run says why") {
    leak_check leaks;
    temporary_folder folder;
    write_program(folder / "no-permission", "#!/bin/sh\n", 0600);
    write_program(folder / "no-format", "neither a program nor a script\n");
    write_program(folder / "no-interpreter", "#!/no/such/interpreter\n");
    weft::run([&] {
        CHECK(spawn_error({folder / "no-permission"}) == EACCES);
        CHECK(spawn_error({folder / "no-format"}) == ENOEXEC);
        CHECK(spawn_error({folder / "no-interpreter"}) == ENOENT);
        CHECK(spawn_error({folder / "no-format/below"}) == ENOTDIR);
        CHECK(spawn_error({folder / ""}) == EACCES);
        CHECK(spawn_error({"true", std::string(4'000'000, 'x')}) == E2BIG);
        CHECK(childless());
    });
}

TEST_CASE("process: a name is looked for in the child's PATH, in order") {
    leak_check leaks;
    temporary_folder first, second;
    write_program(second / "tool", "#!/bin/sh\necho second\n");
    write_program(first / "only-text", "", 0600);
    const std::string both = (first / "") + ":" + (second / "");
    weft::run([&] {
        CHECK(output_of({"tool"}, with_env({{"PATH", both}})) == "second\n");
        write_program(first / "tool", "#!/bin/sh\necho first\n");
        CHECK(output_of({"tool"}, with_env({{"PATH", both}})) == "first\n");
        CHECK(spawn_error({"tool"}) == ENOENT);   // this process's PATH
        CHECK(spawn_error({"ls"}, with_env({{"PATH", "/no/such/folder:/etc/passwd"}})) == ENOENT);
        CHECK(spawn_error({"only-text"}, with_env({{"PATH", both}})) == EACCES);
        CHECK(output_of({"printf", "found"}, with_env({})) == "found");   // /bin:/usr/bin
        REQUIRE(::chmod((first / "tool").c_str(), 0600) == 0);
        CHECK(output_of({"tool"}, with_env({{"PATH", both}})) == "second\n");
    });
}

TEST_CASE("process: relative paths, in PATH too, begin at the child's working directory") {
    leak_check leaks;
    temporary_folder folder;
    REQUIRE(::mkdir((folder / "bin").c_str(), 0700) == 0);
    write_program(folder / "bin/tool", "#!/bin/sh\npwd\n");
    weft::run([&] {
        CHECK(output_of({"bin/tool"}, in_folder(folder / "")) == (folder / "").substr(0, (folder / "").size() - 1) + "\n");
        auto o = with_env({{"PATH", "bin"}});
        o.cwd = folder / "";
        CHECK(output_of({"tool"}, o) == (folder / "").substr(0, (folder / "").size() - 1) + "\n");
        o.env = std::map<std::string, std::string>{{"PATH", "/no/such/folder:"}};   // an empty place is the working directory
        o.cwd = folder / "bin";
        CHECK(output_of({"tool"}, o) == (folder / "bin") + "\n");
    });
}

TEST_CASE("process: a working directory that cannot be entered is named") {
    leak_check leaks;
    temporary_folder folder;
    write_program(folder / "file", "");
    weft::run([&] {
        CHECK(spawn_error({"true"}, in_folder("/no/such/folder")) == ENOENT);
        CHECK(spawn_error({"true"}, in_folder(folder / "file")) == ENOTDIR);
        const auto said = message_of<std::system_error>([] { create_subprocess_exec({"true"}, in_folder("/no/such/folder")); });
        CHECK(said == "create_subprocess_exec 'true', cwd '/no/such/folder': No such file or directory");
        CHECK(childless());
    });
}

TEST_CASE("process: an environment replaces this process's") {
    leak_check leaks;
    ::setenv("WEFT_TEST_VARIABLE", "seen", 1);
    weft::run([] {
        CHECK(output_of({"sh", "-c", "echo $WEFT_TEST_VARIABLE"}) == "seen\n");
        CHECK(output_of({"/usr/bin/env"}, with_env({{"A", "1"}, {"B", "x=y z"}, {"C", ""}})) == "A=1\nB=x=y z\nC=\n");
        CHECK(output_of({"/usr/bin/env"}, with_env({})).empty());
    });
    ::unsetenv("WEFT_TEST_VARIABLE");
}

TEST_CASE("process: arguments that no program could get are refused, with their name") {
    leak_check leaks;
    weft::run([] {
        const auto refused = [](std::vector<std::string> argv, process_options o) {
            return message_of<std::invalid_argument>([&] { create_subprocess_exec(std::move(argv), std::move(o)); });
        };
        CHECK(refused({}, {}).find("argv") != std::string::npos);
        CHECK(refused({std::string("a\0b", 3)}, {}).find("argv") != std::string::npos);
        CHECK(refused({"true"}, with_env({{"", "x"}})).find("env") != std::string::npos);
        CHECK(refused({"true"}, with_env({{"a=b", "x"}})).find("a=b") != std::string::npos);
        CHECK(refused({"true"}, with_env({{"a", std::string(1, '\0')}})).find("env") != std::string::npos);
        CHECK(refused({"true"}, in_folder(std::string(1, '\0'))).find("cwd") != std::string::npos);
        process_options o;
        o.pass_fds = {-1};
        CHECK(refused({"true"}, o).find("pass_fds") != std::string::npos);
        o = {};
        o.std_out = stdio::to_stdout;
        CHECK(refused({"true"}, o).find("to_stdout") != std::string::npos);
        CHECK(childless());
    });
}

TEST_CASE("process: standard streams are this process's, pipes, nothing, or one another") {
    leak_check leaks;
    weft::run([] {
        const std::string both = "cat; echo out; echo err >&2";
        process_options o = piped();
        auto p = create_subprocess_shell(both, o);
        p.std_in().write("in ");
        p.std_in().close();
        CHECK(p.std_out().read() == "in out\n");
        CHECK(p.std_err().read() == "err\n");
        CHECK(p.wait() == 0);

        o.std_in = stdio::devnull;
        o.std_err = stdio::to_stdout;
        CHECK(create_subprocess_shell(both, o).communicate() == std::pair<std::string, std::string>("out\nerr\n", ""));
        o.std_out = stdio::devnull;
        CHECK(create_subprocess_shell(both, o).communicate() == std::pair<std::string, std::string>("", ""));
        o.std_err = stdio::pipe;
        CHECK(create_subprocess_shell(both, o).communicate() == std::pair<std::string, std::string>("", "err\n"));
        CHECK(create_subprocess_exec({"sh", "-c", "readlink /proc/self/fd/0"}, o).wait() == 0);
        CHECK(output_of({"readlink", "/proc/self/fd/0"}) == "/dev/null\n");
    });
}

TEST_CASE("process: a stream that is no pipe says how it becomes one") {
    leak_check leaks;
    weft::run([] {
        auto p = create_subprocess_exec({"true"});
        CHECK_THROWS_AS(p.std_in(), weft::invalid_state);
        CHECK_THROWS_AS(p.std_out(), weft::invalid_state);
        CHECK(message_of<weft::invalid_state>([&] { p.std_err(); }).find("process_options::std_err") != std::string::npos);
        p.wait();
    });
}

TEST_CASE("process: standard descriptors that are closed here do not mix up the child's") {
    leak_check leaks;
    std::string got[4];
    weft::run([&] {
        for (int closed = 0; closed < 3; ++closed) {
            const redirected none(closed, -1);
            auto p = create_subprocess_shell("cat; echo err >&2", piped());
            auto [out, err] = p.communicate("in ");
            got[closed] = out + err;
        }
        const redirected no_input(0, -1), no_output(1, -1), no_errors(2, -1);
        auto p = create_subprocess_shell("cat; echo err >&2", piped());
        auto [out, err] = p.communicate("in ");
        got[3] = out + err;
    });
    for (const auto& g : got) CHECK(g == "in err\n");
}

TEST_CASE("process: no descriptor gets through but those that are passed") {
    leak_check leaks;
    const int leaky = ::open("/dev/zero", O_RDONLY);   // not close-on-exec
    const int passed = ::fcntl(leaky, F_DUPFD_CLOEXEC, 40), other = ::fcntl(leaky, F_DUPFD, 41);
    weft::run([&] {
        auto unrelated = endless();
        CHECK(output_of({"ls", "/proc/self/fd"}) == "0\n1\n2\n3\n");   // ls has opened the last
        process_options o = read_from();
        o.pass_fds = {passed, passed, 1};
        CHECK(output_of({"ls", "/proc/self/fd"}, o) == "0\n1\n2\n3\n" + std::to_string(passed) + "\n");
        CHECK(output_of({"readlink", "/proc/self/fd/" + std::to_string(passed)}, o) == "/dev/zero\n");
        CHECK(::fcntl(passed, F_GETFD) == FD_CLOEXEC);   // here it is what it was
        unrelated.kill();
        unrelated.wait();
    });
    for (const int fd : {leaky, passed, other}) ::close(fd);
    weft::run([&] {
        process_options o = read_from();
        o.pass_fds = {passed};
        CHECK(spawn_error({"true"}, o) == EBADF);
        CHECK(message_of<std::system_error>([&] { create_subprocess_exec({"true"}, o); }).find("pass_fds: " + std::to_string(passed)) !=
              std::string::npos);
        CHECK(childless());
    });
}

TEST_CASE("process: children that are started on several threads at once do not get each other's pipes") {
    leak_check leaks;
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            weft::run([&] {
                for (int k = 0; k < 25; ++k) {
                    auto p = create_subprocess_exec({"ls", "/proc/self/fd"}, piped());
                    if (p.communicate().first != "0\n1\n2\n3\n") ++wrong;
                }
            });
        });
    for (auto& t : threads) t.join();
    CHECK(wrong == 0);
    CHECK(childless());
}

TEST_CASE("process: a child begins with no signal blocked and none ignored") {
    leak_check leaks;
    const auto before_pipe = ::signal(SIGPIPE, SIG_IGN), before_hangup = ::signal(SIGHUP, SIG_IGN);
    sigset_t blocked, before;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGTERM);
    ::sigaddset(&blocked, SIGRTMIN + 3);
    ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
    weft::run([] {
        CHECK(output_of({"grep", "-cE", "^Sig(Blk|Ign):\t0+$", "/proc/self/status"}) == "2\n");
        CHECK(create_subprocess_shell("kill -TERM $$; exit 3").wait() == -SIGTERM);
    });
    sigset_t now;
    ::pthread_sigmask(SIG_SETMASK, &before, &now);
    CHECK(::sigismember(&now, SIGTERM) == 1);   // here they are what they were
    CHECK(::sigismember(&now, SIGHUP) == 0);
    ::signal(SIGHUP, before_hangup);
    CHECK(::signal(SIGPIPE, before_pipe) == SIG_IGN);
}

TEST_CASE("process: a new session is one, and else the child is in this one") {
    leak_check leaks;
    weft::run([] {
        process_options o = read_from();
        const auto session_of = [](process p) {
            const std::string stat = p.communicate().first;   // "pid (name) state parent group session"
            std::istringstream fields(stat.substr(stat.rfind(')') + 4));
            pid_t parent = 0, group = 0, session = 0;
            fields >> parent >> group >> session;
            CHECK(parent == ::getpid());
            return std::pair(p.pid(), session);
        };
        const auto [pid, same] = session_of(create_subprocess_exec({"cat", "/proc/self/stat"}, o));
        CHECK(same == ::getsid(0));
        o.new_session = true;
        const auto [leader, fresh] = session_of(create_subprocess_exec({"cat", "/proc/self/stat"}, o));
        CHECK(fresh == leader);
    });
}

TEST_CASE("process: however few descriptors are left, it starts or fails whole") {
    leak_check leaks;
    rlimit before;
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    weft::run([&] {
        int failures = 0;
        bool started = false;
        // Not only what is missing counts: numbers above the next free one may be taken, too.
        for (rlim_t room = 0; room < 100 && !started; ++room) {
            const int next = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
            ::close(next);
            rlimit few = before;
            few.rlim_cur = static_cast<rlim_t>(next) + room;
            ::setrlimit(RLIMIT_NOFILE, &few);
            int error = 0;
            std::optional<process> p;
            try {
                p = create_subprocess_exec({"true"}, piped());
            } catch (const std::system_error& e) {
                error = e.code().value();
            }
            ::setrlimit(RLIMIT_NOFILE, &before);
            if (p) {
                started = true;
                CHECK(p->wait() == 0);
            } else {
                ++failures;
                CHECK(error == EMFILE);
                CHECK(childless());
            }
        }
        CHECK(started);
        CHECK(failures >= 6);
    });
}

TEST_CASE("process: it needs a loop, and one that is to be cancelled starts none") {
    leak_check leaks;
    CHECK_THROWS_AS(create_subprocess_exec({"true"}), weft::no_running_loop);
    weft::run([] {
        auto starting = weft::create_task([] {
            weft::current_task().cancel();
            create_subprocess_exec({"true"}, piped());
        });
        starting.join();
        CHECK(starting.cancelled());
        CHECK(childless());

        std::optional<process> made;
        weft::get_running_loop().call_soon([&] { made = create_subprocess_exec({"sh", "-c", "exit 4"}); });
        until([&] { return made.has_value(); });
        CHECK(made->wait() == 4);
    });
}

TEST_CASE("process: what was moved away says so") {
    leak_check leaks;
    weft::run([] {
        auto p = create_subprocess_exec({"true"}, piped());
        weft::stream& out = p.std_out();
        process moved = std::move(p);
        CHECK_THROWS_AS(p.wait(), weft::invalid_state);
        CHECK_THROWS_AS(p.pid(), weft::invalid_state);
        CHECK_THROWS_AS(p.kill(), weft::invalid_state);
        CHECK(&out == &moved.std_out());
        CHECK(moved.wait() == 0);
        CHECK_THROWS_AS(process().return_code(), weft::invalid_state);
    });
}
