// The query_ functions: each type's records, as a server sends them.

#include "fixture.hpp"

using namespace dns_test;

TEST_CASE_METHOD(dns_fixture, "query_a: gives every address with its ttl") {
    server.on("host.test", A, [](reply& r) { r.a("192.0.2.1", 60).a("192.0.2.2", 30); });
    weft::run([&] {
        weft::resolver r(options());
        const auto records = r.query_a("host.test");
        REQUIRE(records.size() == 2);
        CHECK(records[0].address == "192.0.2.1");
        CHECK(records[0].ttl == 60s);
        CHECK(records[1].address == "192.0.2.2");
        CHECK(records[1].ttl == 30s);
    });
}

TEST_CASE_METHOD(dns_fixture, "query_aaaa: gives IPv6 addresses") {
    server.on("host.test", AAAA, [](reply& r) { r.aaaa("2001:db8::1", 5); });
    weft::run([&] {
        weft::resolver r(options());
        const auto records = r.query_aaaa("host.test");
        REQUIRE(records.size() == 1);
        CHECK(records[0].address == "2001:db8::1");
        CHECK(records[0].ttl == 5s);
    });
}

TEST_CASE_METHOD(dns_fixture, "query_mx: the lowest priority first") {
    server.on("test", MX,
              [](reply& r) { r.mx(20, "b.mail.test").mx(10, "a.mail.test").mx(20, "c.mail.test", 7); });
    weft::run([&] {
        weft::resolver r(options());
        const auto records = r.query_mx("test");
        REQUIRE(records.size() == 3);
        CHECK(records[0].host == "a.mail.test");
        CHECK(records[0].priority == 10);
        CHECK(records[1].host == "b.mail.test");
        CHECK(records[2].host == "c.mail.test");
        CHECK(records[2].ttl == 7s);
    });
}

TEST_CASE_METHOD(dns_fixture, "query_txt: joins a record's strings and keeps every byte") {
    server.on("test", TXT, [](reply& r) {
        r.record("test", TXT, 9, std::string("\x03one\x04 two", 9));
        r.record("test", TXT, 9, std::string("\x04\0\xff.\\", 5));
        r.record("test", TXT, 9, std::string("\0", 1));
    });
    weft::run([&] {
        weft::resolver r(options());
        const auto records = r.query_txt("test");
        REQUIRE(records.size() == 3);
        CHECK(records[0].text == "one two");
        CHECK(records[1].text == std::string("\0\xff.\\", 4));
        CHECK(records[2].text.empty());
        CHECK(records[0].ttl == 9s);
    });
}

TEST_CASE_METHOD(dns_fixture, "query_srv: names with underscores, the lowest priority first") {
    server.on("_sip._tcp.test", SRV,
              [](reply& r) { r.srv(2, 0, 5061, "b.test").srv(1, 7, 5060, "a.test", 11); });
    weft::run([&] {
        weft::resolver r(options());
        const auto records = r.query_srv("_sip._tcp.test");
        REQUIRE(records.size() == 2);
        CHECK(records[0].host == "a.test");
        CHECK(records[0].port == 5060);
        CHECK(records[0].priority == 1);
        CHECK(records[0].weight == 7);
        CHECK(records[0].ttl == 11s);
        CHECK(records[1].host == "b.test");
    });
}

TEST_CASE_METHOD(dns_fixture, "query_ns, query_cname, query_ptr, query_soa: give names") {
    server.on("test", NS, [](reply& r) { r.name(NS, "ns1.test").name(NS, "ns2.test", 3); });
    server.on("www.test", CNAME, [](reply& r) { r.name(CNAME, "host.test", 4); });
    server.on("1.2.0.192.in-addr.arpa", PTR, [](reply& r) { r.name(PTR, "host.test", 5); });
    server.on("test", SOA, [](reply& r) { r.soa(false, 60, 300); });
    weft::run([&] {
        weft::resolver r(options());
        const auto servers = r.query_ns("test");
        REQUIRE(servers.size() == 2);
        CHECK(servers[0].host == "ns1.test");
        CHECK(servers[1].ttl == 3s);
        CHECK(r.query_cname("www.test").name == "host.test");
        CHECK(r.query_cname("www.test").ttl == 4s);
        const auto pointers = r.query_ptr("1.2.0.192.in-addr.arpa");
        REQUIRE(pointers.size() == 1);
        CHECK(pointers[0].name == "host.test");
        const auto soa = r.query_soa("test");
        CHECK(soa.primary == "ns.test");
        CHECK(soa.hostmaster == "admin.test");
        CHECK(soa.serial == 7);
        CHECK(soa.refresh == 3600s);
        CHECK(soa.retry == 600s);
        CHECK(soa.expire == 86400s);
        CHECK(soa.minimum == 300s);
        CHECK(soa.ttl == 60s);
    });
}

