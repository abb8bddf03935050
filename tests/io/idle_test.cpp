// Which waits of this layer end when a scope only asks (<weft/cancellation.hpp>, idle), and which go on.

#include <csignal>

#include <weft/cancel_scope.hpp>
#include <weft/signal.hpp>

#include "server_fixture.hpp"

using namespace io_test;
using weft::cancel_scope;
using weft::cancelled;
using weft::server;
using weft::stream;

namespace {

/// Whether f leaves its wait by being asked; it may take an hour over it.
template <class F>
bool ends_when_asked(F f) {
    bool idle = false;
    cancel_scope scope;
    auto waiting = start([&] {
        scope.run([&] {
            try {
                f();
            } catch (const cancelled& c) {
                idle = c.idle();
                throw;
            }
        });
    });
    turns(2);
    scope.cancel(std::chrono::hours(1));
    for (int i = 0; i < 20000 && !waiting.done(); ++i) weft::yield_now();   // until the engine has let go of the operation
    const bool ended = waiting.done();
    scope.cancel();
    waiting.join();
    return ended && idle;
}

}  // namespace

TEST_CASE("idle: accept, serve_forever and signal_set::wait end when they are asked; a read does not") {
    leak_check leaks;
    weft::run([] {
        weft::socket listener = listening();
        CHECK(ends_when_asked([&] { listener.accept(); }));
        server s = weft::start_server(echo, "127.0.0.1", 0);
        stream client = connect_to(s);
        CHECK_FALSE(ends_when_asked([&] { client.read_line(); }));
        CHECK(ends_when_asked([&] { weft::idle([&] { client.read_line(); }); }));
        CHECK(ends_when_asked([&] { s.serve_forever(); }));
        CHECK(ask(client, "still served") == "still served\n");   // it accepts no more, but its connections live on
        client.close();
        s.wait_closed();
        weft::signal_set set{SIGUSR1};
        CHECK(ends_when_asked([&] { set.wait(); }));
    });
}

TEST_CASE("idle: an accept checks before it waits, also when a connection is there") {
    leak_check leaks;
    weft::run([] {
        weft::socket listener = listening();
        weft::socket client(AF_INET, SOCK_STREAM);
        client.connect(listener.local_endpoint());
        cancel_scope scope;
        scope.cancel(std::chrono::hours(1));
        CHECK_FALSE(scope.run([&] { listener.accept(); }));
        CHECK_NOTHROW(listener.accept());   // nothing is lost
    });
}
