#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>

#include <cerrno>

#include <weft/gather.hpp>
#include <weft/pipe.hpp>
#include <weft/timeout.hpp>

#include "fixture.hpp"
#include "io/one_way_transport.hpp"

using namespace io_test;
using weft::stream;

namespace {

bool close_on_exec(int fd) { return ::fcntl(fd, F_GETFD) & FD_CLOEXEC; }

/// The descriptors that this process has opened since.
std::vector<int> opened_since(const std::vector<bool>& before) {
    std::vector<int> fresh;
    for (int fd = 0; fd < static_cast<int>(before.size()); ++fd)
        if (!before[fd] && ::fcntl(fd, F_GETFD) >= 0) fresh.push_back(fd);
    return fresh;
}
std::vector<bool> open_now() {
    std::vector<bool> open(256);
    for (int fd = 0; fd < 256; ++fd) open[fd] = ::fcntl(fd, F_GETFD) >= 0;
    return open;
}

struct raw_pipe {
    raw_pipe() { REQUIRE(::pipe2(ends, O_CLOEXEC) == 0); }
    ~raw_pipe() {
        for (const int fd : ends)
            if (fd >= 0) ::close(fd);
    }
    int take(int which) { return std::exchange(ends[which], -1); }
    int ends[2];
};

}  // namespace

TEST_CASE("pipe: what is written is read, to the end") {
    leak_check leaks;
    weft::run([] {
        auto reader_writer = weft::pipe();
        stream &reader = reader_writer.first, &writer = reader_writer.second;
        writer.write("one\ntwo\nthree");
        CHECK(reader.read_line() == "one\n");
        CHECK(reader.read(3) == "two");
        writer.write_eof();
        CHECK(reader.read() == "\nthree");
        CHECK(reader.read().empty());
        CHECK(reader.at_eof());
        CHECK_THROWS_AS(writer.write("more"), weft::invalid_state);
    });
}

TEST_CASE("pipe: a long text passes through piece by piece, with reader and writer waiting in turn") {
    leak_check leaks;
    weft::run([] {
        auto reader_writer = weft::pipe();
        stream &reader = reader_writer.first, &writer = reader_writer.second;
        const std::string text = long_text(3'000'000);
        auto writing = start([&, w = std::move(writer)]() mutable {
            const std::string_view all = text;
            w.write(all.substr(0, 1'000'000));
            const std::string_view pieces[] = {all.substr(1'000'000, 1), {}, all.substr(1'000'001)};
            w.writev(pieces);
        });   // closes the writer
        CHECK(reader.read() == text);
        writing.get();
    });
}

TEST_CASE("pipe: it goes one way, and says so") {
    leak_check leaks;
    weft::run([] {
        auto reader_writer = weft::pipe();
        stream &reader = reader_writer.first, &writer = reader_writer.second;
        CHECK(error_of([&] { reader.write("x"); }) == EBADF);
        CHECK(error_of([&] { reader.write_eof(); }) == EBADF);
        CHECK(error_of([&] { writer.read(1); }) == EBADF);
        CHECK(message_of<std::system_error>([&] { reader.write("x"); }).find("only be read from") != std::string::npos);
        CHECK_THROWS_AS(reader.get_socket(), weft::invalid_state);
        CHECK(reader.local_endpoint().size() == 0);
        writer.write("still works");
        CHECK(reader.read(100) == "still works");
    });
}

TEST_CASE("pipe: a reader that is gone is broken_pipe for the writer, and no signal") {
    leak_check leaks;
    struct sigaction before;
    REQUIRE(::sigaction(SIGPIPE, nullptr, &before) == 0);
    CHECK(before.sa_handler == SIG_DFL);   // it would kill this program
    weft::run([] {
        auto reader_writer = weft::pipe();
        stream &reader = reader_writer.first, &writer = reader_writer.second;
        auto writing = start([&, w = std::move(writer)]() mutable { return error_of([&] { w.write(std::string(1 << 20, 'x')); }); });
        CHECK_FALSE(writing.done());
        reader.close();
        CHECK(writing.get() == EPIPE);
        auto other_second = weft::pipe();
        stream &other = other_second.first, &second = other_second.second;
        other.close();
        CHECK(error_of([&] { second.write("x"); }) == EPIPE);
        CHECK(error_of([&] { second.write("x"); }) == EPIPE);
    });
    sigset_t pending;
    ::sigpending(&pending);
    CHECK(::sigismember(&pending, SIGPIPE) == 0);
}

