// Calls on files: made without blocking the loop, and what a cancellation does to those that wait, run or have ended.

#include <catch2/catch.hpp>

#include <sys/stat.h>

#include <chrono>
#include <csignal>
#include <string>
#include <vector>

#include "bare_loop.hpp"
#include "engine/open_files.hpp"
#include "leak_check.hpp"
#include "rounds.hpp"

using namespace std::chrono_literals;
using namespace weft_test;
using weft::engine_layer::file_call;
using weft::engine_layer::try_call;

namespace {

/// A named pipe. Opening one end blocks until the other is opened: a call that takes as long as a test wants.
class fifo {
public:
    fifo() { REQUIRE(::mkfifo(path.c_str(), 0600) == 0); }
    ~fifo() { ::unlink(path.c_str()); }
    /// Opens the writing end, for one who reads; false: nobody has the reading end open, or is opening it.
    bool answer() {
        const int fd = ::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0) return false;
        ::close(fd);
        return true;
    }
    std::string path = "/tmp/weft-fifo-" + std::to_string(::getpid()) + "-" + std::to_string(++count);
    static inline int count = 0;
};

}  // namespace

TEST_CASE_METHOD(leak_check, "file_call: a file is made, written, read, measured, cut, synced and closed") {
    bare_loop loop;
    const std::string path = "/tmp/weft-file-" + std::to_string(::getpid());
    auto run = [&](file_call c) { return loop.engine().perform(c, "test"); };
    loop.start([&] {
        CHECK(run(file_call::open((path + "/none").c_str(), O_RDONLY)).error() == ENOENT);
        const io_result opened = run(file_call::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600));
        REQUIRE(opened.ok());
        const int fd = static_cast<int>(opened.value());
        CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
        CHECK(run(file_call::write(fd, "hello ", 6)).value() == 6);
        CHECK(run(file_call::write(fd, "world", 5)).value() == 5);
        CHECK(run(file_call::write(fd, "W", 1, 6)).value() == 1);
        CHECK(run(file_call::sync(fd)).value() == 0);
        CHECK(run(file_call::data_sync(fd)).value() == 0);
        char bytes[32];
        CHECK(told(run(file_call::read(fd, bytes, sizeof bytes)), bytes) == "end");
        CHECK(told(run(file_call::read(fd, bytes, sizeof bytes, 0)), bytes) == "hello World");
        CHECK(::lseek(fd, 3, SEEK_SET) == 3);
        CHECK(told(run(file_call::read(fd, bytes, 4)), bytes) == "lo W");
        CHECK(told(run(file_call::read(fd, bytes, 2)), bytes) == "or");
        struct statx status{};
        CHECK(run(file_call::stat(fd, status)).value() == 0);
        CHECK(status.stx_size == 11);
        CHECK(run(file_call::truncate(fd, 5)).value() == 0);
        CHECK(run(file_call::stat(path.c_str(), status)).value() == 0);
        CHECK(status.stx_size == 5);
        CHECK((status.stx_mode & 0777) == 0600);
        CHECK(run(file_call::close(fd)).value() == 0);
        CHECK(run(file_call::close(fd)).error() == EBADF);
        CHECK(run(file_call::read(fd, bytes, 1)).error() == EBADF);
        CHECK(run(file_call::sync(fd)).error() == EBADF);
    });
    loop.run();
    ::unlink(path.c_str());
}

TEST_CASE_METHOD(leak_check, "file_call: a hundred fibers copy blocks of one file into another at once") {
    bare_loop loop;
    const int from = ::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), to = ::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    constexpr std::size_t blocks = 100, size = 10'000;
    std::vector<char> content(blocks * size), copied(blocks * size);
    for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 31 + (i >> 8));
    REQUIRE(::pwrite(from, content.data(), content.size(), 0) == static_cast<ssize_t>(content.size()));
    for (std::size_t b = 0; b < blocks; ++b)
        loop.start([&, b] {
            char bytes[size];
            const auto at = static_cast<off_t>(b * size);
            REQUIRE(loop.engine().perform(file_call::read(from, bytes, size, at), "test").value() == size);
            REQUIRE(loop.engine().perform(file_call::write(to, bytes, size, at), "test").value() == size);
            REQUIRE(loop.engine().perform(file_call::data_sync(to), "test").ok());
        });
    loop.run();
    REQUIRE(::pread(to, copied.data(), copied.size(), 0) == static_cast<ssize_t>(copied.size()));
    CHECK(content == copied);
    ::close(from);
    ::close(to);
}

