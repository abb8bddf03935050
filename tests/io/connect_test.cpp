// open_connection, open_unix_connection, and the order and timing of attempts (RFC 8305).

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cerrno>

#include <weft/timeout.hpp>

#include "fixture.hpp"
#include "io/connect.hpp"

using namespace io_test;
using weft::endpoint;
using weft::detail::connect_first;
using weft::detail::interleave_families;

namespace {

/// An address that lets nobody in and refuses nobody: connecting gets no answer.
struct black_hole {
    explicit black_hole(const char* where = "127.0.0.1:0") : listener(listening(where, 0)), visitor(address().family(), SOCK_STREAM) {
        visitor.connect(address());
    }
    endpoint address() const { return listener.local_endpoint(); }
    weft::socket listener, visitor;
};

endpoint refusing() { return listening().local_endpoint(); }

std::vector<std::string> texts(const std::vector<endpoint>& endpoints) {
    std::vector<std::string> result;
    for (const endpoint& e : endpoints) result.push_back(e.to_string());
    return result;
}

}  // namespace

TEST_CASE("open_connection: connects to a host, without delay for small writes") {
    leak_check leaks;
    weft::run([] {
        weft::socket listener = listening();
        weft::stream s = weft::open_connection("127.0.0.1", listener.local_endpoint().port(), {.limit = 5});
        weft::socket peer = listener.accept();
        CHECK(s.remote_endpoint() == listener.local_endpoint());
        CHECK(s.get_socket().get_option(IPPROTO_TCP, TCP_NODELAY) == 1);
        s.write("hello");
        CHECK(receive(peer) == "hello");
        peer.send(bytes("123456\n"));
        CHECK_THROWS_AS(s.read_line(), weft::limit_overrun_error);
    });
}

TEST_CASE("open_connection: localhost is found on whichever family listens") {
    leak_check leaks;
    weft::run([] {
        for (const char* where : {"127.0.0.1:0", "[::1]:0"}) {
            weft::socket listener = listening(where);
            weft::stream s = weft::open_connection("localhost", listener.local_endpoint().port());
            CHECK(s.remote_endpoint() == listener.local_endpoint());
        }
    });
}

TEST_CASE("open_connection: connects from where it is told to") {
    leak_check leaks;
    weft::run([] {
        weft::socket listener = listening();
        const auto port = listener.local_endpoint().port();
        weft::stream s = weft::open_connection("localhost", port, {.local = endpoint::parse("127.0.0.9:0")});
        CHECK(s.local_endpoint().host() == "127.0.0.9");
        CHECK_THROWS_AS(weft::open_connection("127.0.0.1", port, {.local = endpoint::unix_path("/x")}), std::invalid_argument);
    });
}

TEST_CASE("open_connection: what failed names the host and every attempt") {
    leak_check leaks;
    weft::run([] {
        const endpoint gone = refusing();
        const std::string said = message_of<std::system_error>([&] { weft::open_connection("localhost", gone.port()); });
        INFO(said);
        CHECK(said.find("open_connection localhost port " + std::to_string(gone.port())) == 0);
        CHECK(said.find("socket::connect 127.0.0.1:" + std::to_string(gone.port())) != std::string::npos);
        CHECK(said.find("Connection refused") != std::string::npos);
        CHECK(error_of([&] { weft::open_connection("127.0.0.1", gone.port()); }) == ECONNREFUSED);
        CHECK_THROWS_AS(weft::open_connection("", 80), std::invalid_argument);
        CHECK_THROWS_AS(weft::open_connection("127.0.0.1", 80, {.limit = 0}), std::invalid_argument);
    });
    CHECK_THROWS_AS(weft::open_connection("127.0.0.1", 80), weft::no_running_loop);
    CHECK_THROWS_AS(weft::open_unix_connection("/x"), weft::no_running_loop);
}

TEST_CASE("open_unix_connection: connects to a path and to an abstract name") {
    leak_check leaks;
    temporary_folder folder;
    weft::run([&] {
        for (const std::string& path : {folder / "s", std::string("@weft-io-connect")}) {
            weft::socket listener = listening(("unix:" + path).c_str());
            weft::stream s = weft::open_unix_connection(path);
            weft::stream peer(listener.accept());
            s.write("hello\n");
            CHECK(peer.read_line() == "hello\n");
            CHECK(s.remote_endpoint() == endpoint::unix_path(path));
        }
        CHECK(message_of<std::system_error>([&] { weft::open_unix_connection(folder / "none"); }).find("unix:" + folder / "none") !=
              std::string::npos);
        CHECK_THROWS_AS(weft::open_unix_connection(std::string(200, 'x')), std::invalid_argument);
    });
}

TEST_CASE("happy eyeballs: families take turns, the first one first") {
    const auto e = [](const char* text) { return endpoint::parse(text); };
    CHECK(texts(interleave_families({e("[::1]:1"), e("[::2]:1"), e("[::3]:1"), e("1.1.1.1:1"), e("2.2.2.2:1")})) ==
          std::vector<std::string>{"[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"});
    CHECK(texts(interleave_families({e("1.1.1.1:1"), e("2.2.2.2:1"), e("[::1]:1")})) ==
          std::vector<std::string>{"1.1.1.1:1", "[::1]:1", "2.2.2.2:1"});
    CHECK(interleave_families({}).empty());
}

