#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <termios.h>

#include <cerrno>
#include <fstream>
#include <iterator>

#include <weft/pipe.hpp>
#include <weft/timeout.hpp>

#include "fixture.hpp"
#include "redirected.hpp"

using namespace io_test;
using weft::stream;

namespace {

struct two_files {
    ~two_files() {
        for (const int fd : {first, second})
            if (fd >= 0) ::close(fd);
    }
    int first = -1, second = -1;
};

struct raw_pipe : two_files {
    raw_pipe() {
        int ends[2];
        REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
        first = ends[0];
        second = ends[1];
    }
};

/// A terminal: what is written to `first` was typed on `second`.
struct raw_terminal : two_files {
    raw_terminal() {
        first = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        REQUIRE(first >= 0);
        REQUIRE(::grantpt(first) == 0);
        REQUIRE(::unlockpt(first) == 0);
        char name[64];
        REQUIRE(::ptsname_r(first, name, sizeof name) == 0);
        second = ::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
        REQUIRE(second >= 0);
        termios t;
        REQUIRE(::tcgetattr(second, &t) == 0);
        t.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        t.c_oflag &= ~static_cast<tcflag_t>(OPOST);
        REQUIRE(::tcsetattr(second, TCSANOW, &t) == 0);
    }
};

struct raw_sockets : two_files {
    raw_sockets() {
        int ends[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
        first = ends[0];
        second = ends[1];
    }
};

void put(int fd, std::string_view text) { REQUIRE(::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size())); }

bool non_blocking(int fd) { return ::fcntl(fd, F_GETFL) & O_NONBLOCK; }

std::string whole(const std::string& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
}

/// Reads what `type` writes, waiting for it, on standard input that is `fd`.
std::string read_while(int fd, const std::function<void()>& type, std::size_t count) {
    std::string got;
    weft::run([&] {
        const redirected input(STDIN_FILENO, fd);
        stream in = weft::stdin_stream();
        auto reading = start([&] { return in.read_exactly(count); });
        const bool waited = !reading.done();
        type();
        got = waited ? reading.get() : "did not wait";
    });
    return got;
}

}  // namespace

TEST_CASE("stdin_stream: waits for a pipe, and leaves it blocking") {
    leak_check leaks;
    raw_pipe pipe;
    CHECK(read_while(pipe.first, [&] { put(pipe.second, "from a pipe"); }, 11) == "from a pipe");
    CHECK_FALSE(non_blocking(pipe.first));
}

TEST_CASE("stdin_stream: a pipe's end is the end") {
    leak_check leaks;
    raw_pipe pipe;
    put(pipe.second, "all of it");
    ::close(std::exchange(pipe.second, -1));
    std::string got;
    weft::run([&] {
        const redirected input(STDIN_FILENO, pipe.first);
        got = weft::stdin_stream().read();
    });
    CHECK(got == "all of it");
}

TEST_CASE("stdin_stream: waits for a terminal, and leaves it blocking") {
    leak_check leaks;
    raw_terminal terminal;
    CHECK(read_while(terminal.second, [&] { put(terminal.first, "typed\n"); }, 6) == "typed\n");
    CHECK_FALSE(non_blocking(terminal.second));
}

TEST_CASE("stdin_stream: the controlling side of a terminal is read as it is, not opened as another terminal") {
    leak_check leaks;
    raw_terminal terminal;
    CHECK(read_while(terminal.first, [&] { put(terminal.second, "printed"); }, 7) == "printed");
    CHECK_FALSE(non_blocking(terminal.first));
}

TEST_CASE("stdin_stream: waits for a socket, and leaves it blocking") {
    leak_check leaks;
    raw_sockets sockets;
    CHECK(read_while(sockets.first, [&] { put(sockets.second, "sent"); }, 4) == "sent");
    CHECK_FALSE(non_blocking(sockets.first));
}

