// Files that weft does not own: poll_fd for one wait, watches for callbacks.

#include <catch2/catch.hpp>

#include <poll.h>
#include <sys/epoll.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bare_loop.hpp"
#include "engine/open_files.hpp"
#include "leak_check.hpp"

using namespace std::chrono_literals;
using namespace weft_test;
using weft::engine_layer::direction;
using weft::engine_layer::watch;

namespace {

/// A watch that calls a function, until it is destroyed.
struct called : watch {
    called(engine& e, int file, unsigned what, std::function<void(called&, unsigned)> call)
        : on(e), f(std::move(call)) {
        fd = file;
        events = what;
        ready = [](watch& w, unsigned came) noexcept {
            auto& self = static_cast<called&>(w);
            ++self.calls;
            auto keep = self.f;   // the watch may be destroyed in its callback
            keep(self, came);
        };
        REQUIRE(on.add(*this) == 0);
    }
    ~called() { end(); }
    void end() {
        if (fd >= 0) on.remove(*this);
        fd = -1;
    }

    engine& on;
    std::function<void(called&, unsigned)> f;
    int calls = 0;
};

}  // namespace

TEST_CASE_METHOD(leak_check, "poll_fd: it waits for a pipe and a socket, and tells what has come") {
    bare_loop loop;
    ends pipe = pipe_ends();
    const int before = watched_files(loop.engine());
    std::vector<ssize_t> events;
    loop.start([&] {
        events.push_back(loop.engine().poll_fd(fd_of(*pipe.second), direction::write, no_deadline, "test").value());
        events.push_back(loop.engine().poll_fd(fd_of(*pipe.first), direction::read, no_deadline, "test").value());
        events.push_back(loop.engine().poll_fd(fd_of(*pipe.first), direction::read, no_deadline, "test").value());
    });
    loop.settle();
    CHECK(events.size() == 1);
    CHECK(watches_files(loop.engine(), before + 1));
    put(*pipe.second, "x");
    loop.run();
    REQUIRE(events.size() == 3);
    CHECK((events[0] & POLLOUT) != 0);
    CHECK((events[1] & POLLIN) != 0);
    CHECK((events[2] & POLLIN) != 0);
    CHECK(watches_files(loop.engine(), before));
}

TEST_CASE_METHOD(leak_check, "poll_fd: the end of a pipe is an event") {
    bare_loop loop;
    ends reader_stays = pipe_ends(), writer_stays = pipe_ends();
    fill(*writer_stays.second);
    ssize_t read_events = 0, write_events = 0;
    loop.start([&] {
        read_events = loop.engine().poll_fd(fd_of(*reader_stays.first), direction::read, no_deadline, "test").value();
    });
    loop.start([&] {
        write_events = loop.engine().poll_fd(fd_of(*writer_stays.second), direction::write, no_deadline, "test").value();
    });
    loop.settle();
    CHECK(read_events == 0);
    CHECK(write_events == 0);
    reader_stays.second.reset();
    writer_stays.first.reset();
    loop.run();
    CHECK((read_events & POLLHUP) != 0);
    CHECK((write_events & POLLERR) != 0);
}

