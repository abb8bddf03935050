// The life of a descriptor: adopted, registered, moved between loops, closed while somebody waits, and its number used again.

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "bare_loop.hpp"
#include "engine/open_files.hpp"
#include "kernel/turnstile.hpp"
#include "leak_check.hpp"
#include "rounds.hpp"

using namespace std::chrono_literals;
using namespace weft_test;
using weft::engine_layer::direction;

namespace {

const std::string closed = error_text(EBADF);

/// Returns when the loop, on another thread, has made so many turns that all that was under way in it has ended, and its
/// fibers are parked: what a close or a message woke, the completion of what was given up, an edge that wakes in vain.
void let_it_settle(weft::kernel::scheduler& s) {
    struct : weft::detail::message {
        turnstile begun;
    } note;
    note.deliver = [](weft::detail::message& m) noexcept {
        weft::kernel::scheduler::current()->engine->wait(time_point::min());
        static_cast<decltype(note)&>(m).begun.give();
    };
    for (int turn = 0; turn < 6; ++turn) {
        s.mailbox().post(note);
        note.begun.take();
    }
}

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

}  // namespace

TEST_CASE_METHOD(leak_check, "descriptor: it takes a file over, without a loop, and closes it") {
    int fds[2];
    REQUIRE(::pipe2(fds, O_CLOEXEC) == 0);
    {
        descriptor_ptr d = adopt(fds[0]);
        CHECK(fd_of(*d) == fds[0]);
        CHECK((::fcntl(fds[0], F_GETFL) & O_NONBLOCK) != 0);
    }
    CHECK_FALSE(is_open(fds[0]));
    ::close(fds[1]);
    CHECK_THROWS_AS(adopt(-1), std::system_error);
    CHECK_THROWS_AS(adopt(fds[1]), std::system_error);
}

TEST_CASE_METHOD(leak_check, "descriptor: a file is given back open, and registered nowhere") {
    bare_loop loop;
    ends pair = socket_pair();
    const int before = watched_files(loop.engine());
    std::string waited;
    loop.start([&] { waited = read_text(loop.engine(), *pair.first); });
    loop.settle();
    CHECK(watches_files(loop.engine(), before + 1));
    const int fd = weft::engine_layer::release(std::move(pair.first));
    loop.run();
    CHECK(waited == closed);
    CHECK(watches_files(loop.engine(), before));
    REQUIRE(is_open(fd));
    put(*pair.second, "x");
    char byte = 0;
    CHECK(::read(fd, &byte, 1) == 1);
    ::close(fd);
}

TEST_CASE_METHOD(leak_check, "descriptor: it is registered once, for all waits of its life") {
    bare_loop loop;
    ends pair = socket_pair();
    const int before = watched_files(loop.engine());
    loop.start([&] {
        for (int i = 0; i < 10; ++i) {
            read_text(loop.engine(), *pair.first, time_point::min());
            loop.engine().poll(*pair.first, direction::write, time_point::min());
            CHECK(watches_files(loop.engine(), before + 1));
        }
    });
    loop.run();
    pair.first.reset();
    CHECK(watches_files(loop.engine(), before));
}

TEST_CASE_METHOD(leak_check, "descriptor: closing wakes a reader and a writer, and leaves a shell that says it is closed") {
    bare_loop loop;
    ends pair = socket_pair();
    fill(*pair.first);
    std::vector<std::string> log;
    loop.start([&] { log.push_back(read_text(loop.engine(), *pair.first)); });
    loop.start([&] { log.push_back(told(loop.engine().write(*pair.first, "x", 1, no_deadline))); });
    loop.settle();
    const int fd = fd_of(*pair.first);
    CHECK(weft::engine_layer::close(*pair.first) == 0);
    CHECK_FALSE(is_open(fd));
    loop.run();
    CHECK(log == std::vector<std::string>{closed, closed});
    loop.start([&] {
        CHECK(read_text(loop.engine(), *pair.first) == closed);
        CHECK(told(loop.engine().write(*pair.first, "x", 1, no_deadline)) == closed);
        CHECK(told(loop.engine().accept(*pair.first, nullptr, nullptr, 0, no_deadline)) == closed);
        CHECK(told(loop.engine().connect(*pair.first, nullptr, 0, no_deadline)) == closed);
        CHECK(told(loop.engine().poll(*pair.first, direction::read, no_deadline)) == closed);
    });
    loop.run();
    CHECK(weft::engine_layer::close(*pair.first) == -EBADF);
    CHECK(fd_of(*pair.first) == -1);
}

