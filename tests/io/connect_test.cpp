// open_connection, open_unix_connection, and the order and timing of attempts (RFC 8305).

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cerrno>

#include <weft/timeout.hpp>

#include "fixture.hpp"
#include "io/connect.hpp"

using namespace io_test;
using weft::endpoint;

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

/// Addresses that are known from the beginning.
struct known_addresses : weft::detail::address_source {
    explicit known_addresses(std::vector<endpoint> all) : all(std::move(all)) {}
    std::vector<endpoint> next() override { return all; }
    bool more() const noexcept override { return false; }
    std::vector<endpoint> all;
};

weft::socket connect_first(std::vector<endpoint> addresses, std::chrono::milliseconds delay,
                           const std::optional<endpoint>& local, const std::string& target) {
    known_addresses source(std::move(addresses));
    return weft::detail::connect_first(source, delay, local, target);
}

/// Addresses of which some come later: portions, each after a time.
struct late_addresses : weft::detail::address_source {
    struct portion {
        std::chrono::milliseconds after;
        std::vector<endpoint> addresses;
        std::error_code error = {};
    };
    explicit late_addresses(std::vector<portion> all) : portions(std::move(all)) {}
    std::vector<endpoint> next() override {
        const portion now = portions.at(given++);
        weft::sleep(now.after);
        if (now.error) throw std::system_error(now.error, "asking");
        return now.addresses;
    }
    bool more() const noexcept override { return given < portions.size(); }
    std::vector<portion> portions;
    std::size_t given = 0;
};

/// The order in which they are tried.
std::vector<std::string> texts(weft::detail::untried_addresses untried) {
    std::vector<std::string> result;
    while (untried.size() > 0) result.push_back(untried.take().to_string());
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
    const auto order = [](const std::vector<endpoint>& addresses) {
        weft::detail::untried_addresses untried;
        untried.add(addresses);
        return texts(untried);
    };
    CHECK(order({e("[::1]:1"), e("[::2]:1"), e("[::3]:1"), e("1.1.1.1:1"), e("2.2.2.2:1")}) ==
          std::vector<std::string>{"[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"});
    CHECK(order({e("1.1.1.1:1"), e("2.2.2.2:1"), e("[::1]:1")}) ==
          std::vector<std::string>{"1.1.1.1:1", "[::1]:1", "2.2.2.2:1"});
    CHECK(order({}).empty());
}

TEST_CASE("happy eyeballs: addresses that come later take their turns, too") {
    const auto e = [](const char* text) { return endpoint::parse(text); };
    weft::detail::untried_addresses untried;
    untried.add({e("1.1.1.1:1"), e("2.2.2.2:1"), e("3.3.3.3:1")});
    CHECK(untried.take().to_string() == "1.1.1.1:1");
    untried.add({e("[::1]:1"), e("[::2]:1")});
    CHECK(texts(untried) == std::vector<std::string>{"[::1]:1", "2.2.2.2:1", "[::2]:1", "3.3.3.3:1"});
}

TEST_CASE("happy eyeballs: an address that comes later is tried when those before it have had their time") {
    leak_check leaks;
    virtual_clock clock;
    weft::run([] {
        black_hole one, two;
        weft::socket good = listening("[::1]:0");
        late_addresses source({{0ms, {one.address(), two.address()}}, {100ms, {good.local_endpoint()}}});
        const auto began = virtual_clock::read();
        weft::socket s = weft::detail::connect_first(source, 250ms, {}, "x");
        CHECK(s.remote_endpoint() == good.local_endpoint());
        CHECK(virtual_clock::read() - began == 250ms);
    });
}

TEST_CASE("happy eyeballs: an address that comes when all others have failed is tried at once") {
    leak_check leaks;
    virtual_clock clock;
    weft::run([] {
        weft::socket good = listening();
        late_addresses source({{0ms, {refusing()}}, {100ms, {good.local_endpoint()}}});
        const auto began = virtual_clock::read();
        weft::socket s = weft::detail::connect_first(source, 250ms, {}, "x");
        CHECK(s.remote_endpoint() == good.local_endpoint());
        CHECK(virtual_clock::read() - began == 100ms);
    });
}

TEST_CASE("happy eyeballs: who waits for further addresses holds up no connection, and is sent away when one stands") {
    leak_check leaks;
    virtual_clock clock;
    weft::run([] {
        weft::socket good = listening();
        late_addresses source({{0ms, {refusing(), good.local_endpoint()}}, {1h, {refusing()}}});
        const auto began = virtual_clock::read();
        weft::socket s = weft::detail::connect_first(source, 250ms, {}, "x");
        CHECK(s.remote_endpoint() == good.local_endpoint());
        CHECK(virtual_clock::read() == began);
        CHECK(weft::all_tasks().size() == 1);
    });
}

TEST_CASE("happy eyeballs: addresses that could not be had are told among the failures, and fail nothing else") {
    leak_check leaks;
    virtual_clock clock;
    weft::run([] {
        const endpoint gone = refusing();
        const std::error_code silent(ETIMEDOUT, std::generic_category());
        const auto try_all = [&](endpoint last) {
            late_addresses source({{0ms, {gone}}, {100ms, {}, silent}, {100ms, {last}}});
            return weft::detail::connect_first(source, 250ms, {}, "example.org port 7");
        };
        weft::socket good = listening();
        CHECK(try_all(good.local_endpoint()).remote_endpoint() == good.local_endpoint());
        const endpoint also_gone = refusing();
        const std::string said = message_of<std::system_error>([&] { try_all(also_gone); });
        INFO(said);
        CHECK(said.find("open_connection example.org port 7, 2 addresses failed (socket::connect " + gone.to_string()) == 0);
        CHECK(said.find("; asking: ") != std::string::npos);
        CHECK(said.find("; socket::connect " + also_gone.to_string()) != std::string::npos);
        CHECK(error_of([&] { try_all(also_gone); }) == ECONNREFUSED);
    });
}

TEST_CASE("happy eyeballs: addresses of the local one's family that could not be had are told") {
    leak_check leaks;
    virtual_clock clock;
    weft::run([] {
        const std::error_code silent(ETIMEDOUT, std::generic_category());
        const auto try_all = [&] {
            late_addresses source({{0ms, {refusing()}}, {100ms, {}, silent}});
            weft::detail::connect_first(source, 250ms, endpoint::parse("[::1]:0"), "example.org port 7");
        };
        const std::string said = message_of<std::system_error>(try_all);
        INFO(said);
        CHECK(said.find("open_connection example.org port 7: no address of the local one's family (asking: ") == 0);
        CHECK(error_of(try_all) == EADDRNOTAVAIL);
    });
}

TEST_CASE("happy eyeballs: cancelling ends the wait for further addresses") {
    leak_check leaks;
    virtual_clock clock;
    weft::run([] {
        for (const auto first : {0ms, 2000ms}) {
            late_addresses source({{first, {refusing()}}, {1h, {refusing()}}});
            CHECK_THROWS_AS(weft::timeout(1s, [&] { weft::detail::connect_first(source, 250ms, {}, "x"); }), weft::timeout_error);
            CHECK(weft::all_tasks().size() == 1);
        }
    });
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
