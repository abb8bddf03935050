// Questions in flight: shared by who asks the same, and not disturbed by who leaves.

#include "fixture.hpp"

#include <random>

#include <weft/timeout.hpp>

using namespace dns_test;

namespace {

/// Tasks that ask for host.test, all of them parked when the constructor returns.
struct askers : dns_fixture {
    void start(weft::resolver& r, int count) {
        server.on("host.test", A, [](reply& s) { s.a("192.0.2.1"); });
        server.hold();
        for (int i = 0; i < count; ++i)
            tasks.push_back(weft::create_task([&r] { return r.query_a("host.test").front().address; }));
        weft::yield_now();
        server.await(1);
    }
    std::vector<weft::task<std::string>> tasks;
};

}  // namespace

TEST_CASE_METHOD(askers, "sharing: the same question in flight is asked once") {
    weft::run([&] {
        weft::resolver r(options());
        start(r, 10);
        CHECK(r.statistics().in_flight == 1);
        CHECK(r.statistics().questions == 1);
        CHECK(r.statistics().shared == 9);
        server.release();
        for (auto& t : tasks)
            CHECK(t.get() == "192.0.2.1");
        CHECK(server.count() == 1);
        CHECK(r.statistics().in_flight == 0);
    });
}

TEST_CASE_METHOD(askers, "sharing: resolve shares with query_a, and asks both families at once") {
    weft::run([&] {
        weft::resolver r(options());
        start(r, 1);
        auto resolving = weft::create_task([&] { return r.resolve("host.test", "80"); });
        weft::yield_now();
        server.await(2);
        server.release();
        CHECK(endpoints(resolving.get()) == strings{"192.0.2.1:80"});
        CHECK(tasks[0].get() == "192.0.2.1");
        CHECK(server.count("host.test", A) == 1);
        CHECK(server.count("host.test", AAAA) == 1);
    });
}

TEST_CASE_METHOD(askers, "sharing: cancelling one waiter does not cancel another's question") {
    weft::run([&] {
        weft::resolver r(options());
        start(r, 2);
        tasks[0].cancel();
        tasks[0].join();
        CHECK(tasks[0].cancelled());
        CHECK(r.statistics().in_flight == 1);
        server.release();
        CHECK(tasks[1].get() == "192.0.2.1");
        CHECK(server.count() == 1);
    });
}

TEST_CASE_METHOD(
    askers, "sharing: the question is dropped when its last waiter leaves, and asked afresh by the next") {
    weft::run([&] {
        weft::resolver r(options());
        const std::size_t before = open_descriptors();
        start(r, 2);
        CHECK(open_descriptors() > before);
        for (auto& t : tasks)
            t.cancel();
        for (auto& t : tasks)
            t.join();
        CHECK(r.statistics().in_flight == 0);
        CHECK(open_descriptors() == before);  // no socket is left
        server.release();
        CHECK(r.query_a("host.test").front().address == "192.0.2.1");
        CHECK(server.count() == 2);
    });
}

TEST_CASE_METHOD(askers, "sharing: dropping one question leaves the others in flight") {
    weft::run([&] {
        weft::resolver r(options());
        start(r, 1);
        server.on("other.test", A, [](reply& s) { s.a("192.0.2.2"); });
        auto other = weft::create_task([&] { return r.query_a("other.test").front().address; });
        weft::yield_now();
        server.await(2);
        tasks[0].cancel();
        tasks[0].join();
        CHECK(r.statistics().in_flight == 2);  // c-ares cannot take one back; nobody hears it
        auto again = weft::create_task([&] { return r.query_a("host.test").front().address; });
        weft::yield_now();
        server.await(3);
        server.release();
        CHECK(other.get() == "192.0.2.2");
        CHECK(again.get() == "192.0.2.1");
        CHECK(r.statistics().in_flight == 0);
    });
}

