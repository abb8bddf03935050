// The operations: what they transfer, how they wait, and every way in which a wait can end.
// descriptor_test.cpp has the life of a descriptor, watch_test.cpp files that weft does not own.

#include <catch2/catch.hpp>

#include <poll.h>
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "bare_loop.hpp"
#include "engine/open_files.hpp"
#include "leak_check.hpp"
#include "rounds.hpp"

using namespace std::chrono_literals;
using namespace weft_test;
using weft::engine_layer::direction;

namespace {

/// An operation that has to wait, and what makes it go on.
struct waiting_operation {
    std::string name;
    std::function<void()> prepare;                            // before the loop: makes it wait
    std::function<io_result(engine&, time_point)> perform;
    std::function<void()> release;                            // makes it go on
};

/// All of them, each on files of its own.
class operations {
public:
    operations() {
        const sockaddr* address = server_.where();
        REQUIRE(::ftruncate(file_, 100) == 0);
        all.push_back({"accept", [] {},
                       [this](engine& e, time_point t) {
                           const io_result r = e.accept(*server_.file, nullptr, nullptr, 0, t);
                           if (r.ok()) ::close(static_cast<int>(r.value()));
                           return r;
                       },
                       [this, address] { ::connect(fd_of(*client_), address, sizeof(sockaddr_in)); }});
        all.push_back({"read", [] {},
                       [this](engine& e, time_point t) { return e.read(*read_.first, bytes_, 1, t); },
                       [this] { put(*read_.second, "x"); }});
        all.push_back({"receive", [] {},
                       [this](engine& e, time_point t) {
                           msghdr m{};
                           m.msg_iov = &one_byte_;
                           m.msg_iovlen = 1;
                           return e.receive(*receive_.first, m, 0, t);
                       },
                       [this] { put(*receive_.second, "x"); }});
        all.push_back({"write", [this] { fill(*write_.first); },
                       [this](engine& e, time_point t) { return e.write(*write_.first, bytes_, 1, t); },
                       [this] { drain(*write_.second); }});
        all.push_back({"send", [this] { fill(*send_.first); },
                       [this](engine& e, time_point t) {
                           msghdr m{};
                           m.msg_iov = &one_byte_;
                           m.msg_iovlen = 1;
                           return e.send(*send_.first, m, 0, t);
                       },
                       [this] { drain(*send_.second); }});
        all.push_back({"send_file", [this] { fill(*send_file_.first); },
                       [this](engine& e, time_point t) {
                           off_t from = 0;
                           return e.send_file(*send_file_.first, file_, &from, 1, t);
                       },
                       [this] { drain(*send_file_.second); }});
        all.push_back({"poll for reading", [] {},
                       [this](engine& e, time_point t) { return e.poll(*poll_.first, direction::read, t); },
                       [this] { put(*poll_.second, "x"); }});
        all.push_back({"poll for writing", [this] { fill(*poll_out_.first); },
                       [this](engine& e, time_point t) { return e.poll(*poll_out_.first, direction::write, t); },
                       [this] { drain(*poll_out_.second); }});
        all.push_back({"poll_fd for reading", [] {},
                       [this](engine& e, time_point t) {
                           return e.poll_fd(fd_of(*poll_fd_.first), direction::read, t, "poll_fd");
                       },
                       [this] { put(*poll_fd_.second, "x"); }});
        all.push_back({"poll_fd for writing", [this] { fill(*poll_fd_out_.first); },
                       [this](engine& e, time_point t) {
                           return e.poll_fd(fd_of(*poll_fd_out_.first), direction::write, t, "poll_fd");
                       },
                       [this] { drain(*poll_fd_out_.second); }});
        // A listener whose queue is full: the connection is not refused, and not made, until there is room.
        all.push_back({"connect",
                       [this] {
                           for (descriptor_ptr& d : crowd_) {
                               d = tcp_socket();
                               ::connect(fd_of(*d), full_.where(), sizeof(sockaddr_in));
                           }
                       },
                       [this](engine& e, time_point t) { return e.connect(*late_, full_.where(), sizeof(sockaddr_in), t); },
                       nullptr});
    }
    ~operations() { ::close(file_); }

    std::vector<waiting_operation> all;

private:
    char bytes_[8] = {};
    iovec one_byte_{bytes_, 1};
    listener server_;
    listener full_{0};
    descriptor_ptr client_ = tcp_socket();
    descriptor_ptr crowd_[3];
    descriptor_ptr late_ = tcp_socket();
    int file_ = ::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    ends read_ = socket_pair(), receive_ = socket_pair(), write_ = socket_pair(), send_ = socket_pair(),
         send_file_ = socket_pair(), poll_ = socket_pair(), poll_out_ = socket_pair(), poll_fd_ = socket_pair(),
         poll_fd_out_ = socket_pair();
};

}  // namespace