TEST_CASE("pipe: where the system does not keep SIGPIPE back, it is blocked, and taken back if it was raised by that write") {
    leak_check leaks;
    raw_pipe pipe;
    char byte = 'x';
    const iovec piece{&byte, 1};
    CHECK(weft::detail::write_with_signal_blocked(pipe.ends[1], {&piece, 1}) == 1);
    ::close(pipe.take(0));
    const auto pending = [] {
        sigset_t set;
        ::sigpending(&set);
        return ::sigismember(&set, SIGPIPE) == 1;
    };
    const auto blocked = [] {
        sigset_t set;
        ::pthread_sigmask(SIG_BLOCK, nullptr, &set);
        return ::sigismember(&set, SIGPIPE) == 1;
    };
    errno = 0;
    CHECK(weft::detail::write_with_signal_blocked(pipe.ends[1], {&piece, 1}) == -1);
    CHECK(errno == EPIPE);
    CHECK_FALSE(pending());
    CHECK_FALSE(blocked());

    // One that somebody else has raised stays.
    sigset_t sigpipe;
    ::sigemptyset(&sigpipe);
    ::sigaddset(&sigpipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &sigpipe, nullptr);
    ::raise(SIGPIPE);
    CHECK(weft::detail::write_with_signal_blocked(pipe.ends[1], {&piece, 1}) == -1);
    CHECK(pending());
    const timespec at_once{};
    CHECK(::sigtimedwait(&sigpipe, nullptr, &at_once) == SIGPIPE);
    ::pthread_sigmask(SIG_UNBLOCK, &sigpipe, nullptr);
}

TEST_CASE("pipe: a cancelled read loses nothing, at whatever byte it comes") {
    leak_check leaks;
    weft::run([] {
        for (std::size_t cut = 0; cut < 10; ++cut) {
            auto reader_writer = weft::pipe();
            stream &reader = reader_writer.first, &writer = reader_writer.second;
            const std::string text = "0123456789";
            auto reading = start([&] { reader.read_exactly(10); });
            writer.write(text.substr(0, cut));
            turns(3);
            reading.cancel();
            reading.join();
            CHECK(reading.cancelled());
            writer.write(text.substr(cut));
            CHECK(reader.read_exactly(10) == text);
        }
    });
}

TEST_CASE("pipe: a cancelled write leaves the writer fit for the next") {
    leak_check leaks;
    weft::run([] {
        auto reader_writer = weft::pipe();
        stream &reader = reader_writer.first, &writer = reader_writer.second;
        auto writing = start([&] { writer.write(std::string(1 << 20, 'a')); });
        CHECK_FALSE(writing.done());
        writing.cancel();
        writing.join();
        CHECK(writing.cancelled());
        auto rest = start([&, w = std::move(writer)]() mutable { w.write("end"); });
        const std::string got = reader.read();
        CHECK(got.size() > 3);
        CHECK(got.find_first_not_of('a') == got.size() - 3);
        CHECK(got.ends_with("end"));
        rest.get();
    });
}

TEST_CASE("pipe: a small write that is cancelled has written nothing") {
    leak_check leaks;
    weft::run([] {
        auto reader_writer = weft::pipe();
        stream &reader = reader_writer.first, &writer = reader_writer.second;
        auto filling = start([&] { writer.write(std::string(1 << 20, 'a')); });
        filling.cancel();
        filling.join();
        auto writing = start([&] { writer.write(std::string(100, 'b')); });
        CHECK_FALSE(writing.done());
        writing.cancel();
        writing.join();
        writer.close();
        CHECK(reader.read().find('b') == std::string::npos);
    });
}

TEST_CASE("pipe: closing wakes who waits in it with bad_file_descriptor") {
    leak_check leaks;
    weft::run([] {
        auto reader_writer = weft::pipe();
        stream &reader = reader_writer.first, &writer = reader_writer.second;
        auto reading = start([&] { return error_of([&] { reader.read(1); }); });
        auto writing = start([&] { return error_of([&] { writer.write(std::string(1 << 20, 'x')); }); });
        turns(2);
        writer.close();
        CHECK(writing.get() == EBADF);
        reader.close();
        reading.join();
        CHECK((reading.get() == EBADF || reading.get() == 0));   // it may have got bytes before
        CHECK(error_of([&] { reader.read(1); }) == EBADF);

        auto idle_other = weft::pipe();
        stream& idle = idle_other.first;
        auto waiting = start([&] { return error_of([&] { idle.read(1); }); });
        turns(2);
        idle.close();
        CHECK(waiting.get() == EBADF);
        idle.close();
    });
}