TEST_CASE("stdin_stream: reads a file from where it is, to its end") {
    leak_check leaks;
    temporary_folder folder;
    const std::string text = long_text(200'000);
    std::ofstream(folder / "input") << text;
    const int file = ::open((folder / "input").c_str(), O_RDONLY | O_CLOEXEC);
    REQUIRE(::lseek(file, 1000, SEEK_SET) == 1000);
    std::string got;
    bool ended = false;
    weft::run([&] {
        const redirected input(STDIN_FILENO, file);
        stream in = weft::stdin_stream();
        got = in.read();
        ended = in.at_eof();
    });
    CHECK(got == text.substr(1000));
    CHECK(ended);
    CHECK(::lseek(file, 0, SEEK_CUR) == 200'000);
    ::close(file);
}

TEST_CASE("stdin_stream: /dev/null is at its end") {
    leak_check leaks;
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    std::string got = "?";
    weft::run([&] {
        const redirected input(STDIN_FILENO, null);
        got = weft::stdin_stream().read();
    });
    CHECK(got.empty());
    ::close(null);
}

TEST_CASE("stdin_stream: says when there is none, or none to read from") {
    leak_check leaks;
    raw_pipe pipe;
    std::string closed, wrong_end;
    {
        const redirected input(STDIN_FILENO, -1);
        closed = message_of<std::system_error>([] { weft::stdin_stream(); });
    }
    {
        const redirected input(STDIN_FILENO, pipe.second);
        wrong_end = message_of<std::system_error>([] { weft::stdin_stream(); });
    }
    CHECK(closed.find("standard input: Bad file descriptor") != std::string::npos);
    CHECK(wrong_end.find("not open for reading") != std::string::npos);
}

TEST_CASE("stdin_stream: closing the stream, also under a reader, leaves the descriptor open") {
    leak_check leaks;
    raw_pipe pipe;
    raw_sockets sockets;
    raw_terminal terminal;
    for (const int fd : {pipe.first, sockets.first, terminal.first, terminal.second}) {
        int error = 0;
        bool open = false;
        weft::run([&] {
            const redirected input(STDIN_FILENO, fd);
            stream in = weft::stdin_stream();
            auto reading = start([&] { return error_of([&] { in.read(1); }); });
            turns(2);
            in.close();
            error = reading.get();
            open = ::fcntl(STDIN_FILENO, F_GETFD) >= 0;
        });
        CHECK(error == EBADF);
        CHECK(open);
    }
}

TEST_CASE("stdin_stream: a cancelled read takes nothing, of whatever kind the input is") {
    leak_check leaks;
    raw_pipe pipe;
    raw_sockets sockets;
    raw_terminal terminal;
    const std::pair<int, int> ways[] = {{pipe.first, pipe.second}, {sockets.first, sockets.second},
                                        {terminal.second, terminal.first}, {terminal.first, terminal.second}};
    for (const auto& [fd, other] : ways) {
        std::string got;
        bool cancelled = false;
        weft::run([&, fd = fd, other = other] {
            const redirected input(STDIN_FILENO, fd);
            stream in = weft::stdin_stream();
            auto reading = start([&] { in.read_exactly(6); });
            put(other, "ab\n");
            turns(5);
            reading.cancel();
            reading.join();
            cancelled = reading.cancelled();
            put(other, "cd\n");
            got = in.read_exactly(6);
        });
        CHECK(cancelled);
        CHECK(got == "ab\ncd\n");
    }
}

TEST_CASE("stdout_stream: writes to a file from where it is, and appends where that is asked for") {
    leak_check leaks;
    temporary_folder folder;
    const std::string text = long_text(300'000);
    std::ofstream(folder / "output") << "kept ";
    const int file = ::open((folder / "output").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    weft::run([&] {
        const redirected output(STDOUT_FILENO, file);
        stream out = weft::stdout_stream();
        out.write(text);
        out.write_eof();
    });
    CHECK(whole(folder / "output") == "kept " + text);
    ::close(file);
}

TEST_CASE("stdout_stream: waits for a full pipe, and leaves it blocking") {
    leak_check leaks;
    raw_pipe pipe;
    const std::string text = long_text(500'000);
    std::string got;
    bool waited = false, left_blocking = false;
    weft::run([&] {
        stream reader = weft::connect_read_pipe(std::exchange(pipe.first, -1));
        const redirected output(STDOUT_FILENO, pipe.second);
        stream out = weft::stdout_stream();
        auto writing = start([&] { out.write(text); });
        waited = !writing.done();
        left_blocking = !non_blocking(STDOUT_FILENO);
        got = reader.read_exactly(text.size());
        writing.get();
    });
    CHECK(waited);
    CHECK(left_blocking);
    CHECK(got == text);
}

TEST_CASE("stdout_stream: waits for a slow terminal and a slow socket, and leaves them blocking") {
    leak_check leaks;
    raw_terminal terminal;
    raw_sockets sockets;
    const std::string text = long_text(400'000);
    const std::pair<int, int> ways[] = {{terminal.second, terminal.first}, {sockets.first, sockets.second}};
    for (const auto& [fd, other] : ways) {
        std::string got;
        bool waited = false, blocking = false;
        weft::run([&, fd = fd, other = other] {
            const redirected output(STDOUT_FILENO, fd);
            stream out = weft::stdout_stream();
            auto writing = start([&] { out.write(text); });
            waited = !writing.done();
            blocking = !non_blocking(fd);
            stream reader = weft::connect_read_pipe(::fcntl(other, F_DUPFD_CLOEXEC, 3));
            got = reader.read_exactly(text.size());
            writing.get();
        });
        CHECK(waited);
        CHECK(blocking);
        CHECK(got == text);
    }
}

TEST_CASE("stdout_stream: a reader that is gone is broken_pipe, and no signal") {
    leak_check leaks;
    raw_pipe pipe;
    raw_sockets sockets;
    ::close(std::exchange(pipe.first, -1));
    ::close(std::exchange(sockets.second, -1));
    for (const int fd : {pipe.second, sockets.first}) {
        int error = 0;
        std::string said;
        weft::run([&] {
            const redirected output(STDOUT_FILENO, fd);
            stream out = weft::stdout_stream();
            error = error_of([&] { out.write("x"); });
            said = message_of<std::system_error>([&] { out.write("x"); });
        });
        CHECK(error == EPIPE);
        CHECK(said.find("standard output") != std::string::npos);
    }
}

TEST_CASE("stdout_stream: a full device is a failure with its reason") {
    leak_check leaks;
    const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
    int error = 0;
    weft::run([&] {
        const redirected output(STDOUT_FILENO, full);
        error = error_of([] { weft::stdout_stream().write("x"); });
    });
    CHECK(error == ENOSPC);
    ::close(full);
}

TEST_CASE("stderr_stream: is standard error") {
    leak_check leaks;
    raw_pipe pipe;
    weft::run([&] {
        const redirected errors(STDERR_FILENO, pipe.second);
        weft::stderr_stream().write("an error");
    });
    char text[16];
    CHECK(std::string(text, static_cast<std::size_t>(::read(pipe.first, text, sizeof text))) == "an error");
}

TEST_CASE("stdin_stream: a terminal that hangs up is an end or a failure, not a wait") {
    leak_check leaks;
    raw_terminal terminal;
    bool ended = false;
    weft::run([&] {
        const redirected input(STDIN_FILENO, terminal.second);
        stream in = weft::stdin_stream();
        auto reading = start([&] {
            try {
                return in.read(1).empty();
            } catch (const std::system_error& e) {
                return e.code().value() == EIO;
            }
        });
        turns(1);
        ::close(std::exchange(terminal.first, -1));
        ended = reading.get();
    });
    CHECK(ended);
}