TEST_CASE_METHOD(dns_fixture, "query_ptr: an address stands for its reverse name") {
    const std::string six = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
    server.on("1.2.0.192.in-addr.arpa", PTR, [](reply& r) { r.name(PTR, "four.test"); });
    server.on(six, PTR, [](reply& r) { r.name(PTR, "six.test"); });
    weft::run([&] {
        weft::resolver r(options());
        CHECK(r.query_ptr("192.0.2.1").front().name == "four.test");
        CHECK(r.query_ptr("2001:db8::1").front().name == "six.test");
    });
}

TEST_CASE_METHOD(dns_fixture, "query_a: follows aliases in any order, and their ttl counts") {
    server.on("www.test", A, [](reply& r) {
        r.cname("b.test", "c.test", 40)
            .a_of("c.test", "192.0.2.3", 50)
            .a_of("other.test", "192.0.2.9")
            .cname("www.test", "b.test", 20);
    });
    weft::run([&] {
        weft::resolver r(options());
        const auto records = r.query_a("www.test");
        REQUIRE(records.size() == 1);
        CHECK(records[0].address == "192.0.2.3");
        CHECK(records[0].ttl == 20s);
    });
}

TEST_CASE_METHOD(dns_fixture,
                 "query_a: names are compared without regard to case, and a last dot makes no difference") {
    server.on("host.test", A, [](reply& r) { r.a("192.0.2.1"); });
    weft::run([&] {
        weft::resolver r(options());
        CHECK(r.query_a("Host.TEST").size() == 1);
        CHECK(r.query_a("host.test.").size() == 1);
        CHECK(server.count() == 1);
    });
}

TEST_CASE_METHOD(dns_fixture, "query_a: localhost has its addresses without a server") {
    weft::run([&] {
        weft::resolver r(options());
        CHECK(r.query_a("localhost").front().address == "127.0.0.1");
        CHECK(r.query_aaaa("db.localhost.").front().address == "::1");
        CHECK(server.count() == 0);
    });
}

TEST_CASE_METHOD(dns_fixture, "query: names that cannot be one are refused before anything is asked") {
    weft::run([&] {
        weft::resolver r(options());
        for (const char* bad : {"", ".", "a..b", ".a", "a b", "a\\b",
                                "b\xc3\xbc"
                                "cher.test",
                                "a\n"})
            CHECK_THROWS_AS(r.query_txt(bad), std::invalid_argument);
        CHECK_THROWS_AS(r.query_txt(std::string(64, 'x') + ".test"), std::invalid_argument);
        CHECK(message_of<std::invalid_argument>([&] { r.query_mx("a..b"); }) ==
              "resolver::query_mx: \"a..b\" has an empty label");
        CHECK(server.count() == 0);
    });
}

TEST_CASE_METHOD(dns_fixture, "query_txt: a truncated answer is asked for again over TCP") {
    server.on("big.test", TXT, [](reply& r) {
        if (!r.asked().tcp) {
            r.truncated();
            return;
        }
        for (int i = 0; i < 100; ++i)
            r.record("big.test", TXT, 60, '\xc8' + std::string(200, static_cast<char>('a' + i % 26)));
    });
    weft::run([&] {
        weft::resolver r(options());
        const auto records = r.query_txt("big.test");
        REQUIRE(records.size() == 100);
        CHECK(records[1].text == std::string(200, 'b'));
        CHECK(server.count("big.test", TXT) == 2);
    });
}