TEST_CASE_METHOD(leak_check, "descriptor: who waits for one that is destroyed is told, though its memory and its number are used again at once") {
    bare_loop loop;
    for (int round = 0; round < 50; ++round) {
        ends pair = socket_pair();
        std::string waited, fresh;
        const int fd = fd_of(*pair.first);
        loop.start([&, d = pair.first.get()] { waited = read_text(loop.engine(), *d); });
        loop.settle();
        if (round % 2) {
            put(*pair.second, "old");   // its event is on the way, too
            if (round % 4 == 1) loop.engine().wait(time_point::min());
        }
        pair.first.reset();
        ends next = socket_pair();
        CHECK(fd_of(*next.first) == fd);   // the lowest free number
        put(*next.second, "new");
        loop.start([&] { fresh = read_text(loop.engine(), *next.first); });
        loop.run();
        CHECK(waited == closed);
        CHECK(fresh == "new");
        // And its edges reach those who wait for it.
        std::string later;
        loop.start([&] { later = read_text(loop.engine(), *next.first); });
        loop.settle();
        put(*next.second, "later");
        loop.run();
        CHECK(later == "later");
    }
}

TEST_CASE_METHOD(leak_check, "descriptor: closing in the turn of a deadline, a cancellation or an event reaches nobody who is gone") {
    for (int first = 0; first < 3; ++first)
        for (const bool destroy : {false, true}) {
            bare_loop loop;
            ends pair = socket_pair();
            std::string waited;
            const time_point when = weft::detail::now() + 1h;
            descriptor* d = pair.first.get();
            auto& job = loop.start([&] { waited = read_text(loop.engine(), *d, when); });
            loop.settle();
            if (first == 0) loop.scheduler().fire_timers(when);
            if (first == 1) job.cancel();
            if (first == 2) {
                put(*pair.second, "x");
                loop.engine().wait(time_point::min());
            }
            if (destroy) pair.first.reset();
            else weft::engine_layer::close(*d);
            loop.run();
            CHECK((waited == closed || waited == "timed out" || waited == "cancelled"));
        }
}

TEST_CASE_METHOD(leak_check, "descriptor: it may be closed while the system still gives up a receive that was cut") {
    for (const bool cancelled : {true, false}) {
        bare_loop loop;
        ends pair = socket_pair();
        const time_point when = weft::detail::now() + 1h;
        std::string outcome;
        bare_loop::job* receiver = &loop.start([&] {
            char bytes[64];
            iovec room{bytes, sizeof bytes};
            msghdr m{};
            m.msg_iov = &room;
            m.msg_iovlen = 1;
            outcome = told(loop.engine().receive(*pair.first, m, 0, when), bytes);
            receiver->take_cancellation();
        });
        loop.settle();
        loop.start([&] {
            if (cancelled) receiver->cancel();
            else loop.scheduler().fire_timers(when);
            loop.scheduler().yield();   // the receive has asked the system, or has ended
            pair.first.reset();
            // What was freed is used again.
            std::vector<std::unique_ptr<char[]>> others;
            for (int i = 0; i < 64; ++i) others.emplace_back(new char[128])[0] = 'x';
            loop.scheduler().yield();
        });
        loop.run();
        CHECK(outcome == (cancelled ? "cancelled" : "timed out"));
    }
}

TEST_CASE_METHOD(leak_check, "descriptor: an event in flight for a closed one is forgotten") {
    // Two files are ready in one batch, and the fiber of whichever comes first closes the other.
    for (int round = 0; round < 20; ++round) {
        bare_loop loop;
        ends a = socket_pair(), b = socket_pair();
        std::string first, second;
        loop.start([&, d = a.first.get()] {
            first = read_text(loop.engine(), *d);
            if (first == "x") b.first.reset();
        });
        loop.start([&, d = b.first.get()] {
            second = read_text(loop.engine(), *d);
            if (second == "x") a.first.reset();
        });
        loop.settle();
        put(round % 2 ? *b.second : *a.second, "x");
        put(round % 2 ? *a.second : *b.second, "x");
        loop.run();
        CHECK((first == "x" || second == "x"));
    }
}

TEST_CASE_METHOD(leak_check, "descriptor: one that outlives its loop is used on the next") {
    ends pair = socket_pair();
    for (int i = 0; i < 3; ++i) {
        bare_loop loop;
        std::string text;
        loop.start([&] { text = read_text(loop.engine(), *pair.first); });
        loop.settle();
        put(*pair.second, "x");
        loop.run();
        CHECK(text == "x");
    }
}

TEST_CASE_METHOD(leak_check, "descriptor: another loop is refused while somebody waits on the first") {
    ends pair = socket_pair();
    turnstile waiting, refused;
    std::string there, here;
    std::thread other([&] {
        bare_loop loop;
        loop.start([&] { there = read_text(loop.engine(), *pair.first); });
        loop.settle();
        waiting.give();
        loop.run();
    });
    waiting.take();
    bare_loop loop;
    loop.start([&] { here = read_text(loop.engine(), *pair.first); });
    loop.run();
    put(*pair.second, "x");
    other.join();
    CHECK(here == error_text(EALREADY));
    CHECK(there == "x");
}