TEST_CASE("file_call: a regular file whose name is known is opened for reading at once, with the flags that were asked for") {
    const std::string path = "/tmp/weft-known-" + std::to_string(::getpid());
    const int made = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    REQUIRE(made >= 0);
    REQUIRE(::write(made, "known", 5) == 5);
    for (const int flags : {0, O_NONBLOCK, O_APPEND}) {
        const ssize_t fd = try_call(file_call::open(path.c_str(), O_RDONLY | flags));
        if (fd == -EAGAIN) {   // a kernel that cannot tell whether it knows a name
            WARN("no open is made at once here");
            break;
        }
        REQUIRE(fd >= 0);
        CHECK((::fcntl(static_cast<int>(fd), F_GETFL) & (O_ACCMODE | O_NONBLOCK | O_APPEND)) == flags);
        CHECK(::fcntl(static_cast<int>(fd), F_GETFD) == FD_CLOEXEC);
        char bytes[8];
        CHECK(::read(static_cast<int>(fd), bytes, sizeof bytes) == 5);
        ::close(static_cast<int>(fd));
    }

    // What may wait, or does more than to open, is left to the call.
    for (const int flags : {O_RDONLY | O_CREAT, O_RDONLY | O_TRUNC, int{O_RDWR}, int{O_WRONLY}, O_RDONLY | O_DIRECTORY})
        CHECK(try_call(file_call::open(path.c_str(), flags)) == -EAGAIN);
    CHECK(try_call(file_call::open("/tmp", O_TMPFILE | O_RDWR)) == -EAGAIN);
    struct stat status;
    REQUIRE(::fstat(made, &status) == 0);
    CHECK(status.st_size == 5);   // nothing cut it off
    const std::string link = path + "-link";
    REQUIRE(::symlink(path.c_str(), link.c_str()) == 0);
    CHECK(try_call(file_call::open(link.c_str(), O_RDONLY | O_NOFOLLOW)) == -EAGAIN);
    ::unlink(link.c_str());
    ::close(made);

    // Who has a lease is told that somebody wants the file, and not waited for.
    const auto before = std::signal(SIGIO, SIG_IGN);
    const int holder = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (::fcntl(holder, F_SETLEASE, F_WRLCK) == 0) CHECK(try_call(file_call::open(path.c_str(), O_RDONLY)) == -EAGAIN);
    ::close(holder);
    std::signal(SIGIO, before);
    ::unlink(path.c_str());
}

TEST_CASE("file_call: an open of a FIFO is not tried, and nobody at its other end notices") {
    const fifo waiting;
    const int writer_fails = ::open(waiting.path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    CHECK(writer_fails < 0);
    CHECK(try_call(file_call::open(waiting.path.c_str(), O_RDONLY)) == -EAGAIN);
    CHECK(try_call(file_call::open("/dev/null", O_RDONLY)) == -EAGAIN);
}

TEST_CASE_METHOD(leak_check, "file_call: a call that blocks keeps neither the loop nor other calls from going on") {
    bare_loop loop;
    fifo pipe;
    int opened = -1, others = 0;
    loop.start([&] { opened = static_cast<int>(loop.engine().perform(file_call::open(pipe.path.c_str(), O_RDONLY), "test").value()); });
    loop.start([&] {
        for (int i = 0; i < 10; ++i) {
            struct statx status{};
            others += loop.engine().perform(file_call::stat("/tmp", status), "test").ok();
        }
        CHECK(opened == -1);
        while (!pipe.answer()) loop.scheduler().yield();
    });
    loop.run();
    CHECK(others == 10);
    REQUIRE(opened >= 0);
    ::close(opened);
}

TEST_CASE_METHOD(leak_check, "file_call: a cancellation that is pending keeps a call from being made, but a close is made") {
    bare_loop loop;
    const int fd = ::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    std::vector<std::string> log;
    auto& job = loop.start([&] {
        log.push_back(told(loop.engine().perform(file_call::write(fd, "x", 1), "test")));
        log.push_back(told(loop.engine().perform(file_call::sync(fd), "test")));
        log.push_back(told(loop.engine().perform(file_call::close(fd), "test")));
    });
    job.cancel();
    loop.run();
    CHECK(log == std::vector<std::string>{"cancelled", "cancelled", "end"});
    CHECK(::fcntl(fd, F_GETFD) < 0);
}

TEST_CASE_METHOD(leak_check, "file_call: one that is cancelled either was not made, or tells what it did, and the cancellation stays") {
    bare_loop loop;
    const int fd = ::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    int written = 0, cancelled = 0, odd = 0;
    const int count = rounds(2000);
    for (int i = 0; i < count; ++i) {
        bool asked = false;
        bare_loop::job* job = &loop.start([&] {
            struct statx status{};
            status.stx_size = 1;
            const io_result r = loop.engine().perform(file_call::stat(fd, status), "test");
            cancelled += r.is_cancelled();
            written += r.ok();
            odd += !r.is_cancelled() && !r.ok();
            odd += r.ok() && status.stx_size != 0;
            odd += asked && !job->take_cancellation();
        });
        for (int turn = 0; turn < i % 3; ++turn) loop.turn();
        asked = true;   // it may have ended before
        job->cancel();
        loop.run();
    }
    CHECK(odd == 0);
    CHECK(written + cancelled == count);
    CHECK(cancelled > 0);
    ::close(fd);
}

TEST_CASE_METHOD(leak_check, "file_call: io_uring interrupts an open that would take for ever, and tells that it was cancelled") {
    bare_loop loop;
    if (loop.engine().name() != std::string("io_uring")) return;   // a thread of the pool cannot be interrupted
    fifo pipe;
    std::string result;
    auto& job = loop.start([&] { result = told(loop.engine().perform(file_call::open(pipe.path.c_str(), O_RDONLY), "test")); });
    for (int i = 0; i < 3; ++i) loop.turn();
    CHECK(result.empty());
    job.cancel();
    loop.run();
    CHECK(result == "cancelled");
    CHECK_FALSE(pipe.answer());
}

TEST_CASE_METHOD(leak_check, "file_call: a parked fiber says what its caller said it waits for") {
    bare_loop loop;
    fifo pipe;
    int fd = -1;
    auto& job = loop.start([&] {
        fd = static_cast<int>(loop.engine().perform(file_call::open(pipe.path.c_str(), O_RDONLY), "the call").value());
    });
    loop.settle();
    REQUIRE((job.on && job.on->waiting));
    CHECK(job.on->waiting->what() == std::string("the call"));
    loop.start([&] {
        while (!pipe.answer()) loop.scheduler().yield();
    });
    loop.run();
    ::close(fd);
}