TEST_CASE_METHOD(leak_check, "poll_fd: a regular file is always ready, a closed number never was open") {
    bare_loop loop;
    const int file = ::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    REQUIRE(file >= 0);
    std::vector<std::string> log;
    loop.start([&] {
        log.push_back(loop.engine().poll_fd(file, direction::read, no_deadline, "test").ok() ? "ready" : "not");
        log.push_back(loop.engine().poll_fd(file, direction::write, no_deadline, "test").ok() ? "ready" : "not");
        log.push_back(told(loop.engine().poll_fd(-1, direction::read, time_point::min(), "test")));
        log.push_back(told(loop.engine().poll_fd(100'000, direction::read, time_point::min(), "test")));
    });
    loop.run();
    ::close(file);
    CHECK(log == std::vector<std::string>{"ready", "ready", error_text(EBADF), error_text(EBADF)});
}

TEST_CASE_METHOD(leak_check, "poll_fd: many fibers wait for one file, in both directions, beside a descriptor and a duplicate") {
    bare_loop loop;
    ends pair = socket_pair();
    fill(*pair.first);
    const int copy = ::fcntl(fd_of(*pair.first), F_DUPFD_CLOEXEC, 0);
    int readable = 0, writable = 0;
    std::string text;
    for (int i = 0; i < 5; ++i) {
        const int fd = i % 2 ? copy : fd_of(*pair.first);
        loop.start([&, fd] { readable += loop.engine().poll_fd(fd, direction::read, no_deadline, "test").ok(); });
        loop.start([&, fd] { writable += loop.engine().poll_fd(fd, direction::write, no_deadline, "test").ok(); });
    }
    loop.start([&] {
        loop.engine().poll(*pair.first, direction::read, no_deadline);
        text = "descriptor";
    });
    loop.settle();
    CHECK(readable + writable == 0);
    put(*pair.second, "x");
    loop.settle();
    CHECK(readable == 5);
    CHECK(writable == 0);
    CHECK(text == "descriptor");
    drain(*pair.second);
    loop.run();
    CHECK(writable == 5);
    ::close(copy);
}

TEST_CASE_METHOD(leak_check, "poll_fd: after a wait that ended otherwise nothing is registered, and the file can be waited for again") {
    bare_loop loop;
    ends pipe = pipe_ends();
    const int before = watched_files(loop.engine());
    std::vector<std::string> log;
    auto wait = [&](time_point deadline) {
        log.push_back(told(loop.engine().poll_fd(fd_of(*pipe.first), direction::read, deadline, "test")));
        CHECK(watches_files(loop.engine(), before));
    };
    bare_loop::job* job = &loop.start([&] {
        wait(time_point::min());
        wait(no_deadline);
        job->take_cancellation();
        wait(no_deadline);
    });
    while (log.empty()) loop.turn();
    loop.settle();
    job->cancel();
    loop.settle();
    put(*pipe.second, "x");
    loop.run();
    CHECK(log == std::vector<std::string>{"timed out", "cancelled", std::to_string(POLLIN)});
}

TEST_CASE_METHOD(leak_check, "poll_fd: a parked fiber says what its caller said it waits for") {
    bare_loop loop;
    ends pipe = pipe_ends();
    auto& job = loop.start([&] { loop.engine().poll_fd(fd_of(*pipe.first), direction::read, no_deadline, "the call"); });
    loop.settle();
    REQUIRE((job.on && job.on->waiting));
    CHECK(job.on->waiting->what() == std::string("the call"));
    put(*pipe.second, "x");
    loop.run();
}

TEST_CASE_METHOD(leak_check, "watch: it is called for as long as the file is ready, and only then") {
    bare_loop loop;
    ends pipe = pipe_ends();
    called w(loop.engine(), fd_of(*pipe.first), EPOLLIN, [&](called& self, unsigned events) {
        CHECK((events & EPOLLIN) != 0);
        if (self.calls == 3) drain(*pipe.first);
    });
    loop.turn();
    CHECK(w.calls == 0);
    put(*pipe.second, "x");
    for (int i = 0; i < 10; ++i) loop.turn();
    CHECK(w.calls == 3);
    put(*pipe.second, "x");
    loop.turn();
    CHECK(w.calls == 4);
}

TEST_CASE_METHOD(leak_check, "watch: what it waits for is changed, from outside and in its own callback") {
    bare_loop loop;
    ends pair = socket_pair();
    std::vector<unsigned> came;
    called w(loop.engine(), fd_of(*pair.first), EPOLLIN, [&](called& self, unsigned events) {
        came.push_back(events);
        self.events = 0;
        CHECK(self.on.modify(self) == 0);
    });
    loop.turn();
    CHECK(came.empty());
    w.events = EPOLLOUT;
    CHECK(loop.engine().modify(w) == 0);
    loop.turn();
    loop.turn();
    CHECK(came == std::vector<unsigned>{EPOLLOUT});
    put(*pair.second, "x");
    loop.turn();
    CHECK(came.size() == 1);
    w.events = EPOLLIN | EPOLLOUT;
    CHECK(loop.engine().modify(w) == 0);
    loop.turn();
    CHECK(came == std::vector<unsigned>{EPOLLOUT, EPOLLIN | EPOLLOUT});
}

TEST_CASE_METHOD(leak_check, "watch: errors are told by value") {
    bare_loop loop;
    ends pipe = pipe_ends();
    called w(loop.engine(), fd_of(*pipe.first), EPOLLIN, [](called&, unsigned) {});
    watch second;
    second.fd = w.fd;
    second.events = EPOLLIN;
    CHECK(loop.engine().add(second) == -EEXIST);
    second.fd = 100'000;
    CHECK(loop.engine().add(second) == -EBADF);
    second.fd = fd_of(*pipe.second);
    CHECK(loop.engine().modify(second) == -ENOENT);
    const int file = ::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    second.fd = file;
    CHECK(loop.engine().add(second) == -EPERM);
    ::close(file);
}

TEST_CASE_METHOD(leak_check, "watch: one that ends itself in its callback, and is destroyed there, is not called again") {
    bare_loop loop;
    ends pipe = pipe_ends();
    int calls = 0;
    std::unique_ptr<called> w;
    w = std::make_unique<called>(loop.engine(), fd_of(*pipe.first), EPOLLIN, [&](called&, unsigned) {
        ++calls;
        w.reset();
    });
    put(*pipe.second, "x");
    for (int i = 0; i < 5; ++i) loop.turn();
    CHECK(calls == 1);
    // The file can be watched again.
    called again(loop.engine(), fd_of(*pipe.first), EPOLLIN, [&](called& self, unsigned) { self.end(); });
    loop.turn();
    CHECK(again.calls == 1);
}

TEST_CASE_METHOD(leak_check, "watch: one that ends another, whose event is in the same batch, keeps it from being called") {
    for (int round = 0; round < 2; ++round) {
        bare_loop loop;
        ends pipes[2] = {pipe_ends(), pipe_ends()};
        std::unique_ptr<called> watches[2];
        int calls = 0;
        for (int i = 0; i < 2; ++i)
            watches[i] = std::make_unique<called>(loop.engine(), fd_of(*pipes[i].first), EPOLLIN, [&, i](called& self, unsigned) {
                ++calls;
                self.end();
                watches[1 - i].reset();
            });
        put(*pipes[round].second, "x");
        put(*pipes[1 - round].second, "x");
        loop.turn();
        loop.turn();
        CHECK(calls == 1);
    }
}

TEST_CASE_METHOD(leak_check, "watch: a new one in the memory and for the number of one that ended in the batch gets only its own events") {
    bare_loop loop;
    ends first = pipe_ends(), second = pipe_ends();
    alignas(called) unsigned char place[sizeof(called)];
    called* victim = nullptr;
    int old_calls = 0, new_calls = 0;
    called killer(loop.engine(), fd_of(*first.first), EPOLLIN, [&](called& self, unsigned) {
        self.end();
        if (old_calls) return;
        const int number = fd_of(*second.first);
        victim->~called();
        drain(*second.first);   // the event that is in the batch has no cause any more
        victim = new (place) called(loop.engine(), number, EPOLLIN, [&](called& w, unsigned) {
            ++new_calls;
            w.end();
        });
    });
    victim = new (place) called(loop.engine(), fd_of(*second.first), EPOLLIN, [&](called& w, unsigned) {
        ++old_calls;
        w.end();
    });
    put(*first.second, "x");
    put(*second.second, "x");
    loop.turn();
    CHECK(old_calls + new_calls <= 1);
    const int before = new_calls;
    loop.turn();
    CHECK(new_calls == before);
    if (!old_calls) {
        put(*second.second, "x");
        loop.turn();
        CHECK(new_calls == 1);
    }
    victim->~called();
}

TEST_CASE_METHOD(leak_check, "watch: callbacks add others, for new files, and wake fibers") {
    bare_loop loop;
    ends first = pipe_ends(), second = pipe_ends();
    std::vector<std::unique_ptr<called>> watches;
    bool woken = false;
    weft::detail::waiter* parked = nullptr;
    weft::detail::gate gate;
    loop.start([&] {
        weft::detail::waiter self("test");
        parked = &self;
        weft::detail::park(self);
        woken = true;
    });
    loop.settle();
    put(*second.second, "x");
    watches.push_back(std::make_unique<called>(loop.engine(), fd_of(*first.first), EPOLLIN, [&](called& self, unsigned) {
        self.end();
        watches.push_back(std::make_unique<called>(loop.engine(), fd_of(*second.first), EPOLLIN, [&](called& other, unsigned) {
            other.end();
            weft::detail::gate_lock lock(gate);
            if (parked->claim(lock)) weft::detail::waiter::wake(*parked);
        }));
    }));
    put(*first.second, "x");
    loop.run();
    CHECK(woken);
}

TEST_CASE_METHOD(leak_check, "watch: a descriptor of the same file waits beside it") {
    bare_loop loop;
    ends pair = socket_pair();
    const int copy = ::fcntl(fd_of(*pair.first), F_DUPFD_CLOEXEC, 0);
    called w(loop.engine(), copy, EPOLLIN, [](called& self, unsigned) { self.end(); });
    ssize_t events = 0;
    loop.start([&] { events = loop.engine().poll(*pair.first, direction::read, no_deadline).value(); });
    loop.settle();
    put(*pair.second, "x");
    loop.run();
    loop.turn();
    CHECK(w.calls == 1);
    CHECK((events & POLLIN) != 0);
    ::close(copy);
}