TEST_CASE_METHOD(leak_check, "descriptor: two loops on two threads hand one to and fro without losing an event") {
    ends pair = socket_pair();
    turnstile mine, yours;
    const int turns = rounds(5000);
    int wrong = 0, wrong_there = 0;
    auto side = [&](turnstile& my_turn, turnstile& your_turn, int& failures) {
        bare_loop loop;
        loop.start([&] {
            for (int i = 0; i < turns; ++i) {
                my_turn.take();
                // It waits here: the data comes from a fiber of this loop that runs afterwards.
                auto& writer = loop.start([&] { put(*pair.second, "x"); });
                failures += read_text(loop.engine(), *pair.first) != "x";
                failures += !writer.done;
                your_turn.give();
            }
        });
        loop.run();
    };
    std::thread other([&] { side(yours, mine, wrong_there); });
    mine.give();
    side(mine, yours, wrong);
    other.join();
    CHECK(wrong == 0);
    CHECK(wrong_there == 0);
}

TEST_CASE_METHOD(leak_check, "descriptor: another thread closes it while a fiber waits") {
    bare_loop loop;
    for (int i = 0; i < rounds(500); ++i) {
        ends pair = socket_pair();
        turnstile waiting;
        std::string waited;
        loop.start([&, d = pair.first.get()] { waited = read_text(loop.engine(), *d); });
        loop.settle();
        std::thread other([&] { pair.first.reset(); });
        loop.run();
        other.join();
        REQUIRE(waited == closed);
    }
}

TEST_CASE_METHOD(leak_check, "descriptor: a close by another thread races with the deadline of the wait") {
    // Whoever is first: the fiber must not touch a descriptor, or a registration, that is gone.
    bare_loop loop;
    std::minstd_rand random(1);
    int odd = 0;
    for (int i = 0; i < rounds(2000); ++i) {
        ends pair = socket_pair();
        std::atomic<bool> go{false};
        std::string waited;
        std::thread other([&] {
            while (!go) std::this_thread::yield();
            for (unsigned spin = static_cast<unsigned>(i) % 64; spin > 0; --spin) std::atomic_signal_fence(std::memory_order_seq_cst);
            pair.first.reset();
        });
        loop.start([&, d = pair.first.get()] {
            const time_point deadline = weft::detail::now() + std::chrono::microseconds(random() % 40);
            loop.start([&] { go = true; });   // runs once the reader waits
            waited = read_text(loop.engine(), *d, deadline);
        });
        loop.run();
        go = true;
        other.join();
        odd += waited != closed && waited != "timed out";
    }
    CHECK(odd == 0);
}

TEST_CASE_METHOD(leak_check, "descriptor: another thread retires files while their events are in flight") {
    // A loop reads from many sockets that are written and destroyed by another thread all the time; those that stay must
    // lose no event.
    constexpr std::size_t sockets = 20;
    const int steps = rounds(20'000);
    bare_loop loop;
    ends steady = socket_pair();
    std::vector<ends> pairs(sockets);
    std::vector<turnstile> opened(sockets);
    std::atomic<int> left{static_cast<int>(sockets)};
    int odd = 0;
    for (std::size_t s = 0; s < sockets; ++s)
        loop.start([&, s] {
            for (;;) {
                opened[s].take();
                descriptor* d = pairs[s].first.get();
                if (!d) break;
                for (std::string text; text != closed;) {
                    text = read_text(loop.engine(), *d);
                    odd += text != closed && text[0] != 'x';
                }
            }
            --left;
        });
    long sent = 0, received = 0;
    loop.start([&] {
        for (std::string text; text != "end"; text = read_text(loop.engine(), *steady.first))
            received += static_cast<long>(text.size());
    });
    turnstile keep;   // the loop goes on until the other thread has asked it for the last time
    loop.start([&] { keep.take(); });
    std::thread other([&] {
        std::minstd_rand random(1);
        for (int i = 0; i < steps; ++i) {
            const std::size_t s = random() % sockets;
            if (!pairs[s].first) {
                pairs[s] = socket_pair();
                opened[s].give();
            } else if (random() % 4 == 0) {
                // Only while the fiber is parked is another thread allowed to destroy it: it is when all has been read.
                const int fd = fd_of(*pairs[s].first);
                int unread = 1;
                while (::ioctl(fd, FIONREAD, &unread) == 0 && unread > 0) std::this_thread::yield();
                let_it_settle(loop.scheduler());
                pairs[s].first.reset();
            } else {
                put(*pairs[s].second, "x");
            }
            if (i % 8 == 0) sent += ::write(fd_of(*steady.second), "s", 1);
        }
        ::shutdown(fd_of(*steady.second), SHUT_WR);
        for (ends& pair : pairs) {
            int unread = pair.first ? 1 : 0;
            while (unread > 0 && ::ioctl(fd_of(*pair.first), FIONREAD, &unread) == 0) std::this_thread::yield();
            let_it_settle(loop.scheduler());
            pair.first.reset();
        }
        keep.give();
        for (auto& o : opened) o.give();
    });
    loop.run();
    other.join();
    CHECK(odd == 0);
    CHECK(left == 0);
    CHECK(received == sent);
}
