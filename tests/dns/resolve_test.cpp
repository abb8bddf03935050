// getaddrinfo and resolver::resolve.

#include "fixture.hpp"

#include <netinet/in.h>

#include <algorithm>

using namespace dns_test;

namespace {

constexpr weft::address_hints only_four{.family = AF_INET};

}  // namespace

TEST_CASE_METHOD(dns_fixture, "resolve: literals need no server") {
    weft::run([&] {
        weft::resolver r(options());
        CHECK(endpoints(r.resolve("192.0.2.1", "80")) == strings{"192.0.2.1:80"});
        CHECK(endpoints(r.resolve("2001:db8::1", "80")) == strings{"[2001:db8::1]:80"});
        CHECK(endpoints(r.resolve("::1")) == strings{"[::1]:0"});
        CHECK(endpoints(r.resolve("fe80::1%lo", "80")) == strings{"[fe80::1%lo]:80"});
        CHECK(endpoints(weft::getaddrinfo("192.0.2.1", "80")) == strings{"192.0.2.1:80"});
        CHECK(server.count() == 0);
        CHECK(r.statistics().questions == 0);
    });
}

TEST_CASE_METHOD(dns_fixture, "resolve: an entry says how to open the socket") {
    weft::run([&] {
        weft::resolver r(options());
        const auto tcp = r.resolve("192.0.2.1", "80").front();
        CHECK(tcp.family == AF_INET);
        CHECK(tcp.socktype == SOCK_STREAM);
        CHECK(tcp.protocol == IPPROTO_TCP);
        CHECK(tcp.canonical_name.empty());
        const auto udp = r.resolve("::1", "80", {.socktype = SOCK_DGRAM}).front();
        CHECK(udp.family == AF_INET6);
        CHECK(udp.socktype == SOCK_DGRAM);
        CHECK(udp.protocol == IPPROTO_UDP);
        const auto any = r.resolve("192.0.2.1", "80", {.socktype = 0});
        REQUIRE(any.size() == 2);
        CHECK(any[0].socktype == SOCK_STREAM);
        CHECK(any[1].socktype == SOCK_DGRAM);
        CHECK(r.resolve("192.0.2.1", "80", {.socktype = SOCK_STREAM, .protocol = IPPROTO_SCTP})
                  .front()
                  .protocol == IPPROTO_SCTP);
        CHECK_THROWS_AS(r.resolve("192.0.2.1", "80", {.socktype = 77}), std::invalid_argument);
        CHECK_THROWS_AS(r.resolve("192.0.2.1", "80", {.family = 77}), std::invalid_argument);
        CHECK_THROWS_AS(r.resolve("192.0.2.1", "80", {.flags = 0x40000000}), std::invalid_argument);
    });
}

TEST_CASE_METHOD(dns_fixture, "resolve: services are numbers or names of /etc/services") {
    weft::run([&] {
        weft::resolver r(options());
        auto port = [&](const char* service) {
            return r.resolve("127.0.0.1", service).front().address.port();
        };
        CHECK(port("") == 0);
        CHECK(port("0") == 0);
        CHECK(port("65535") == 65535);
        CHECK(port("0080") == 80);
        CHECK(port("http") == 80);
        CHECK(port("domain") == 53);
        for (const char* bad : {"65536", "99999999999999999999"})
            CHECK_THROWS_AS(port(bad), std::invalid_argument);
        for (const char* unknown : {"no-such-service", "-1", "+80", " 80", "80x"})
            CHECK(error_of([&] { port(unknown); }) == dns_errc::unknown_service);
        CHECK(message_of<std::invalid_argument>([&] { port("65536"); }) ==
              "resolver::resolve: \"65536\" is no port number");
        CHECK_THROWS_AS(r.resolve("127.0.0.1", "http", {.flags = AI_NUMERICSERV}), std::invalid_argument);
        CHECK(error_of([&] { r.resolve("127.0.0.1", "tftp"); }) == dns_errc::unknown_service);  // UDP only
        CHECK(r.resolve("127.0.0.1", "tftp", {.socktype = 0}).size() == 1);
    });
}

TEST_CASE_METHOD(dns_fixture, "resolve: localhost and names below it need no server") {
    weft::run([&] {
        weft::resolver r(options());
        for (const char* name : {"localhost", "LOCALHOST", "localhost.", "db.localhost", "a.b.localhost."}) {
            CAPTURE(name);
            auto found = endpoints(r.resolve(name, "80"));
            std::ranges::sort(found);
            CHECK(found == strings{"127.0.0.1:80", "[::1]:80"});
            CHECK(endpoints(r.resolve(name, "80", only_four)) == strings{"127.0.0.1:80"});
            CHECK(endpoints(r.resolve(name, "80", {.family = AF_INET6})) == strings{"[::1]:80"});
        }
        CHECK(server.count() == 0);
    });
}

