// What open_connection connects to, and when: RFC 8305, section 3. The clock stands still but where a test moves it.

#include "fixture.hpp"

#include <netinet/in.h>

#include <optional>

#include <weft/socket.hpp>
#include <weft/timeout.hpp>

#include "dns/host_addresses.hpp"
#include "dns/resolver_state.hpp"
#include "io/connect.hpp"

using namespace dns_test;
using weft::endpoint;

namespace {

struct lookup_fixture : dns_fixture {
    lookup_fixture() { both("host.test"); }

    void both(const std::string& name) {
        server.on(name, A, [](reply& r) { r.a("192.0.2.1").a("192.0.2.2"); });
        server.on(name, AAAA, [](reply& r) { r.aaaa("::1").aaaa("::1"); });
    }
    /// Runs f with a resolver that never gives a server up, on a stopped clock.
    template <class F> void run(F f) {
        weft::run([&] {
            auto chosen = options();
            chosen.timeout = 1h;
            chosen.tries = 1;
            state = std::make_shared<weft::dns_layer::resolver_state>(chosen);
            f();
            CHECK(state->statistics().in_flight == 0);
            state->close();
            state.reset();
        });
    }
    auto source(const std::string& host = "host.test", int family = AF_UNSPEC) {
        return weft::dns_layer::host_addresses(*state, host, 80, family);
    }
    /// Returns when only that many questions are without an answer, and everybody knows.
    void until_open(std::size_t questions, const std::string& name = "host.test") {
        const auto unasked = [&] { return !server.count(name, A) || !server.count(name, AAAA); };
        while (unasked() || state->statistics().questions == 0 || state->statistics().in_flight > questions)
            weft::yield_now();
        turns();
    }
    static auto next(weft::detail::address_source& from) {
        return weft::create_task([&from] { return texts(from.next()); });
    }
    static strings texts(const std::vector<endpoint>& endpoints) {
        strings result;
        for (const endpoint& e : endpoints)
            result.push_back(e.to_string());
        return result;
    }
    /// For what must not happen: everybody has had ten turns.
    static void turns() {
        for (int i = 0; i < 10; ++i)
            weft::yield_now();
    }

    stopped_clock clock;
    std::shared_ptr<weft::dns_layer::resolver_state> state;
};

const strings six{"[::1]:80"};
const strings four{"192.0.2.1:80", "192.0.2.2:80"};

}  // namespace

TEST_CASE_METHOD(lookup_fixture, "host addresses: A and AAAA are asked at once, and AAAA begins without A") {
    server.hold(A);
    run([&] {
        auto host = source();
        CHECK(host.more());
        CHECK(texts(host.next()) == six);
        CHECK(server.count("host.test", A) == 1);
        CHECK(host.more());
        auto rest = next(host);
        turns();
        CHECK_FALSE(rest.done());
        server.release();
        CHECK(rest.get() == four);
        CHECK_FALSE(host.more());
    });
}

TEST_CASE_METHOD(lookup_fixture, "host addresses: A waits 50 ms for AAAA, and begins without it then") {
    server.hold(AAAA);
    run([&] {
        auto host = source();
        auto first = next(host);
        until_open(1);
        clock.advance(49ms);
        turns();
        CHECK_FALSE(first.done());
        clock.advance(1ms);
        CHECK(first.get() == four);
        CHECK(host.more());
        server.release();
        CHECK(texts(host.next()) == six);
        CHECK_FALSE(host.more());
    });
}

TEST_CASE_METHOD(lookup_fixture, "host addresses: AAAA within 50 ms of A gives both, as their order wants it") {
    server.hold(AAAA);
    run([&] {
        auto host = source();
        auto first = next(host);
        until_open(1);
        clock.advance(49ms);
        turns();
        server.release();
        const strings all = first.get();
        CHECK(all.size() == 3);
        CHECK(all.front() == "[::1]:80");   // reachable, which the others are not; or preferred, if they are
        CHECK_FALSE(host.more());
    });
}

