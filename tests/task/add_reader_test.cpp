// loop::add_reader, add_writer and their removal.

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>

#include <weft/context_var.hpp>
#include <weft/socket.hpp>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

namespace {

/// Two connected ends, closed at the end unless they were before.
struct ends {
    ends() { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) == 0); }
    ~ends() {
        for (int& f : fd) close(f);
    }
    ends(const ends&) = delete;
    ends& operator=(const ends&) = delete;
    static void close(int& f) {
        if (f >= 0) ::close(f);
        f = -1;
    }
    void say(const char* text) const { REQUIRE(::send(fd[1], text, std::strlen(text), 0) == static_cast<ssize_t>(std::strlen(text))); }
    static std::string take(int from, std::size_t at_most = 100) {
        std::string text(at_most, ' ');
        const ssize_t count = ::read(from, text.data(), at_most);
        text.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
        return text;
    }

    int fd[2];
};

/// Lets what the system has to say become callbacks, and those run; no time passes on the virtual clock but this.
void settle() {
    for (int i = 0; i < 3; ++i) sleep(1ms);
}

int error_of(const std::function<void()>& f) {
    try {
        f();
    } catch (const std::system_error& e) {
        return e.code().value();
    }
    return 0;
}

}  // namespace

TEST_CASE_METHOD(fixture, "add_reader: is called when there is something to read, again while something is left") {
    run([] {
        ends e;
        loop& l = get_running_loop();
        std::string got;
        l.add_reader(e.fd[0], [&] { got += ends::take(e.fd[0], 1); });
        settle();
        CHECK(got.empty());
        e.say("abc");
        for (int i = 0; i < 5; ++i) sleep(1ms);
        CHECK(got == "abc");
        CHECK(l.remove_reader(e.fd[0]));
        e.say("d");
        settle();
        CHECK(got == "abc");
        CHECK_FALSE(l.remove_reader(e.fd[0]));
    });
}

TEST_CASE_METHOD(fixture, "add_writer: is called while there is room, and is independent of the reader") {
    run([] {
        ends e;
        loop& l = get_running_loop();
        int writable = 0, readable = 0;
        l.add_reader(e.fd[0], [&] {
            ++readable;
            ends::take(e.fd[0]);
        });
        l.add_writer(e.fd[0], [&] {
            if (++writable == 3) l.remove_writer(e.fd[0]);
        });
        for (int i = 0; i < 10; ++i) sleep(1ms);
        CHECK(writable == 3);
        CHECK(readable == 0);
        e.say("x");
        settle();
        CHECK(readable == 1);
        CHECK(l.remove_reader(e.fd[0]));
        CHECK_FALSE(l.remove_writer(e.fd[0]));
    });
}

TEST_CASE_METHOD(fixture, "add_reader: replaces the one that was there, and frees it") {
    run([] {
        ends e;
        loop& l = get_running_loop();
        notes log;
        l.add_reader(e.fd[0], [&, c = counted()] { log.push_back("first"); });
        CHECK(counted::live == 1);
        l.add_reader(e.fd[0], [&] {
            log.push_back("second");
            ends::take(e.fd[0]);
        });
        CHECK(counted::live == 0);
        e.say("x");
        settle();
        CHECK(log == notes{"second"});
        l.remove_reader(e.fd[0]);
    });
}

TEST_CASE_METHOD(fixture, "add_reader: one that is due and is removed or replaced before its turn is not called") {
    run([] {
        ends a, b;
        loop& l = get_running_loop();
        notes log;
        const auto first_removes_other = [&](const ends& self, const ends& other, const char* name) {
            return [&, name] {
                log.push_back(name);
                l.remove_reader(self.fd[0]);
                l.remove_reader(other.fd[0]);
            };
        };
        l.add_reader(a.fd[0], first_removes_other(a, b, "one"));
        l.add_reader(b.fd[0], first_removes_other(b, a, "one"));
        a.say("x");
        b.say("x");   // both are due in the same turn
        settle();
        CHECK(log == notes{"one"});
    });
}