TEST_CASE_METHOD(
    askers, "sharing: a waiter cancelled in the turn of its answer leaves cancelled, the others have it") {
    weft::run([&] {
        weft::resolver r(options());
        start(r, 2);
        server.release();
        // Ask something else and wait: its answer comes after the held one, so that one has been delivered by
        // then.
        server.on("after.test", A, [](reply& s) { s.a("192.0.2.9"); });
        weft::task<> canceller = weft::create_task([&] {
            r.query_a("after.test");
            tasks[0].cancel();  // done already, or about to run
        });
        canceller.get();
        tasks[0].join();
        CHECK(tasks[1].get() == "192.0.2.1");
        CHECK(r.statistics().in_flight == 0);
    });
}

TEST_CASE_METHOD(dns_fixture, "cancellation: is checked also by calls that need not wait") {
    server.on_anything([](reply& r) { r.a("192.0.2.1"); });
    weft::run([&] {
        weft::resolver r(options());
        r.query_a("host.test");
        auto check = [&](auto call) {
            auto t = weft::create_task([&] {
                weft::current_task().cancel();
                call();
            });
            t.join();
            CHECK(t.cancelled());
        };
        check([&] { r.query_a("host.test"); });
        check([&] { r.resolve("192.0.2.1"); });
        check([&] { r.resolve("localhost"); });
        check([&] { weft::getaddrinfo("192.0.2.1"); });
        check([&] { weft::getnameinfo(weft::endpoint("192.0.2.1", 1), NI_NUMERICHOST | NI_NUMERICSERV); });
        CHECK(server.count() == 1);
    });
}

TEST_CASE_METHOD(askers, "sharing: each loop asks for itself") {
    weft::resolver r(options());
    weft::run([&] {
        start(r, 1);
        std::thread other(
            [&] { weft::run([&] { CHECK(r.query_a("host.test").front().address == "192.0.2.1"); }); });
        server.await(2);
        server.release();
        other.join();
        CHECK(tasks[0].get() == "192.0.2.1");
    });
    CHECK(server.count() == 2);
}

TEST_CASE_METHOD(askers, "cancellation: a deadline ends the wait, and with it the question") {
    server.on("silent.test", A, [](reply& r) { r.drop(); });
    weft::run([&] {
        weft::resolver r(options());
        CHECK_THROWS_AS(weft::timeout(10ms, [&] { r.query_a("silent.test"); }), weft::timeout_error);
        CHECK(r.statistics().in_flight == 0);
        CHECK(r.statistics().timeouts == 0);
    });
}

TEST_CASE_METHOD(dns_fixture, "sharing: askers that come and go in any order all end, and nothing is left") {
    server.on_anything([](reply& r) {
        const int number = std::stoi(r.asked().name.substr(1));
        if (number % 4 == 0 && r.asked().count == 1)
            r.drop();
        else if (number % 4 == 1)
            r.code(2);
        else if (r.asked().type == A)
            r.a("192.0.2.1", static_cast<std::uint32_t>(number % 3));
    });
    auto chosen = impatient();
    chosen.tries = 2;
    weft::resolver r(chosen);
    weft::run([&] {
        std::mt19937 random(7);
        std::vector<weft::task<>> tasks;
        for (int i = 0; i < 400; ++i) {
            const std::string name = "n" + std::to_string(random() % 20) + ".test";
            tasks.push_back(weft::create_task([&r, name] {
                try {
                    r.resolve(name, "80", {.family = AF_INET});
                } catch (const std::system_error&) {
                }
            }));
            if (random() % 2)
                tasks[random() % tasks.size()].cancel();
            if (random() % 8 == 0)
                weft::yield_now();
            if (random() % 40 == 0)
                server.count() % 2 ? weft::sleep(1ms) : weft::sleep(3ms);
        }
        for (auto& t : tasks)
            t.join();
        CHECK(r.statistics().in_flight == 0);
        CHECK(r.statistics().shared > 0);
    });
}