TEST_CASE("happy eyeballs: a silent address is overtaken after the delay, not before") {
    leak_check leaks;
    virtual_clock clock;
    weft::run([] {
        black_hole silent;
        weft::socket good = listening();
        for (const auto delay : {250ms, 100ms}) {
            const auto began = virtual_clock::read();
            weft::socket s = connect_first({silent.address(), good.local_endpoint()}, delay, {}, "x");
            CHECK(s.remote_endpoint() == good.local_endpoint());
            CHECK(virtual_clock::read() - began == delay);
        }
    });
}

TEST_CASE("happy eyeballs: an address that refuses is followed at once by the next") {
    leak_check leaks;
    virtual_clock clock;
    weft::run([] {
        weft::socket good = listening();
        const auto began = virtual_clock::read();
        weft::socket s = connect_first({refusing(), refusing(), good.local_endpoint()}, 250ms, {}, "x");
        CHECK(s.remote_endpoint() == good.local_endpoint());
        CHECK(virtual_clock::read() == began);
    });
}

TEST_CASE("happy eyeballs: each attempt gets the delay to itself") {
    leak_check leaks;
    virtual_clock clock;
    weft::run([] {
        black_hole one, two;
        weft::socket good = listening();
        const auto began = virtual_clock::read();
        connect_first({one.address(), refusing(), two.address(), good.local_endpoint()}, 250ms, {}, "x");
        CHECK(virtual_clock::read() - began == 500ms);
    });
}

TEST_CASE("happy eyeballs: a first attempt that answers late still wins if the others fail") {
    leak_check leaks;
    virtual_clock clock;
    weft::run([] {
        black_hole slow;
        auto opening = weft::create_task([&] {
            weft::sleep(10s);
            slow.listener.accept();   // now there is room for one more; its SYN is sent again by the system
        });
        auto connecting = weft::create_task([&] { return connect_first({slow.address(), refusing()}, 250ms, {}, "x"); });
        CHECK(connecting.get().remote_endpoint() == slow.address());
        opening.get();
    });
}

TEST_CASE("happy eyeballs: no delay tries all at once, the longest one after another") {
    leak_check leaks;
    virtual_clock clock;
    weft::run([] {
        black_hole silent;
        weft::socket good = listening();
        const auto began = virtual_clock::read();
        connect_first({silent.address(), good.local_endpoint()}, 0ms, {}, "x");
        CHECK(virtual_clock::read() == began);
        CHECK_THROWS_AS(weft::timeout(24h, [&] {
            connect_first({silent.address(), good.local_endpoint()}, std::chrono::milliseconds::max(), {}, "x");
        }), weft::timeout_error);
    });
}

TEST_CASE("happy eyeballs: when all fail all are named; addresses of another family than the local one are left out") {
    leak_check leaks;
    weft::run([] {
        const endpoint a = refusing(), b = refusing();
        const std::string said = message_of<std::system_error>([&] { connect_first({a, b}, 250ms, {}, "example.org port 7"); });
        INFO(said);
        CHECK(said.find("open_connection example.org port 7, 2 addresses failed (socket::connect " + a.to_string()) == 0);
        CHECK(said.find("; socket::connect " + b.to_string()) != std::string::npos);
        CHECK(error_of([&] { connect_first({a, b}, 250ms, {}, "x"); }) == ECONNREFUSED);
        CHECK(error_of([&] { connect_first({}, 250ms, {}, "x"); }) == EADDRNOTAVAIL);
        CHECK(error_of([&] { connect_first({a}, 250ms, endpoint::parse("[::1]:0"), "x"); }) == EADDRNOTAVAIL);
    });
}

TEST_CASE("happy eyeballs: cancelling undoes every attempt") {
    leak_check leaks;
    virtual_clock clock;
    weft::run([] {
        black_hole one, two, three;
        const std::size_t descriptors = weft_test::open_descriptors();
        CHECK_THROWS_AS(weft::timeout(1s, [&] {
            connect_first({one.address(), two.address(), three.address()}, 250ms, {}, "x");
        }), weft::timeout_error);
        CHECK(weft_test::open_descriptors() == descriptors);
        CHECK(weft::all_tasks().size() == 1);
    });
}

TEST_CASE("happy eyeballs: of several that connect at once one is kept, and nothing is reported") {
    leak_check leaks;
    weft::run([] {
        reports said;
        weft::socket a = listening(), b = listening();
        {
            weft::socket s = connect_first({a.local_endpoint(), b.local_endpoint(), refusing()}, 0ms, {}, "x");
            CHECK(s.remote_endpoint() == a.local_endpoint());
        }
        CHECK(weft::all_tasks().size() == 1);
        turns(3);
        CHECK(said.messages.empty());
    });
}