TEST_CASE_METHOD(fixture, "add_reader: a callback may replace and remove itself while it runs") {
    run([] {
        ends e;
        loop& l = get_running_loop();
        notes log;
        l.add_reader(e.fd[0], [&, c = std::make_shared<counted>(5)] {
            const int value = c->value;
            l.add_reader(e.fd[0], [&] {
                log.push_back("second");
                l.remove_reader(e.fd[0]);
            });
            log.push_back("first " + std::to_string(c->value == value ? c->value : -1));
        });
        e.say("x");
        for (int i = 0; i < 5; ++i) sleep(1ms);
        CHECK(log == notes{"first 5", "second"});
        CHECK(counted::live == 0);
    });
}

TEST_CASE_METHOD(fixture, "add_reader: takes what can only be moved, and what it throws is reported; it stays") {
    reports told;
    run([&] {
        ends e;
        told.install();
        loop& l = get_running_loop();
        l.add_reader(e.fd[0], [&, left = std::make_unique<int>(2)] {
            if (--*left == 0) l.remove_reader(e.fd[0]);
            throw std::runtime_error("broken");
        });
        e.say("x");
        for (int i = 0; i < 5; ++i) sleep(1ms);
    });
    REQUIRE(told.seen.size() == 2);
    CHECK(told.seen[1].exception == "broken");
}

TEST_CASE_METHOD(fixture, "add_reader: runs with the context of who added it, which keeps what it sets") {
    static context_var<int> number(0);
    run([] {
        ends e;
        loop& l = get_running_loop();
        std::vector<int> seen;
        number.set(10);
        l.add_reader(e.fd[0], [&] {
            seen.push_back(number.get());
            number.set(number.get() + 1);
            if (seen.size() == 2) l.remove_reader(e.fd[0]);
        });
        number.set(20);
        e.say("x");
        for (int i = 0; i < 5; ++i) sleep(1ms);
        CHECK(seen == std::vector<int>{10, 11});
        CHECK(number.get() == 20);
    });
}

TEST_CASE_METHOD(fixture, "add_reader: hang-up and failure are told to reader and writer") {
    run([] {
        ends e;
        loop& l = get_running_loop();
        notes log;
        std::string got = "nothing";
        l.add_reader(e.fd[0], [&] {
            got = ends::take(e.fd[0]);
            l.remove_reader(e.fd[0]);
        });
        ends::close(e.fd[1]);
        settle();
        CHECK(got.empty());   // end of file
        bool told = false;
        int pipe[2];
        REQUIRE(::pipe2(pipe, O_NONBLOCK | O_CLOEXEC) == 0);
        while (::write(pipe[1], "0123456789abcdef", 16) > 0) {}
        l.add_writer(pipe[1], [&] {
            told = true;
            l.remove_writer(pipe[1]);
        });
        settle();
        CHECK_FALSE(told);
        ::close(pipe[0]);   // EPOLLERR
        settle();
        CHECK(told);
        ::close(pipe[1]);
    });
}

TEST_CASE_METHOD(fixture, "add_reader: a descriptor that is none is refused, and so is a file that cannot be watched") {
    run([] {
        loop& l = get_running_loop();
        CHECK(thrown_by<std::invalid_argument>([&] { l.add_reader(-1, [] {}); }) ==
              "loop::add_reader: fd=-1: is no descriptor");
        int closed = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
        ::close(closed);
        CHECK(error_of([&] { l.add_reader(closed, [c = counted()] {}); }) == EBADF);
        CHECK(thrown_by<std::system_error>([&] { l.add_writer(closed, [] {}); }).find("loop::add_writer of descriptor") == 0);
        const int file = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        REQUIRE(file >= 0);
        CHECK(error_of([&] { l.add_reader(file, [c = counted()] {}); }) == EPERM);
        CHECK_FALSE(l.remove_reader(file));
        ::close(file);
        CHECK(counted::live == 0);
    });
}