TEST_CASE("pipe: destroying an end under a waiting call ends the call") {
    leak_check leaks;
    weft::run([] {
        auto ends = std::make_unique<std::pair<stream, stream>>(weft::pipe());
        auto reading = start([&r = ends->first] { return error_of([&] { r.read(1); }); });
        turns(1);
        ends.reset();
        CHECK(reading.get() == EBADF);
    });
}

TEST_CASE("pipe: a timeout, an end and a failure are different") {
    leak_check leaks;
    virtual_clock clock;
    weft::run([] {
        auto reader_writer = weft::pipe();
        stream &reader = reader_writer.first, &writer = reader_writer.second;
        CHECK_THROWS_AS(weft::timeout(1s, [&] { reader.read(1); }), weft::timeout_error);
        CHECK_FALSE(reader.at_eof());
        writer.close();
        CHECK(reader.read(1).empty());
        CHECK(reader.at_eof());
    });
}

TEST_CASE("pipe: its descriptors are closed in programs that are executed") {
    leak_check leaks;
    const auto before = open_now();
    auto ends = weft::pipe();
    const auto fresh = opened_since(before);
    CHECK(fresh.size() == 2);
    for (const int fd : fresh) CHECK(close_on_exec(fd));
}

TEST_CASE("pipe: without descriptors left it says so, and leaves none open") {
    leak_check leaks;
    rlimit before;
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const int first = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    rlimit few = before;
    few.rlim_cur = static_cast<rlim_t>(first) + 1;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
    const int error = error_of([] { weft::pipe(); });
    ::setrlimit(RLIMIT_NOFILE, &before);
    ::close(first);
    CHECK(error == EMFILE);
}

TEST_CASE("pipe: a limit of nothing is refused before anything is opened") {
    leak_check leaks;
    CHECK_THROWS_AS(weft::pipe(0), std::invalid_argument);
}

TEST_CASE("pipe: calls that need not wait work in a loop callback, others say that they cannot") {
    leak_check leaks;
    weft::run([] {
        auto ends = weft::pipe();
        std::string got;
        bool refused = false;
        weft::get_running_loop().call_soon([&] {
            ends.second.write("now");
            got = ends.first.read(10);
            try {
                ends.first.read(10);
            } catch (const weft::no_running_task&) {
                refused = true;
            }
        });
        turns(2);
        CHECK(got == "now");
        CHECK(refused);
    });
    auto ends = weft::pipe();
    CHECK_THROWS_AS(ends.first.read(1), weft::no_running_loop);
}

TEST_CASE("pipe: an end can be used on another loop afterwards") {
    leak_check leaks;
    auto ends = weft::pipe();
    weft::run([&] {
        ends.second.write("first");
        CHECK(ends.first.read(100) == "first");
        auto reading = start([&] { ends.first.read(1); });
        turns(1);
        reading.cancel();
        reading.join();
    });
    weft::run([&] {
        auto reading = start([&] { return ends.first.read(100); });
        turns(1);
        ends.second.write("second");
        CHECK(reading.get() == "second");
    });
}

TEST_CASE("connect_read_pipe, connect_write_pipe: take over the ends of a pipe that somebody else made") {
    leak_check leaks;
    weft::run([] {
        raw_pipe raw;
        stream reader = weft::connect_read_pipe(raw.take(0));
        stream writer = weft::connect_write_pipe(raw.take(1));
        auto reading = start([&] { return reader.read(); });
        writer.write("through");
        writer.close();
        CHECK(reading.get() == "through");
    });
}

TEST_CASE("connect_read_pipe: refuses what has no readiness, and leaves it to the caller") {
    leak_check leaks;
    temporary_folder folder;
    const int file = ::open((folder / "file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK_THROWS_AS(weft::connect_read_pipe(file), std::invalid_argument);
    CHECK_THROWS_AS(weft::connect_write_pipe(file), std::invalid_argument);
    CHECK(::close(file) == 0);
    CHECK(error_of([&] { weft::connect_read_pipe(file); }) == EBADF);
    raw_pipe raw;
    CHECK_THROWS_AS(weft::connect_read_pipe(raw.ends[0], 0), std::invalid_argument);
    CHECK(::fcntl(raw.ends[0], F_GETFD) >= 0);
    CHECK_FALSE(::fcntl(raw.ends[0], F_GETFL) & O_NONBLOCK);
}
