// Waits that are cut short: what an engine that hands buffers to the kernel must not lose, overwrite or mix up.

#include <catch2/catch.hpp>

#include <poll.h>

#include <chrono>
#include <string>
#include <vector>

#include "bare_loop.hpp"
#include "engine/open_files.hpp"
#include "leak_check.hpp"
#include "rounds.hpp"

using namespace std::chrono_literals;
using namespace weft_test;
using weft::engine_layer::direction;

namespace {

std::string receive_text(engine& e, descriptor& d, time_point deadline = no_deadline) {
    char bytes[64];
    iovec room{bytes, sizeof bytes};
    msghdr m{};
    m.msg_iov = &room;
    m.msg_iovlen = 1;
    return told(e.receive(d, m, 0, deadline), bytes);
}

}  // namespace

TEST_CASE_METHOD(leak_check, "engine: a receive that is cut gives the data, or leaves it, and the cancellation stays") {
    enum event { data, turn, cancel, deadline };
    for (const bool tcp_like : {true, false})
        for (const auto& order : std::vector<std::vector<event>>{
                 {data, cancel}, {cancel, data}, {data, turn, cancel}, {cancel, turn, data}, {data, deadline}, {deadline, data},
                 {deadline, turn, data}, {turn, cancel, deadline, data}, {data, deadline, cancel}, {turn, data, cancel, turn}}) {
            bare_loop loop;
            ends pair = socket_pair(tcp_like ? SOCK_STREAM : SOCK_DGRAM);
            std::vector<std::string> log;
            const time_point when = weft::detail::now() + 1h;
            bool asked = false;
            bare_loop::job* job = &loop.start([&] {
                log.push_back(receive_text(loop.engine(), *pair.first, when));
                if (asked) CHECK(job->take_cancellation());
                if (log[0] != "data") log.push_back(receive_text(loop.engine(), *pair.first));
            });
            loop.settle();
            for (const event e : order) switch (e) {
                    case data: put(*pair.second, "data"); break;
                    case turn: loop.turn(); break;
                    case cancel:
                        asked = !job->done && log.empty();
                        job->cancel();
                        break;
                    case deadline: loop.scheduler().fire_timers(when); break;
                }
            loop.run();
            REQUIRE_FALSE(log.empty());
            CHECK(log.back() == "data");
            if (log.size() == 2) CHECK((log[0] == "cancelled" || log[0] == "timed out"));
        }
}

TEST_CASE_METHOD(leak_check, "engine: nothing is written to the memory of a receive that was cut") {
    bare_loop loop;
    ends pair = socket_pair();
    std::string memory(64, '-');
    bare_loop::job* job = &loop.start([&] {
        iovec room{memory.data(), memory.size()};
        msghdr m{};
        m.msg_iov = &room;
        m.msg_iovlen = 1;
        CHECK(loop.engine().receive(*pair.first, m, 0, no_deadline).is_cancelled());
        job->take_cancellation();
        put(*pair.second, "data");
        for (int i = 0; i < 5; ++i) loop.scheduler().yield();
    });
    loop.settle();
    job->cancel();
    loop.run();
    CHECK(memory == std::string(64, '-'));
    CHECK(drain(*pair.first) == 4);
}

TEST_CASE_METHOD(leak_check, "engine: a file that somebody waits for is closed when close returns: its peer sees the end") {
    bare_loop loop;
    ends pair = socket_pair();
    std::string waited;
    loop.start([&] { waited = receive_text(loop.engine(), *pair.first); });
    for (const bool begun : {false, true}) {
        if (begun) loop.settle();
        else loop.scheduler().run_ready(10);   // what it asks for has not been submitted
        CHECK(waited.empty());
        pair.first.reset();
        char byte = 0;
        CHECK(::read(fd_of(*pair.second), &byte, 1) == 0);
        ends next = socket_pair();   // with the number of the one that was closed
        put(*next.second, "other");
        loop.run();
        CHECK(waited == error_text(EBADF));
        CHECK(drain(*next.first) == 5);
        if (begun) break;
        pair = socket_pair();
        waited.clear();
        loop.start([&] { waited = receive_text(loop.engine(), *pair.first); });
    }
}

TEST_CASE_METHOD(leak_check, "engine: a connection that nobody waits for any more stays in the listener's queue") {
    bare_loop loop;
    listener server;
    descriptor_ptr client = tcp_socket();
    std::string first;
    int accepted = -1;
    bare_loop::job* job = &loop.start([&] {
        first = told(loop.engine().accept(*server.file, nullptr, nullptr, 0, no_deadline));
        job->take_cancellation();
    });
    loop.settle();
    job->cancel();
    loop.run();
    CHECK(first == "cancelled");
    ::connect(fd_of(*client), server.where(), sizeof(sockaddr_in));
    for (int i = 0; i < 5; ++i) loop.turn();
    loop.start([&] { accepted = static_cast<int>(loop.engine().accept(*server.file, nullptr, nullptr, 0, no_deadline).value()); });
    loop.run();
    CHECK(accepted >= 0);
    ::close(accepted);
}

TEST_CASE_METHOD(leak_check, "engine: a writer whose peer has finished sending waits for room without running hot") {
    bare_loop loop;
    ends pair = socket_pair();
    ::shutdown(fd_of(*pair.second), SHUT_WR);
    fill(*pair.first);
    std::string written, polled;
    loop.start([&] { written = told(loop.engine().write(*pair.first, "x", 1, no_deadline)); });
    loop.start([&] { polled = told(loop.engine().poll_fd(fd_of(*pair.first), direction::write, no_deadline, "test")); });
    for (int i = 0; i < 10; ++i) loop.turn();
    CHECK(written.empty());
    CHECK(polled.empty());
    CHECK_FALSE(loop.scheduler().anything_ready());
    drain(*pair.second);
    loop.run();
    CHECK(written == "1");
    CHECK(polled == std::to_string(POLLOUT));
}

TEST_CASE_METHOD(leak_check, "engine: more fibers than the kernel takes requests at a time wait together") {
    bare_loop loop(64 * 1024);
    const int count = rounds(6000);   // nor tells of at a time
    ends pipe = pipe_ends();
    int woken = 0;
    for (int i = 0; i < count; ++i)
        loop.start([&] { woken += loop.engine().poll_fd(fd_of(*pipe.first), direction::read, no_deadline, "test").ok(); });
    loop.settle();
    CHECK(woken == 0);
    put(*pipe.second, "x");
    loop.run();
    CHECK(woken == count);
}
