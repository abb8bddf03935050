// What servers do wrong, and what comes of it.

#include "fixture.hpp"

using namespace dns_test;

TEST_CASE("dns_category: names each error and its portable condition") {
    const std::error_code timeout = dns_errc::timeout;
    CHECK(timeout.category().name() == std::string("dns"));
    CHECK(timeout == std::errc::timed_out);
    CHECK(std::error_code(dns_errc::connection_refused) == std::errc::connection_refused);
    CHECK(std::error_code(dns_errc::not_found) != std::error_code(dns_errc::no_data));
    for (int value = 1; value <= static_cast<int>(dns_errc::other); ++value)
        CHECK(weft::dns_category().message(value).find("unknown") == std::string::npos);
    CHECK(weft::dns_category().message(999) == "unknown error 999");
}

TEST_CASE_METHOD(dns_fixture, "query: NXDOMAIN is not_found, an empty answer is no_data") {
    server.on("empty.test", A, [](reply&) {});
    server.on("other.test", A, [](reply& r) { r.a_of("unasked.test", "192.0.2.1"); });
    weft::run([&] {
        weft::resolver r(options());
        CHECK(error_of([&] { r.query_a("nowhere.test"); }) == dns_errc::not_found);
        CHECK(error_of([&] { r.query_a("empty.test"); }) == dns_errc::no_data);
        CHECK(error_of([&] { r.query_a("other.test"); }) == dns_errc::no_data);
        CHECK(message_of<std::system_error>([&] { r.query_a("nowhere.test"); }) ==
              "resolver::query_a: nowhere.test: there is no such name");
    });
}

TEST_CASE_METHOD(dns_fixture, "query: what an unwilling server says comes through") {
    server.on("servfail.test", A, [](reply& r) { r.code(2); });
    server.on("formerr.test", A, [](reply& r) { r.code(1); });
    server.on("notimp.test", A, [](reply& r) { r.code(4); });
    server.on("refused.test", A, [](reply& r) { r.code(5); });
    server.on("strange.test", A, [](reply& r) { r.code(9); });
    weft::run([&] {
        weft::resolver r(options());
        CHECK(error_of([&] { r.query_a("servfail.test"); }) == dns_errc::server_failure);
        CHECK(error_of([&] { r.query_a("formerr.test"); }) == dns_errc::format_error);
        CHECK(error_of([&] { r.query_a("notimp.test"); }) == dns_errc::not_implemented);
        CHECK(error_of([&] { r.query_a("refused.test"); }) == dns_errc::refused);
        CHECK_THROWS_AS(r.query_a("strange.test"), std::system_error);
        CHECK(r.statistics().failures == 5);
        CHECK(r.statistics().cached == 0);
    });
}

TEST_CASE_METHOD(dns_fixture, "query: a server that is silent is a timeout") {
    server.on("silent.test", A, [](reply& r) { r.drop(); });
    weft::run([&] {
        weft::resolver r(impatient());
        CHECK(error_of([&] { r.query_a("silent.test"); }) == dns_errc::timeout);
        CHECK(server.count() == 1);
        CHECK(r.statistics().timeouts == 1);
    });
}

TEST_CASE_METHOD(dns_fixture, "query: a lost packet is sent again") {
    server.on("lossy.test", A, [](reply& r) {
        if (r.asked().count == 1)
            r.drop();
        else
            r.a("192.0.2.1");
    });
    weft::run([&] {
        auto chosen = impatient();
        chosen.tries = 3;
        weft::resolver r(chosen);
        CHECK(r.query_a("lossy.test").size() == 1);
        CHECK(server.count() >= 2);
        CHECK(r.statistics().questions == 1);
    });
}

TEST_CASE_METHOD(dns_fixture, "query: garbage in place of an answer is waited out") {
    server.on("garbage.test", A, [](reply& r) { r.raw("\x01\x02\x03"); });
    server.on("foreign.test", A, [](reply& r) {
        r.raw(r.asked().bytes.substr(0, 2) + std::string("\x81\x80\0\1\0\0\0\0\0\0\3foo\0\0\1\0\1", 19));
    });
    weft::run([&] {
        weft::resolver r(impatient());
        CHECK(error_of([&] { r.query_a("garbage.test"); }) == dns_errc::timeout);
        CHECK(error_of([&] { r.query_a("foreign.test"); }) == dns_errc::timeout);
    });
}

