// getnameinfo and resolver::reverse.

#include "fixture.hpp"

using namespace dns_test;
using names = std::pair<std::string, std::string>;

TEST_CASE_METHOD(dns_fixture, "reverse: asks for the address's name, once") {
    server.on("1.2.0.192.in-addr.arpa", PTR, [](reply& r) { r.name(PTR, "host.test"); });
    weft::run([&] {
        weft::resolver r(options());
        for (int i = 0; i < 2; ++i)
            CHECK(r.reverse(weft::endpoint("192.0.2.1", 80)) == names("host.test", "http"));
        CHECK(r.reverse(weft::endpoint("::ffff:192.0.2.1", 80)).first == "host.test");
        CHECK(server.count() == 1);
    });
}

TEST_CASE_METHOD(dns_fixture,
                 "reverse: without a name it gives the number, or not_found where one is required") {
    weft::run([&] {
        weft::resolver r(options());
        CHECK(r.reverse(weft::endpoint("192.0.2.1", 4)) == names("192.0.2.1", "4"));
        CHECK(error_of([&] { r.reverse(weft::endpoint("192.0.2.1", 80), NI_NAMEREQD); }) ==
              dns_errc::not_found);
    });
}

TEST_CASE_METHOD(dns_fixture, "reverse: a server's failure is an error, not a number") {
    server.on_anything([](reply& r) { r.code(2); });
    weft::run([&] {
        weft::resolver r(options());
        CHECK(error_of([&] { r.reverse(weft::endpoint("192.0.2.1", 80)); }) == dns_errc::server_failure);
    });
}

TEST_CASE_METHOD(dns_fixture, "reverse: numbers, the hosts file and loopback need no server") {
    hosts.write("192.0.2.7 First.test second.test\n");
    weft::run([&] {
        weft::resolver r(options());
        CHECK(r.reverse(weft::endpoint("192.0.2.1", 80), NI_NUMERICHOST | NI_NUMERICSERV) ==
              names("192.0.2.1", "80"));
        CHECK(r.reverse(weft::endpoint("192.0.2.7", 53), NI_DGRAM) == names("first.test", "domain"));
        CHECK(r.reverse(weft::endpoint("127.0.0.1", 80)).first == "localhost");
        CHECK(r.reverse(weft::endpoint("::1", 80)).first == "localhost");
        CHECK(weft::getnameinfo(weft::endpoint("192.0.2.1", 80), NI_NUMERICHOST) ==
              names("192.0.2.1", "http"));
        CHECK(server.count() == 0);
    });
}

TEST_CASE_METHOD(dns_fixture, "reverse: a name that is none is not handed out") {
    server.on("1.2.0.192.in-addr.arpa", PTR, [](reply& r) { r.name(PTR, "<script>"); });
    weft::run([&] {
        weft::resolver r(options());
        CHECK(r.reverse(weft::endpoint("192.0.2.1", 80)).first == "192.0.2.1");
    });
}

TEST_CASE_METHOD(dns_fixture, "reverse: NI_NOFQDN leaves the local domain out") {
    temporary_file search("search local.test\n");
    server.on("1.2.0.192.in-addr.arpa", PTR, [](reply& r) { r.name(PTR, "host.local.test"); });
    weft::run([&] {
        auto chosen = options();
        chosen.resolv_conf = search.path();
        weft::resolver r(chosen);
        CHECK(r.reverse(weft::endpoint("192.0.2.1", 80), NI_NOFQDN).first == "host");
    });
}

TEST_CASE_METHOD(dns_fixture, "reverse: what has no IP address, and unknown flags, are refused") {
    weft::run([&] {
        weft::resolver r(options());
        CHECK_THROWS_AS(r.reverse(weft::endpoint::unix_path("/run/socket")), std::invalid_argument);
        CHECK_THROWS_AS(r.reverse(weft::endpoint("127.0.0.1", 80), 1 << 20), std::invalid_argument);
    });
}