TEST_CASE_METHOD(leak_check, "engine: a read gives what is there, waits for more, and sees the end") {
    bare_loop loop;
    ends pair = socket_pair();
    std::vector<std::string> log;
    put(*pair.second, "one");
    loop.start([&] {
        for (int i = 0; i < 3; ++i) log.push_back(read_text(loop.engine(), *pair.first));
    });
    loop.settle();
    CHECK(log == std::vector<std::string>{"one"});
    put(*pair.second, "two");
    loop.settle();
    CHECK(log == std::vector<std::string>{"one", "two"});
    pair.second.reset();
    loop.run();
    CHECK(log == std::vector<std::string>{"one", "two", "end"});
}

TEST_CASE_METHOD(leak_check, "engine: a write waits while nobody reads, and its errors are told") {
    bare_loop loop;
    ends pair = socket_pair();
    std::vector<std::string> log;
    fill(*pair.first);
    loop.start([&] {
        log.push_back(told(loop.engine().write(*pair.first, "x", 1, no_deadline)));
        fill(*pair.first);
        msghdr m{};
        char c = 'x';
        iovec one{&c, 1};
        m.msg_iov = &one;
        m.msg_iovlen = 1;
        log.push_back(told(loop.engine().send(*pair.first, m, 0, no_deadline)));
    });
    loop.settle();
    CHECK(log.empty());
    drain(*pair.second);
    loop.settle();
    CHECK(log == std::vector<std::string>{"1"});
    pair.second.reset();   // no SIGPIPE kills the process
    loop.run();
    CHECK(log == std::vector<std::string>{"1", error_text(EPIPE)});
}