TEST_CASE_METHOD(lookup_fixture, "host addresses: that there is no AAAA lets A begin at once, whichever comes first") {
    server.on("host.test", AAAA, [](reply&) {});
    for (const bool a_first : {false, true}) {
        CAPTURE(a_first);
        server.hold(a_first ? AAAA : A);
        run([&] {
            auto host = source();
            auto first = next(host);
            until_open(1);
            CHECK_FALSE(first.done());
            server.release();
            CHECK(first.get() == four);
            CHECK_FALSE(host.more());
        });
    }
}

TEST_CASE_METHOD(lookup_fixture, "host addresses: a family that fails neither delays nor fails the other") {
    const auto fails = [](reply& r) { r.code(2); };
    server.on("four.test", A, [](reply& r) { r.a("192.0.2.1").a("192.0.2.2"); });
    server.on("four.test", AAAA, fails);
    server.on("six.test", A, fails);
    server.on("six.test", AAAA, [](reply& r) { r.aaaa("::1"); });
    for (const std::uint16_t held : {A, AAAA}) {
        CAPTURE(held);
        server.hold(held);
        run([&] {
            auto host = source("four.test");
            auto first = next(host);
            until_open(1, "four.test");
            CHECK_FALSE(first.done());
            server.release();
            CHECK(first.get() == four);
            CHECK(host.more());
            CHECK(message_of<std::system_error>([&] { host.next(); }).starts_with("resolver::query_aaaa: four.test: "));
            CHECK_FALSE(host.more());
        });
    }
    run([&] {
        auto host = source("six.test");
        CHECK(texts(host.next()) == six);
        CHECK(error_of([&] { host.next(); }) == dns_errc::server_failure);
        CHECK_FALSE(host.more());
    });
}

TEST_CASE_METHOD(lookup_fixture, "host addresses: AAAA that is silent for good is given up when the resolver does") {
    server.on("host.test", AAAA, [](reply& r) { r.drop(); });
    weft::run([&] {
        state = std::make_shared<weft::dns_layer::resolver_state>(impatient());
        auto host = source();
        auto first = next(host);
        until_open(1);
        clock.advance(50ms);
        CHECK(first.get() == four);
        auto rest = weft::create_task([&] { return error_of([&] { host.next(); }); });
        while (!rest.done()) {   // c-ares counts by the system's clock
            clock.advance(1ms);
            weft::yield_now();
        }
        CHECK(rest.get() == dns_errc::timeout);
        state->close();
        state.reset();
    });
}

TEST_CASE_METHOD(lookup_fixture, "host addresses: a host without any fails as getaddrinfo does") {
    server.on("half.test", A, [](reply& r) { r.code(2); });
    server.on("half.test", AAAA, [](reply&) {});
    run([&] {
        CHECK(error_of([&] { source("none.test").next(); }) == dns_errc::not_found);
        CHECK(error_of([&] { source("half.test").next(); }) == dns_errc::server_failure);
        CHECK(message_of<std::system_error>([&] { source("none.test").next(); }) ==
              "open_connection: none.test: there is no such name");
        CHECK_THROWS_AS(source("a..b").next(), std::invalid_argument);
    });
}

TEST_CASE_METHOD(lookup_fixture, "host addresses: one family alone is asked for alone") {
    run([&] {
        auto host = source("host.test", AF_INET);
        CHECK(texts(host.next()) == four);
        CHECK_FALSE(host.more());
        CHECK(server.count("host.test", AAAA) == 0);
        auto other = source("host.test", AF_INET6);
        CHECK(texts(other.next()) == six);
        CHECK_FALSE(other.more());
    });
}

TEST_CASE_METHOD(lookup_fixture, "host addresses: literals, localhost and the hosts file need no server") {
    hosts.write("192.0.2.9 known.test\n");
    run([&] {
        for (const auto& [name, text] : {std::pair{"192.0.2.7", "192.0.2.7:80"}, {"::1", "[::1]:80"}, {"known.test", "192.0.2.9:80"}}) {
            auto host = source(name);
            CHECK(texts(host.next()) == strings{text});
            CHECK_FALSE(host.more());
        }
        auto local = source("localhost");
        CHECK(local.next().size() == 2);
        CHECK_FALSE(local.more());
        CHECK(server.count() == 0);
    });
}