TEST_CASE_METHOD(dns_fixture,
                 "resolve: the hosts file comes before the server, and is read again when it has changed") {
    hosts.write("192.0.2.7 Host.test alias # comment\n2001:db8::7 host.test\nnonsense host.test\n");
    server.on("host.test", A, [](reply& r) { r.a("192.0.2.1"); });
    weft::run([&] {
        weft::resolver r(options());
        auto found = endpoints(r.resolve("host.test", "80"));
        std::ranges::sort(found);
        CHECK(found == strings{"192.0.2.7:80", "[2001:db8::7]:80"});
        CHECK(endpoints(r.resolve("ALIAS", "80")) == strings{"192.0.2.7:80"});
        CHECK(server.count() == 0);
        hosts.write("192.0.2.88 host.test\n");
        CHECK(endpoints(r.resolve("host.test", "80")) == strings{"192.0.2.88:80"});
        CHECK(server.count() == 0);
        hosts.write("");
        CHECK(endpoints(r.resolve("host.test", "80", only_four)) == strings{"192.0.2.1:80"});
        CHECK(server.count() == 1);
    });
}

TEST_CASE_METHOD(dns_fixture,
                 "resolve: a family that the hosts file has no address of is asked of the server") {
    hosts.write("192.0.2.7 host.test\n");
    server.on("host.test", AAAA, [](reply& r) { r.aaaa("2001:db8::1"); });
    weft::run([&] {
        weft::resolver r(options());
        CHECK(endpoints(r.resolve("host.test", "80", {.family = AF_INET6})) == strings{"[2001:db8::1]:80"});
    });
}

TEST_CASE_METHOD(dns_fixture, "resolve: asks for both families, each once, and caches both") {
    server.on("host.test", A, [](reply& r) { r.a("127.0.0.2"); });
    server.on("host.test", AAAA, [](reply& r) { r.aaaa("::1"); });
    weft::run([&] {
        weft::resolver r(options());
        for (int i = 0; i < 2; ++i) {
            auto found = endpoints(r.resolve("host.test", "80"));
            std::ranges::sort(found);
            CHECK(found == strings{"127.0.0.2:80", "[::1]:80"});
        }
        CHECK(endpoints(r.resolve("host.test", "80", only_four)) == strings{"127.0.0.2:80"});
        CHECK(server.count("host.test", A) == 1);
        CHECK(server.count("host.test", AAAA) == 1);
    });
}

TEST_CASE_METHOD(dns_fixture, "resolve: one family's failure does not hide the other's addresses") {
    server.on("host.test", A, [](reply& r) { r.a("192.0.2.1"); });
    server.on("host.test", AAAA, [](reply& r) { r.code(2); });
    weft::run([&] {
        weft::resolver r(options());
        CHECK(endpoints(r.resolve("host.test", "80")) == strings{"192.0.2.1:80"});
    });
}

TEST_CASE_METHOD(dns_fixture, "resolve: says why there is no address, naming the host") {
    server.on("empty.test", A, [](reply&) {});
    server.on("empty.test", AAAA, [](reply&) {});
    server.on("broken.test", A, [](reply& r) { r.code(2); });
    server.on("broken.test", AAAA, [](reply&) {});
    weft::run([&] {
        weft::resolver r(options());
        CHECK(error_of([&] { r.resolve("nowhere.test"); }) == dns_errc::not_found);
        CHECK(error_of([&] { r.resolve("empty.test"); }) == dns_errc::no_data);
        CHECK(error_of([&] { r.resolve("broken.test"); }) == dns_errc::server_failure);
        CHECK(error_of([&] { r.resolve("192.0.2.1", "1", {.family = AF_INET6}); }) == dns_errc::no_data);
        CHECK(message_of<std::system_error>([&] { r.resolve("nowhere.test"); }) ==
              "resolver::resolve: nowhere.test: there is no such name");
    });
}

TEST_CASE_METHOD(dns_fixture, "resolve: hosts that cannot be one are refused before anything is asked") {
    weft::run([&] {
        weft::resolver r(options());
        for (const char* bad : {"", ".", "a..b", ".a", "a b", "a/b", "a\\b", "-a", "*", "a:b", "[::1]",
                                "127.1", "256.1.1.1", "1", "host\n", "%", "::1%", "::1%nope",
                                "b\xc3\xbc"
                                "cher.test"}) {
            CAPTURE(bad);
            CHECK_THROWS_AS(r.resolve(bad), std::invalid_argument);
        }
        CHECK_THROWS_AS(r.resolve(std::string_view("a\0b", 3)), std::invalid_argument);
        CHECK_THROWS_AS(r.resolve(std::string(64, 'x') + ".test"), std::invalid_argument);
        std::string longest;
        while (longest.size() < 250)
            longest += "x.";
        CHECK_THROWS_AS(r.resolve(longest + "abcd"), std::invalid_argument);
        CHECK(error_of([&] { r.resolve(longest + "abc", "1", only_four); }) == dns_errc::not_found);
        CHECK(message_of<std::invalid_argument>([&] { r.resolve("a b"); }) ==
              "resolver::resolve: \"a b\" has a character that no such name may have");
        CHECK(server.count() == 1);
        CHECK(message_of<std::invalid_argument>([&] { weft::getaddrinfo("a..b"); }) ==
              "getaddrinfo: \"a..b\" has an empty label");
    });
}