TEST_CASE_METHOD(leak_check, "engine: a megabyte arrives whole, in pieces of every size, in both directions at once") {
    bare_loop loop;
    for (const bool tcp : {false, true}) {
        ends pair;
        if (tcp) {
            listener server;
            pair.first = tcp_socket();
            loop.start([&] {
                const io_result made = loop.engine().accept(*server.file, nullptr, nullptr, 0, no_deadline);
                REQUIRE(made.ok());
                pair.second = adopt(static_cast<int>(made.value()));
            });
            loop.start([&] {
                const io_result connected =
                    loop.engine().connect(*pair.first, server.where(), sizeof(sockaddr_in), no_deadline);
                REQUIRE(connected.ok());
            });
            loop.run();
        } else {
            pair = socket_pair();
        }
        constexpr std::size_t total = 1 << 20;
        auto byte_at = [](std::size_t at, unsigned salt) { return static_cast<char>(at * 31 + (at >> 8) + salt); };
        long wrong = 0;
        auto sends = [&](descriptor& d, unsigned salt) {
            std::vector<char> piece;
            for (std::size_t at = 0; at < total;) {
                piece.resize(std::min<std::size_t>(total - at, 1 + at * 7 % 70'000));
                for (std::size_t i = 0; i < piece.size(); ++i) piece[i] = byte_at(at + i, salt);
                const io_result r = loop.engine().write(d, piece.data(), piece.size(), no_deadline);
                REQUIRE(r.ok());
                at += static_cast<std::size_t>(r.value());
            }
        };
        auto receives = [&](descriptor& d, unsigned salt) {
            std::vector<char> piece;
            for (std::size_t at = 0; at < total;) {
                piece.resize(1 + at * 13 % 50'000);
                const io_result r = loop.engine().read(d, piece.data(), piece.size(), no_deadline);
                REQUIRE((r.ok() && r.value() > 0));
                for (std::size_t i = 0; i < static_cast<std::size_t>(r.value()); ++i)
                    wrong += piece[i] != byte_at(at + i, salt);
                at += static_cast<std::size_t>(r.value());
            }
        };
        loop.start([&] { sends(*pair.first, 1); });
        loop.start([&] { receives(*pair.first, 2); });
        loop.start([&] { sends(*pair.second, 2); });
        loop.start([&] { receives(*pair.second, 1); });
        loop.run();
        CHECK(wrong == 0);
    }
}

TEST_CASE_METHOD(leak_check, "engine: no edge is lost between a thread that writes and a fiber that reads") {
    // A lost edge leaves the reader asleep for ever: this test then ends by its time limit.
    bare_loop loop;
    ends pair = socket_pair(), back = pipe_ends();
    const int turns = rounds(40'000);
    const int in = fd_of(*back.first), out = fd_of(*pair.second);
    ::fcntl(in, F_SETFL, 0);
    std::thread other([&] {
        char byte = 0;
        for (int i = 0; i < turns; ++i) {
            if (::write(out, &byte, 1) != 1) return;
            if (i % 4 == 0 && ::read(in, &byte, 1) != 1) return;   // every fourth waits for its answer
        }
    });
    int received = 0, answered = 0;
    loop.start([&] {
        char bytes[3];
        while (received < turns) {
            const io_result r = loop.engine().read(*pair.first, bytes, sizeof bytes, no_deadline);
            REQUIRE(r.ok());
            for (received += static_cast<int>(r.value()); answered * 4 < received; ++answered)
                REQUIRE(loop.engine().write(*back.second, "x", 1, no_deadline).value() == 1);
        }
    });
    loop.run();
    other.join();
    CHECK(received == turns);
}

TEST_CASE_METHOD(leak_check, "engine: connections are accepted, and refused ones say so") {
    bare_loop loop;
    listener server;
    std::string refused, connected;
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    sockaddr_in nobody = server.address;
    {
        listener gone;
        nobody = gone.address;
    }
    descriptor_ptr client = tcp_socket(), other = tcp_socket(), accepted;
    loop.start([&] {
        const io_result r = loop.engine().accept(*server.file, reinterpret_cast<sockaddr*>(&peer), &size, 0, no_deadline);
        REQUIRE(r.ok());
        accepted = adopt(static_cast<int>(r.value()));
    });
    loop.start([&] {
        connected = told(loop.engine().connect(*client, server.where(), sizeof(sockaddr_in), no_deadline));
        refused = told(loop.engine().connect(*other, reinterpret_cast<sockaddr*>(&nobody), sizeof nobody, no_deadline));
    });
    loop.run();
    CHECK(connected == "end");   // 0
    CHECK(refused == error_text(ECONNREFUSED));
    sockaddr_in own{};
    socklen_t own_size = sizeof own;
    ::getsockname(fd_of(*client), reinterpret_cast<sockaddr*>(&own), &own_size);
    CHECK(own.sin_port == peer.sin_port);
    CHECK((::fcntl(fd_of(*accepted), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE_METHOD(leak_check, "engine: a Unix socket whose peer's queue is full connects when there is room") {
    bare_loop loop;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string name = "weft-engine-test-" + std::to_string(::getpid());
    std::memcpy(address.sun_path + 1, name.data(), name.size());
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    const auto* where = reinterpret_cast<sockaddr*>(&address);
    auto unix_socket = [] { return adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)); };
    descriptor_ptr server = unix_socket();
    REQUIRE(::bind(fd_of(*server), where, size) == 0);
    REQUIRE(::listen(fd_of(*server), 0) == 0);
    descriptor_ptr first = unix_socket(), second = unix_socket(), third = unix_socket();
    REQUIRE(::connect(fd_of(*first), where, size) == 0);
    std::string timed, cancelled, late;
    auto& job = loop.start([&] { cancelled = told(loop.engine().connect(*second, where, size, no_deadline)); });
    loop.start([&] { timed = told(loop.engine().connect(*third, where, size, weft::detail::now() + 3ms)); });
    loop.settle();
    job.cancel();
    loop.run();
    CHECK(cancelled == "cancelled");
    CHECK(timed == "timed out");
    loop.start([&] { late = told(loop.engine().connect(*second, where, size, no_deadline)); });
    loop.settle();
    CHECK(late.empty());
    ::close(::accept(fd_of(*server), nullptr, nullptr));
    loop.run();
    CHECK(late == "end");
}

TEST_CASE_METHOD(leak_check, "engine: messages keep their bounds, and what flags ask for is done") {
    bare_loop loop;
    ends pair = socket_pair(SOCK_DGRAM);
    std::vector<std::string> log;
    auto receive = [&](int flags) {
        char bytes[8];
        iovec room{bytes, sizeof bytes};
        msghdr m{};
        m.msg_iov = &room;
        m.msg_iovlen = 1;
        const io_result r = loop.engine().receive(*pair.first, m, flags, no_deadline);
        log.push_back(told(r, bytes));
    };
    loop.start([&] {
        receive(MSG_PEEK);
        receive(0);
        receive(0);
    });
    loop.settle();
    put(*pair.second, "first");
    put(*pair.second, "second");
    loop.run();
    CHECK(log == std::vector<std::string>{"first", "first", "second"});
}

TEST_CASE_METHOD(leak_check, "engine: poll looks before it waits, and tells what has come") {
    bare_loop loop;
    ends pair = socket_pair();
    std::vector<ssize_t> events;
    loop.start([&] {
        events.push_back(loop.engine().poll(*pair.first, direction::write, no_deadline).value());
        events.push_back(loop.engine().poll(*pair.first, direction::read, no_deadline).value());
        events.push_back(loop.engine().poll(*pair.first, direction::read, no_deadline).value());
    });
    loop.settle();
    REQUIRE(events.size() == 1);
    CHECK((events[0] & POLLOUT) != 0);
    put(*pair.second, "x");
    loop.settle();
    REQUIRE(events.size() == 3);   // it is not taken by looking
    CHECK((events[1] & POLLIN) != 0);
    CHECK((events[2] & POLLIN) != 0);
    loop.run();
}

TEST_CASE_METHOD(leak_check, "engine: every operation is ended by a cancellation, by its deadline, and goes on after either") {
    operations table;
    for (waiting_operation& op : table.all) {
        INFO(op.name);
        bare_loop loop;
        op.prepare();
        std::vector<std::string> log;
        bare_loop::job* job = &loop.start([&] {
            log.push_back(told(op.perform(loop.engine(), no_deadline)));   // cancelled before it starts
            job->take_cancellation();
            log.push_back(told(op.perform(loop.engine(), no_deadline)));   // cancelled while it waits
            job->take_cancellation();
            log.push_back(told(op.perform(loop.engine(), time_point::min())));
            const time_point deadline = weft::detail::now() + 1ms;
            log.push_back(told(op.perform(loop.engine(), deadline)));
            if (weft::detail::now() < deadline) log.push_back("too early");
            if (op.release) log.push_back(op.perform(loop.engine(), no_deadline).ok() ? "done" : "failed");
        });
        job->cancel();
        loop.turn();
        loop.settle();
        job->cancel();
        while (log.size() < 4) loop.core.turn(weft::detail::now() + 1ms);
        loop.settle();
        if (op.release) op.release();
        loop.run();
        std::vector<std::string> expected{"cancelled", "cancelled", "timed out", "timed out"};
        if (op.release) expected.push_back("done");
        CHECK(log == expected);
    }
}

TEST_CASE_METHOD(leak_check, "engine: a pending cancellation ends an operation that need not wait, and nothing is transferred") {
    bare_loop loop;
    ends pair = socket_pair();
    put(*pair.second, "kept");
    std::vector<std::string> log;
    bare_loop::job* job = &loop.start([&] {
        log.push_back(read_text(loop.engine(), *pair.first));
        log.push_back(told(loop.engine().write(*pair.first, "x", 1, no_deadline)));
        job->take_cancellation();
        log.push_back(read_text(loop.engine(), *pair.first));
    });
    job->cancel();
    loop.run();
    CHECK(log == std::vector<std::string>{"cancelled", "cancelled", "kept"});
    CHECK(drain(*pair.second) == 0);
}

TEST_CASE_METHOD(leak_check, "engine: data, cancellation and deadline in the same turn lose nothing, in any order") {
    enum event { data, cancel, deadline };
    for (const auto& order : std::vector<std::vector<event>>{{data, cancel}, {cancel, data}, {data, deadline},
                                                            {deadline, data}, {data, cancel, deadline},
                                                            {deadline, cancel, data}, {cancel, deadline, data}}) {
        bare_loop loop;
        ends pair = socket_pair();
        std::vector<std::string> log;
        const time_point when = weft::detail::now() + 1h;
        bool cancelled = false;
        auto& job = loop.start([&] { log.push_back(read_text(loop.engine(), *pair.first, when)); });
        loop.settle();
        for (const event e : order) switch (e) {
                case data:
                    put(*pair.second, "data");
                    loop.engine().wait(time_point::min());   // the edge is taken here
                    break;
                case cancel:
                    job.cancel();
                    cancelled = true;
                    break;
                case deadline:
                    loop.scheduler().fire_timers(when);
            }
        loop.run();
        REQUIRE(log.size() == 1);
        CHECK(log[0] == (cancelled ? "cancelled" : order[0] == data ? "data" : "timed out"));
        // What was not read is still there, and its edge is not needed for that.
        loop.start([&] { log.push_back(log[0] == "data" ? "data" : read_text(loop.engine(), *pair.first)); });
        loop.run();
        CHECK(log[1] == "data");
    }
}

TEST_CASE_METHOD(leak_check, "engine: a second reader is refused, a reader and a writer are not") {
    bare_loop loop;
    ends pair = socket_pair();
    fill(*pair.first);
    std::string first, second, writer, other_writer, later;
    loop.start([&] { first = read_text(loop.engine(), *pair.first); });
    loop.start([&] { writer = told(loop.engine().write(*pair.first, "x", 1, no_deadline)); });
    loop.start([&] { second = read_text(loop.engine(), *pair.first); });
    loop.start([&] { other_writer = told(loop.engine().write(*pair.first, "x", 1, no_deadline)); });
    loop.settle();
    CHECK(second == error_text(EALREADY));
    CHECK(other_writer == error_text(EALREADY));
    CHECK(first.empty());
    put(*pair.second, "in");
    drain(*pair.second);
    loop.run();
    CHECK(first == "in");
    CHECK(writer == "1");
    put(*pair.second, "again");
    loop.start([&] { later = read_text(loop.engine(), *pair.first); });
    loop.run();
    CHECK(later == "again");
}

TEST_CASE_METHOD(leak_check, "engine: a signal that interrupts the loop's sleep or a call changes nothing") {
    struct sigaction nothing {}, before {};
    nothing.sa_handler = [](int) {};
    ::sigaction(SIGUSR1, &nothing, &before);   // without SA_RESTART
    {
        bare_loop loop;
        ends pair = socket_pair();
        std::atomic<bool> stop{false};
        const pthread_t loop_thread = ::pthread_self();
        std::thread other([&] {
            for (int i = 0; i < rounds(300); ++i) {
                ::pthread_kill(loop_thread, SIGUSR1);
                std::this_thread::yield();
                if (i % 3 == 0 && ::write(fd_of(*pair.second), "x", 1) != 1) break;
            }
            stop = true;
            ::shutdown(fd_of(*pair.second), SHUT_WR);
        });
        std::size_t received = 0;
        std::string last;
        loop.start([&] {
            for (;;) {
                last = read_text(loop.engine(), *pair.first, weft::detail::now() + 10s);
                if (last[0] != 'x') break;
                received += last.size();
            }
        });
        loop.run();
        other.join();
        CHECK(last == "end");
        CHECK(received == static_cast<std::size_t>((rounds(300) + 2) / 3));
    }
    ::sigaction(SIGUSR1, &before, nullptr);
}

TEST_CASE_METHOD(leak_check, "engine: a fiber whose reads always succeed starves neither fibers, nor timers, nor files") {
    bare_loop loop;
    descriptor_ptr zero = adopt(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
    ends pair = socket_pair();
    long reads = 0, turns = 0;
    bool timer_came = false, file_came = false;
    loop.start([&] {
        char byte;
        while (!(turns > 100 && timer_came && file_came)) {
            REQUIRE(loop.engine().read(*zero, &byte, 1, no_deadline).value() == 1);
            if (++reads == 1000) put(*pair.second, "x");
        }
    });
    loop.start([&] {
        while (turns <= 100) {
            ++turns;
            loop.scheduler().yield();
        }
    });
    loop.start([&] {
        weft::detail::waiter nap("nap");
        weft::detail::park(nap, weft::detail::now() + 1ms);
        timer_came = true;
    });
    loop.start([&] { file_came = read_text(loop.engine(), *pair.first) == "x"; });
    loop.run();
    CHECK(timer_came);
    CHECK(file_came);
}

TEST_CASE_METHOD(leak_check, "engine: deadlines of microseconds are never early") {
    bare_loop loop;
    ends pair = socket_pair();
    int early = 0, other = 0;
    loop.start([&] {
        for (int i = 0; i < 200; ++i) {
            const time_point deadline = weft::detail::now() + std::chrono::microseconds(i);
            other += read_text(loop.engine(), *pair.first, deadline) != "timed out";
            early += weft::detail::now() < deadline;
        }
    });
    loop.run();
    CHECK(early == 0);
    CHECK(other == 0);
}

TEST_CASE_METHOD(leak_check, "engine: its own descriptor becomes readable when a turn would do something") {
    bare_loop loop;
    ends pair = socket_pair();
    loop.start([&] { read_text(loop.engine(), *pair.first); });
    loop.settle();
    auto readable = [&](int at_most_ms = 0) {
        pollfd p{loop.engine().fd(), POLLIN, 0};
        return ::poll(&p, 1, at_most_ms) == 1;
    };
    CHECK_FALSE(readable());
    put(*pair.second, "x");
    CHECK(readable());
    loop.run();
    CHECK_FALSE(readable());
    REQUIRE(loop.scheduler().mailbox().fall_asleep());
    loop.scheduler().mailbox().ring();
    CHECK(readable(60'000));   // the bell is an eventfd: io_uring tells of one a moment later
    loop.scheduler().mailbox().wake_up();
    loop.turn();
}
