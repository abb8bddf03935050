// The cache: for how long, how much, and what it counts.

#include "fixture.hpp"

#include "dns/answer_cache.hpp"

using namespace dns_test;

TEST_CASE_METHOD(dns_fixture, "cache: an answer is asked for once while its ttl lasts") {
    movable_clock clock;
    server.on("host.test", A, [](reply& r) { r.a("192.0.2.1", 10); });
    weft::run([&] {
        weft::resolver r(options());
        CHECK(r.query_a("host.test").front().ttl == 10s);
        clock.advance(4s);
        const auto kept = r.query_a("host.test").front().ttl;
        CHECK(kept <= 6s);  // what is left of it
        CHECK(kept >= 5s);
        CHECK(server.count() == 1);
        CHECK(r.statistics().cache_hits == 1);
        CHECK(r.statistics().questions == 1);
        CHECK(r.statistics().cached == 1);

        clock.advance(6s);
        CHECK(r.query_a("host.test").front().ttl == 10s);
        CHECK(server.count() == 2);
    });
}

TEST_CASE_METHOD(dns_fixture, "cache: the smallest ttl of an answer, aliases included, ends it") {
    movable_clock clock;
    server.on("www.test", A, [](reply& r) {
        r.cname("www.test", "host.test", 5)
            .a_of("host.test", "192.0.2.1", 100)
            .a_of("host.test", "192.0.2.2", 50);
    });
    weft::run([&] {
        weft::resolver r(options());
        r.query_a("www.test");
        clock.advance(4s);
        r.query_a("www.test");
        CHECK(server.count() == 1);
        clock.advance(1s);
        r.query_a("www.test");
        CHECK(server.count() == 2);
    });
}

TEST_CASE_METHOD(dns_fixture, "cache: an answer with ttl 0 is not kept") {
    server.on("host.test", A, [](reply& r) { r.a("192.0.2.1", 0); });
    weft::run([&] {
        weft::resolver r(options());
        r.query_a("host.test");
        r.query_a("host.test");
        CHECK(server.count() == 2);
        CHECK(r.statistics().cached == 0);
    });
}

TEST_CASE_METHOD(dns_fixture, "cache: NXDOMAIN and no data are kept as long as the SOA says") {
    movable_clock clock;
    server.on("nowhere.test", A, [](reply& r) { r.code(3).soa(true, 100, 10); });
    server.on("empty.test", A, [](reply& r) { r.soa(true, 10, 100); });
    weft::run([&] {
        weft::resolver r(options());
        for (int i = 0; i < 2; ++i) {
            CHECK(error_of([&] { r.query_a("nowhere.test"); }) == dns_errc::not_found);
            CHECK(error_of([&] { r.query_a("empty.test"); }) == dns_errc::no_data);
            clock.advance(9s);
        }
        CHECK(server.count() == 2);
        CHECK(r.statistics().cache_hits == 2);
        clock.advance(1s);
        CHECK(error_of([&] { r.query_a("nowhere.test"); }) == dns_errc::not_found);
        CHECK(error_of([&] { r.query_a("empty.test"); }) == dns_errc::no_data);
        CHECK(server.count() == 4);
    });
}

TEST_CASE_METHOD(dns_fixture, "cache: a negative answer without SOA, and a failure, are not kept") {
    server.on("nowhere.test", A, [](reply& r) { r.code(3); });
    server.on("broken.test", A, [](reply& r) { r.code(2).soa(true, 100, 100); });
    weft::run([&] {
        weft::resolver r(impatient());
        for (int i = 0; i < 2; ++i) {
            CHECK_THROWS_AS(r.query_a("nowhere.test"), std::system_error);
            CHECK_THROWS_AS(r.query_a("broken.test"), std::system_error);
        }
        CHECK(server.count() == 4);
    });
}

TEST_CASE_METHOD(dns_fixture, "cache: types are kept apart") {
    server.on("host.test", A, [](reply& r) { r.a("192.0.2.1"); });
    server.on("host.test", AAAA, [](reply& r) { r.aaaa("2001:db8::1"); });
    weft::run([&] {
        weft::resolver r(options());
        r.query_a("host.test");
        r.query_aaaa("host.test");
        CHECK(server.count() == 2);
        CHECK(r.statistics().cached == 2);
    });
}

TEST_CASE_METHOD(dns_fixture, "cache: beyond cache_size the least recently used answer goes") {
    server.on_anything([](reply& r) { r.a("192.0.2.1"); });
    weft::run([&] {
        auto chosen = options();
        chosen.cache_size = 2;
        weft::resolver r(chosen);
        r.query_a("one.test");
        r.query_a("two.test");
        r.query_a("one.test");  // used again: two.test is now the oldest
        r.query_a("three.test");
        CHECK(server.count() == 3);
        CHECK(r.statistics().cached == 2);
        r.query_a("one.test");
        CHECK(server.count() == 3);
        r.query_a("two.test");
        CHECK(server.count() == 4);
    });
}

TEST_CASE_METHOD(dns_fixture, "cache: an answer of more than 16 KiB is given, but not kept") {
    const std::string data = "\xc8" + std::string(200, 'x');
    server.on_anything([data](reply& r) {
        if (!r.asked().tcp) {
            r.truncated();
            return;
        }
        for (int i = r.asked().name == "large.test" ? 90 : 60; i > 0; --i)
            r.record(r.asked().name, TXT, 60, data);
    });
    weft::run([&] {
        weft::resolver r(options());
        for (int i = 0; i < 2; ++i) {
            CHECK(r.query_txt("large.test").size() == 90);
            CHECK(r.query_txt("small.test").size() == 60);
        }
        CHECK(r.statistics().questions == 3);
        CHECK(r.statistics().cached == 1);
    });
}

TEST_CASE_METHOD(dns_fixture, "cache: with cache_size 0 nothing is kept") {
    server.on_anything([](reply& r) { r.a("192.0.2.1"); });
    weft::run([&] {
        auto chosen = options();
        chosen.cache_size = 0;
        weft::resolver r(chosen);
        r.query_a("one.test");
        r.query_a("one.test");
        CHECK(server.count() == 2);
    });
}

TEST_CASE_METHOD(dns_fixture, "cache: it is common to the loops that use the resolver, and outlives them") {
    server.on_anything([](reply& r) { r.a("192.0.2.1"); });
    weft::resolver r(options());
    weft::run([&] { r.query_a("one.test"); });
    weft::run([&] { r.query_a("one.test"); });
    std::thread([&] { weft::run([&] { r.query_a("one.test"); }); }).join();
    CHECK(server.count() == 1);
}

TEST_CASE_METHOD(dns_fixture, "cache: a cached answer needs no task, an answer to wait for does") {
    server.on_anything([](reply& r) { r.a("192.0.2.1"); });
    weft::run([&] {
        weft::resolver r(options());
        r.query_a("one.test");
        bool called = false;
        weft::get_running_loop().call_soon([&] {
            CHECK(r.query_a("one.test").size() == 1);
            CHECK_THROWS_AS(r.query_a("two.test"), weft::no_running_task);
            called = true;
        });
        while (!called)
            weft::yield_now();
        CHECK(server.count() == 1);
    });
}