TEST_CASE_METHOD(dns_fixture, "query: an answer with malformed records is a bad response") {
    server.on("cut.test", A, [](reply& r) {
        std::string bytes = r.a("192.0.2.1").bytes();
        r.raw(bytes.substr(0, bytes.size() - 2));
    });
    server.on("short.test", A, [](reply& r) { r.record("short.test", A, 60, "abc"); });
    server.on("circle.test", A,
              [](reply& r) { r.cname("circle.test", "b.test").cname("b.test", "circle.test"); });
    weft::run([&] {
        weft::resolver r(options());
        CHECK(error_of([&] { r.query_a("cut.test"); }) == dns_errc::bad_response);
        CHECK(error_of([&] { r.query_a("short.test"); }) == dns_errc::bad_response);
        CHECK(error_of([&] { r.query_a("circle.test"); }) == dns_errc::bad_response);
    });
}

TEST_CASE_METHOD(dns_fixture, "query: nobody at the server's port is connection_refused, at once") {
    std::string address;
    {
        dns_server gone;
        address = gone.address();
    }
    weft::run([&] {
        auto chosen = options();
        chosen.servers = {address};
        weft::resolver r(chosen);
        CHECK(error_of([&] { r.query_a("host.test"); }) == dns_errc::connection_refused);
    });
}

TEST_CASE_METHOD(dns_fixture, "query: the next server is asked when the first fails, refuses, or is silent") {
    dns_server second;
    for (const char* name : {"servfail.test", "refused.test", "silent.test"})
        second.on(name, A, [](reply& r) { r.a("192.0.2.1"); });
    server.on("servfail.test", A, [](reply& r) { r.code(2); });
    server.on("refused.test", A, [](reply& r) { r.code(5); });
    server.on("silent.test", A, [](reply& r) { r.drop(); });
    weft::run([&] {
        auto chosen = impatient();
        chosen.servers.push_back(second.address());
        weft::resolver r(chosen);
        for (const char* name : {"servfail.test", "refused.test", "silent.test"}) {
            CAPTURE(name);
            CHECK(r.query_a(name).front().address == "192.0.2.1");
            CHECK(server.count(name, A) == 1);
            CHECK(second.count(name, A) == 1);
        }
    });
}

TEST_CASE_METHOD(dns_fixture, "query: with rotate the servers take turns") {
    dns_server second;
    server.on_anything([](reply& r) { r.a("192.0.2.1"); });
    second.on_anything([](reply& r) { r.a("192.0.2.2"); });
    weft::run([&] {
        auto chosen = options();
        chosen.servers.push_back(second.address());
        chosen.rotate = true;
        weft::resolver r(chosen);
        for (int i = 0; i < 32; ++i)
            r.query_a("host" + std::to_string(i) + ".test");
        CHECK(server.count() > 0);
        CHECK(second.count() > 0);
    });
}

TEST_CASE_METHOD(dns_fixture, "query: a server that closes the TCP connection is an error") {
    server.on("big.test", TXT, [](reply& r) {
        if (!r.asked().tcp)
            r.truncated();
        else
            r.hang_up();
    });
    weft::run([&] {
        weft::resolver r(impatient());
        CHECK_THROWS_AS(r.query_txt("big.test"), std::system_error);
    });
}

TEST_CASE_METHOD(dns_fixture, "resolver: options that cannot be ones are refused by name") {
    using options_type = weft::resolver_options;
    for (const char* bad : {"", "localhost", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:53x",
                            "[::1", "[::1]53", "[127.0.0.1]:53", "::1:x", "fe80::1%lo"}) {
        CAPTURE(bad);
        CHECK_THROWS_AS(weft::resolver(options_type{.servers = {bad}}), std::invalid_argument);
    }
    for (const char* good : {"127.0.0.1", "127.0.0.1:5353", "::1", "[::1]", "[::1]:53"}) {
        CAPTURE(good);
        CHECK_NOTHROW(weft::resolver(options_type{.servers = {good}}));
    }
    CHECK_THROWS_AS(weft::resolver(options_type{.timeout = 0ms}), std::invalid_argument);
    CHECK_THROWS_AS(weft::resolver(options_type{.tries = 0}), std::invalid_argument);
    CHECK(message_of<std::invalid_argument>([] {
              weft::resolver(options_type{.servers = {"nonsense"}});
          }).find("\"nonsense\"") != std::string::npos);
}
