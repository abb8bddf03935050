#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include <weft/timeout.hpp>

#include "process_fixture.hpp"
#include "rounds.hpp"

using namespace io_test;
using output = std::pair<std::string, std::string>;

TEST_CASE("communicate: gives the input, takes the output and the errors, and waits") {
    leak_check leaks;
    weft::run([] {
        process p = create_subprocess_shell("cat; echo err >&2; exit 3", piped());
        CHECK(p.communicate("in ") == output("in ", "err\n"));
        CHECK(p.return_code() == 3);
        CHECK(p.communicate() == output());
        CHECK(create_subprocess_shell("cat", piped()).communicate() == output());
        CHECK(create_subprocess_shell("exit 2").communicate() == output());
    });
}

TEST_CASE("communicate: much both ways does not block either side") {
    leak_check leaks;
    weft::run([] {
        const std::string text = long_text(static_cast<std::size_t>(weft_test::rounds(100)) * 1'000'000);
        process p = create_subprocess_exec({"tee", "/dev/stderr"}, piped());
        const auto [out, err] = p.communicate(text);
        CHECK((out == text));
        CHECK((err == text));
        CHECK(p.return_code() == 0);
    });
}

TEST_CASE("communicate: a child that does not want its input is no failure") {
    leak_check leaks;
    weft::run([] {
        const std::string much(3'000'000, 'x');
        CHECK(create_subprocess_shell("exec <&-; echo done", piped()).communicate(much) == output("done\n", ""));
        CHECK(create_subprocess_exec({"head", "-c", "10"}, piped()).communicate(much) == output("xxxxxxxxxx", ""));
        process p = create_subprocess_shell("kill -9 $$", piped());
        CHECK(p.communicate(much) == output());
        CHECK(p.return_code() == -9);
    });
}

TEST_CASE("communicate: a child that never reads is waited for until somebody has enough of it") {
    leak_check leaks;
    weft::run([] {
        process p = create_subprocess_shell("echo first; exec sleep 1000", piped());
        CHECK_THROWS_AS(weft::timeout(20ms, [&] { p.communicate(std::string(1 << 20, 'x')); }), weft::timeout_error);
        CHECK_FALSE(p.return_code());
        p.kill();
        CHECK(p.communicate(std::string(1 << 20, 'x')) == output("first\n", ""));
        CHECK(p.return_code() == -SIGKILL);
    });
}

TEST_CASE("communicate: cancelled at any moment and called again, it goes on where it was") {
    leak_check leaks;
    weft::run([] {
        const std::string text = long_text(300'000);
        int interrupted = 0;
        for (int k = 0; k < weft_test::rounds(40); ++k) {
            process p = create_subprocess_shell("tee /dev/stderr; echo end", piped());
            for (int j = 0; j < 5; ++j) {
                auto talking = start([&] { p.communicate(text); });
                turns(k * (j + 1));
                if (talking.done()) break;
                talking.cancel();
                talking.join();
                if (talking.cancelled()) ++interrupted;
                else break;
            }
            if (p.return_code()) continue;   // it was faster
            const auto [out, err] = p.communicate(text);
            CHECK((out == text + "end\n"));
            CHECK((err == text));
        }
        CHECK(interrupted > 0);
    });
}

TEST_CASE("communicate: cancelled when one output is complete and another is not, it has lost neither") {
    leak_check leaks;
    weft::run([] {
        process p = create_subprocess_shell("echo out; exec >&-; cat >&2", piped());
        auto talking = start([&] { p.communicate(); });   // closes the input
        p.kill();
        talking.join();
        process q = create_subprocess_shell("echo out; exec >&-; echo e; read line; echo err $line >&2", piped());
        std::string line;
        auto first = start([&] { q.communicate(std::string(1 << 18, 'x') + "\n"); });
        for (int i = 0; i < 50 && !first.done(); ++i) weft::sleep(1ms);
        first.cancel();
        first.join();
        if (first.cancelled()) CHECK(q.communicate(std::string(1 << 18, 'x') + "\n").first == "out\n");
    });
}

TEST_CASE("communicate: a grandchild that holds the pipe is waited for, the child's end is not held up") {
    leak_check leaks;
    weft::run([] {
        int ends[2];
        REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
        process_options o = read_from();
        o.pass_fds = {ends[0]};
        process p = create_subprocess_shell("cat <&" + std::to_string(ends[0]) + " & echo early", o);
        ::close(ends[0]);
        auto talking = start([&] { return p.communicate(); });
        CHECK(p.wait() == 0);
        turns(5);
        CHECK_FALSE(talking.done());
        REQUIRE(::write(ends[1], "late", 4) == 4);
        ::close(ends[1]);
        CHECK(talking.get() == output("early\nlate", ""));
    });
}

TEST_CASE("communicate: input for what is no pipe is refused") {
    leak_check leaks;
    weft::run([] {
        process p = create_subprocess_exec({"true"}, read_from());
        CHECK(message_of<std::invalid_argument>([&] { p.communicate("x"); }).find("input") != std::string::npos);
        CHECK(p.communicate() == output());
    });
}

TEST_CASE("communicate: works after the streams were used, and after they were closed") {
    leak_check leaks;
    weft::run([] {
        process p = create_subprocess_shell("read a; echo got $a; cat; echo err >&2", piped());
        p.std_in().write("one\n");
        CHECK(p.std_out().read_line() == "got one\n");
        CHECK(p.communicate("two") == output("two", "err\n"));

        process q = create_subprocess_shell("cat; echo err >&2", piped());
        q.std_in().close();
        q.std_err().close();
        CHECK(q.communicate().first.empty());
        process r = create_subprocess_shell("cat", piped());
        r.std_in().close();
        CHECK(error_of([&] { r.communicate("x"); }) == EBADF);
        CHECK(r.wait() == 0);
    });
}

TEST_CASE("communicate: twice at once is refused, and the first goes on") {
    leak_check leaks;
    weft::run([] {
        process p = create_subprocess_shell("cat; read line < /dev/null; echo end", piped());
        auto talking = start([&] { return p.communicate(std::string(200'000, 'x')); });
        CHECK_THROWS_AS(p.communicate(std::string(200'000, 'x')), std::logic_error);
        CHECK(talking.get().first == std::string(200'000, 'x') + "end\n");
    });
}

TEST_CASE("communicate: destroying the process meanwhile lets it go on") {
    leak_check leaks;
    weft::run([] {
        auto p = std::make_unique<process>(create_subprocess_shell("cat; echo end", piped()));
        auto talking = start([&] { return p->communicate(std::string(200'000, 'x')); });
        p.reset();
        CHECK(talking.get().first == std::string(200'000, 'x') + "end\n");
    });
}