TEST_CASE_METHOD(dns_fixture, "resolve: flags do as in the C library") {
    server.on("www.test", A,
              [](reply& r) { r.cname("www.test", "host.test").a_of("host.test", "192.0.2.1"); });
    server.on("www.test", AAAA, [](reply& r) { r.cname("www.test", "host.test"); });
    weft::run([&] {
        weft::resolver r(options());
        CHECK(endpoints(r.resolve("", "80", {.flags = AI_PASSIVE})) == strings{"[::]:80", "0.0.0.0:80"});
        CHECK(endpoints(r.resolve("", "80", {.family = AF_INET, .flags = AI_PASSIVE})) ==
              strings{"0.0.0.0:80"});
        CHECK(r.resolve("www.test", "80", {.flags = AI_CANONNAME}).front().canonical_name == "host.test");
        CHECK(r.resolve("www.test", "80").front().canonical_name.empty());
        CHECK_THROWS_AS(r.resolve("www.test", "80", {.flags = AI_NUMERICHOST}), std::invalid_argument);
        CHECK(endpoints(r.resolve("192.0.2.1", "80", {.flags = AI_NUMERICHOST})) == strings{"192.0.2.1:80"});
        CHECK(error_of([&] { r.resolve("www.test", "80", {.family = AF_INET6}); }) == dns_errc::no_data);
        CHECK(endpoints(r.resolve("www.test", "80", {.family = AF_INET6, .flags = AI_V4MAPPED})) ==
              strings{"[::ffff:192.0.2.1]:80"});
        CHECK(endpoints(r.resolve("192.0.2.1", "80", {.family = AF_INET6, .flags = AI_V4MAPPED})) ==
              strings{"[::ffff:192.0.2.1]:80"});
        CHECK_NOTHROW(r.resolve("www.test", "80", {.flags = AI_ADDRCONFIG}));
    });
}

TEST_CASE_METHOD(dns_fixture, "resolve: the search list completes names, as ndots says") {
    temporary_file search("search one.test two.test\noptions ndots:2\n");
    server.on("host.two.test", A, [](reply& r) { r.a("192.0.2.2"); });
    server.on("a.host.one.test", A, [](reply& r) { r.a("192.0.2.3"); });
    server.on("a.b.host", A, [](reply& r) { r.a("192.0.2.4"); });
    server.on("x.y.z.one.test", A, [](reply& r) { r.a("192.0.2.5"); });
    server.on("plain", A, [](reply& r) { r.a("192.0.2.6"); });
    weft::run([&] {
        auto chosen = options();
        chosen.resolv_conf = search.path();
        weft::resolver r(chosen);
        CHECK(endpoints(r.resolve("host", "1", only_four)) == strings{"192.0.2.2:1"});  // second domain
        CHECK(endpoints(r.resolve("a.host", "1", only_four)) ==
              strings{"192.0.2.3:1"});  // too few dots: domains first
        CHECK(server.count("a.host", A) == 0);
        CHECK(endpoints(r.resolve("a.b.host", "1", only_four)) ==
              strings{"192.0.2.4:1"});                                                   // enough: as it is
        CHECK(endpoints(r.resolve("x.y.z", "1", only_four)) == strings{"192.0.2.5:1"});  // then the domains
        CHECK(endpoints(r.resolve("plain", "1", only_four)) == strings{"192.0.2.6:1"});  // as it is, last
        CHECK(error_of([&] { r.resolve("host.", "1", only_four); }) == dns_errc::not_found);  // absolute
        CHECK(server.count("host", A) == 1);
    });
}

TEST_CASE_METHOD(dns_fixture, "resolve: the addresses that can be reached come first") {
    // Nothing routes to 2001:db8::/32 from a machine without IPv6, and loopback is always there.
    server.on("host.test", A, [](reply& r) { r.a("127.0.0.2"); });
    server.on("host.test", AAAA, [](reply& r) { r.aaaa("::1"); });
    weft::run([&] {
        weft::resolver r(options());
        const auto found = endpoints(r.resolve("host.test", "1"));
        const bool six = endpoints(r.resolve("localhost", "1")).front() == "[::1]:1";
        CHECK(found.front() == (six ? "[::1]:1" : "127.0.0.2:1"));
    });
}