TEST_CASE_METHOD(lookup_fixture, "host addresses: what is cached is there at once") {
    run([&] {
        auto host = source();
        while (host.more())
            host.next();
        auto again = source();
        CHECK(again.next().size() == 3);
        CHECK_FALSE(again.more());
        CHECK(server.count() == 2);
    });
}

TEST_CASE_METHOD(lookup_fixture, "host addresses: the search list is gone through until a name has addresses in either family") {
    temporary_file search("search one.test two.test\n");
    server.on("www.one.test", AAAA, [](reply&) {});
    server.on("www.two.test", A, [](reply& r) { r.a("192.0.2.1"); });
    server.hold(AAAA);
    weft::run([&] {
        auto chosen = options();
        chosen.resolv_conf = search.path();
        state = std::make_shared<weft::dns_layer::resolver_state>(chosen);
        auto host = source("www");
        auto first = next(host);
        until_open(1, "www.one.test");
        turns();
        CHECK_FALSE(first.done());   // one.test may still have AAAA
        CHECK(server.count("www.two.test", A) == 0);
        server.release();
        CHECK(first.get() == strings{"192.0.2.1:80"});
        CHECK_FALSE(host.more());
        state->close();
        state.reset();
    });
}

TEST_CASE_METHOD(lookup_fixture, "host addresses: cancelling at any wait leaves no question and no task behind") {
    run([&] {
        source().next();   // what sorts addresses keeps a socket
        server.hold();
        for (const int stage : {0, 1, 2}) {
            CAPTURE(stage);
            const std::string name = "host" + std::to_string(stage) + ".test";
            both(name);
            const std::size_t before = open_descriptors();
            std::optional<weft::dns_layer::host_addresses> host;
            host.emplace(*state, name, 80, AF_UNSPEC);
            if (stage > 0) {
                server.release();
                server.hold(AAAA);
            }
            auto waiting = next(*host);
            until_open(stage == 0 ? 2 : 1, name);   // neither answered; AAAA awaited: 50 ms, or for good
            if (stage == 2) {
                clock.advance(50ms);
                CHECK(waiting.get() == four);
                waiting = next(*host);
            }
            turns();
            CHECK_FALSE(waiting.done());
            waiting.cancel();
            waiting.join();
            CHECK(waiting.cancelled());
            CHECK(weft::all_tasks().size() == 1);
            host.reset();
            CHECK(state->statistics().in_flight == 0);
            CHECK(open_descriptors() == before);
        }
        server.release();
    });
}

TEST_CASE_METHOD(lookup_fixture, "host addresses: a connection stands while one family is silent, and with the late one if the first fails") {
    run([&] {
        weft::socket listener(AF_INET6, SOCK_STREAM);
        listener.bind(endpoint::parse("[::1]:0"));
        listener.listen(8);
        const endpoint good = listener.local_endpoint();
        server.on("host.test", A, [](reply& r) { r.a("127.0.0.1"); });   // nobody listens at that port
        const auto connect = [&](weft::dns_layer::host_addresses host) {
            return weft::detail::connect_first(host, 250ms, {}, "host.test").remote_endpoint();
        };
        server.hold(A);
        CHECK(connect({*state, "host.test", good.port(), AF_UNSPEC}) == good);

        server.release();
        server.hold(AAAA);
        server.on("late.test", A, [](reply& r) { r.a("127.0.0.1", 0); });
        server.on("late.test", AAAA, [](reply& r) { r.aaaa("::1", 0); });
        auto late = weft::create_task([&] { return connect({*state, "late.test", good.port(), AF_UNSPEC}); });
        until_open(1, "late.test");
        clock.advance(50ms);
        turns();
        CHECK_FALSE(late.done());   // refused by 127.0.0.1
        server.release();
        CHECK(late.get() == good);
    });
}