TEST_CASE_METHOD(fixture, "add_reader: a number that was closed and is another file now works, whatever is left of the old one") {
    run([] {
        loop& l = get_running_loop();
        ends old, fresh;
        const int number = old.fd[0];
        const int duplicate = ::fcntl(number, F_DUPFD_CLOEXEC, 0);   // keeps the old file alive in the set
        notes log;
        l.add_reader(number, [&] { log.push_back("old"); });
        REQUIRE(::dup3(fresh.fd[0], number, O_CLOEXEC) == number);
        l.add_reader(number, [&] {
            log.push_back("fresh");
            ends::take(number);
        });
        old.say("x");   // nobody's any more
        settle();
        CHECK(log.empty());
        fresh.say("x");
        settle();
        CHECK(log == notes{"fresh"});
        CHECK(l.remove_reader(number));
        ::close(duplicate);
    });
}

TEST_CASE_METHOD(fixture, "remove_reader: also after the file was closed, while a duplicate of it lives") {
    run([] {
        loop& l = get_running_loop();
        ends e, other;
        const int duplicate = ::fcntl(e.fd[0], F_DUPFD_CLOEXEC, 0);
        bool called = false, others = false;
        const int number = e.fd[0];
        l.add_reader(number, [&] { called = true; });
        l.add_reader(other.fd[0], [&] {
            others = true;
            ends::take(other.fd[0]);
        });
        ends::close(e.fd[0]);
        CHECK(l.remove_reader(number));
        CHECK_FALSE(l.remove_reader(number));
        e.say("x");
        other.say("x");
        settle();
        CHECK_FALSE(called);
        CHECK(others);
        l.remove_reader(other.fd[0]);
        ::close(duplicate);
    });
}

TEST_CASE_METHOD(fixture, "add_reader: beside a socket that waits for the same file") {
    run([] {
        ends e;
        weft::socket s(::fcntl(e.fd[0], F_DUPFD_CLOEXEC, 0));
        loop& l = get_running_loop();
        const auto read_one = [&] {
            std::byte buffer[1];
            return s.recv(buffer);
        };
        for (const bool socket_first : {true, false}) {
            int told = 0;
            task<std::size_t> reading;
            if (socket_first) {
                reading = create_task(read_one);
                settle();
            }
            l.add_reader(s.native_handle(), [&] { ++told; });
            if (!socket_first) reading = create_task(read_one);
            settle();
            CHECK(told == 0);
            e.say("x");
            CHECK(reading.get() == 1);
            l.remove_reader(s.native_handle());
            e.say("y");
            CHECK(read_one() == 1);
        }
    });
}

TEST_CASE_METHOD(fixture, "add_reader: beside wait_readable for the same file") {
    run([] {
        ends e;
        loop& l = get_running_loop();
        bool told = false;
        l.add_reader(e.fd[0], [&] {
            told = true;
            l.remove_reader(e.fd[0]);
        });
        auto waiting = create_task([&] { wait_readable(e.fd[0]); });
        settle();
        CHECK_FALSE(waiting.done());
        e.say("x");
        waiting.get();
        settle();
        CHECK(told);
    });
}

TEST_CASE_METHOD(fixture, "add_reader: what is still there when the loop ends is freed, and what that adds, too") {
    ends e;
    static int number;
    number = e.fd[0];
    struct adds_another {
        std::shared_ptr<counted> last = std::make_shared<counted>();
        ~adds_another() {
            if (last && last.use_count() == 1) get_running_loop().add_reader(number, [c = counted()] {});
        }
        adds_another() = default;
        adds_another(adds_another&&) = default;
    };
    run([&] {
        get_running_loop().add_reader(e.fd[0], [a = adds_another()] {});
        get_running_loop().add_reader(e.fd[1], [c = counted()] {});
        settle();
    });
    CHECK(counted::live == 0);
}

TEST_CASE_METHOD(fixture, "add_reader: many files, each tells of itself") {
    run([] {
        std::vector<std::unique_ptr<ends>> all;
        loop& l = get_running_loop();
        std::vector<int> told(150, 0);
        for (std::size_t i = 0; i < told.size(); ++i) {
            all.push_back(std::make_unique<ends>());
            l.add_reader(all[i]->fd[0], [&, i] {
                ++told[i];
                ends::take(all[i]->fd[0]);
            });
            all[i]->say("x");
        }
        for (int i = 0; i < 8; ++i) sleep(1ms);
        CHECK(told == std::vector<int>(150, 1));
        for (const auto& e : all) CHECK(l.remove_reader(e->fd[0]));
    });
}
