// After a receive that has emptied its socket the engine may know that the next one must wait. What could make it wait for
// ever: the end that comes behind the last byte, bytes left over, urgent data, descriptors that end a read of a Unix socket.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <thread>

#include <weft/timeout.hpp>

#include "engine/descriptor.hpp"
#include "fixture.hpp"
#include "io/socket_state.hpp"

using namespace io_test;

namespace {

/// Has `reader` wait once, and be woken, so that its socket is known to the engine.
void get_acquainted(weft::socket& reader, weft::socket& writer) {
    auto first = start([&] { return receive(reader); });
    writer.send(bytes("first"));
    REQUIRE(first.get() == "first");
}

/// For a wait that must end: it fails instead of hanging.
template <class F>
auto soon(F f) {
    return weft::timeout(5s, f);
}

}  // namespace

TEST_CASE_METHOD(leak_check, "socket: the end behind a short read is seen") {
    weft::run([] {
        auto ends = tcp_pair();
        weft::socket& reader = ends.first;
        weft::socket& writer = ends.second;
        get_acquainted(reader, writer);
        auto next = start([&r = reader] { return receive(r); });
        writer.send(bytes("last"));
        writer.shutdown(SHUT_WR);
        soon([&] {
            CHECK(next.get() == "last");
            CHECK(receive(reader).empty());
            CHECK(receive(reader).empty());
        });
    });
}

TEST_CASE_METHOD(leak_check, "socket: what is left over by a small buffer is read without a wait for more") {
    weft::run([] {
        auto ends = tcp_pair();
        weft::socket& reader = ends.first;
        weft::socket& writer = ends.second;
        get_acquainted(reader, writer);
        auto next = start([&r = reader] { return receive(r, 3); });
        writer.send(bytes("sixty"));
        soon([&] {
            CHECK(next.get() == "six");
            CHECK(receive(reader, 1, MSG_PEEK) == "t");
            CHECK(receive(reader, 10, MSG_PEEK) == "ty");   // a short read that takes nothing
            CHECK(receive(reader, 1) == "t");
            CHECK(receive(reader, 10) == "y");
        });
    });
}

TEST_CASE_METHOD(leak_check, "socket: what comes between a short read and the next one is read") {
    weft::run([] {
        auto ends = tcp_pair();
        weft::socket& reader = ends.first;
        weft::socket& writer = ends.second;
        get_acquainted(reader, writer);
        for (int i = 0; i < 100; ++i) {
            writer.send(bytes("more"));
            if (i % 3 == 0) turns(i % 7);
            soon([&r = reader] { CHECK(receive(r) == "more"); });
        }
    });
}

TEST_CASE_METHOD(leak_check, "socket: urgent data ends a read, and what stands behind it is not waited for") {
    weft::run([] {
        auto ends = tcp_pair();
        weft::socket& reader = ends.first;
        weft::socket& writer = ends.second;
        get_acquainted(reader, writer);
        const auto send_all = [&w = writer] {
            w.send(bytes("before"));
            w.send(bytes("!"), MSG_OOB);
            w.send(bytes("behind"));
        };
        send_all();
        soon([&r = reader] {
            std::string all;
            while (all.size() < 12) all += receive(r);
            CHECK(all == "beforebehind");
        });
        auto next = start([&r = reader] { return receive(r); });
        send_all();
        soon([&r = reader, &next] {
            std::string all = next.get();
            while (all.size() < 12) all += receive(r);
            CHECK(all == "beforebehind");
        });
    });
}

TEST_CASE_METHOD(leak_check, "socket: a reset behind a short read is an error, not an end") {
    weft::run([] {
        auto ends = tcp_pair();
        weft::socket& reader = ends.first;
        weft::socket& writer = ends.second;
        get_acquainted(reader, writer);
        auto next = start([&r = reader] { return receive(r); });
        writer.send(bytes("last"));
        soon([&] { CHECK(next.get() == "last"); });
        const linger at_once{1, 0};
        ::setsockopt(writer.native_handle(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        writer.close();
        soon([&r = reader] { CHECK_THROWS_AS(receive(r), std::system_error); });
    });
}

TEST_CASE_METHOD(leak_check, "socket: a layer between TCP and the reads takes the engine's knowledge from it") {
    weft::run([] {
        auto ends = tcp_pair();
        weft::socket& reader = ends.first;
        weft::socket& writer = ends.second;
        get_acquainted(reader, writer);
        const auto* known = reader.state()->file->registered;
        REQUIRE(known);
        const char tls[] = "tls";
        const bool there_is_one = error_of([&] { reader.set_option(IPPROTO_TCP, TCP_ULP, tls, sizeof tls - 1); }) == 0;
        CHECK_FALSE(known->short_read_empties);
        if (there_is_one) {   // without keys it passes on what comes; who takes the socket over finds it there
            weft::socket taken_over(reader.release());
            get_acquainted(taken_over, writer);
            CHECK_FALSE(taken_over.state()->file->registered->short_read_empties);
            return;
        }
        soon([&] {
            auto next = start([&r = reader] { return receive(r); });
            writer.send(bytes("goes on"));
            CHECK(next.get() == "goes on");
        });
    });
}
