// Resolvers that die before, and live longer than, the loops that use them.

#include "fixture.hpp"

#include <memory>
#include <optional>

using namespace dns_test;

namespace {

struct silent : dns_fixture {
    silent() {
        server.on_anything([](reply& r) { r.drop(); });
    }
};

}  // namespace

TEST_CASE_METHOD(silent, "resolver: destroyed with waiters, it gives them dns_errc::cancelled") {
    weft::run([&] {
        auto r = std::make_unique<weft::resolver>(options());
        std::vector<weft::task<dns_errc>> tasks;
        for (const char* name : {"a.test", "a.test", "b.test"})
            tasks.push_back(weft::create_task([&r, name] { return error_of([&] { r->query_a(name); }); }));
        tasks.push_back(weft::create_task([&r] { return error_of([&] { r->resolve("c.test"); }); }));
        weft::yield_now();
        server.await(4);
        r.reset();
        for (auto& t : tasks)
            CHECK(t.get() == dns_errc::cancelled);
    });
}

TEST_CASE_METHOD(silent, "resolver: destroyed on a plain thread, it ends the questions of a running loop") {
    auto r = std::make_unique<weft::resolver>(options());
    std::thread destroyer;
    weft::run([&] {
        auto asking = weft::create_task([&r] { return error_of([&] { r->query_a("a.test"); }); });
        weft::yield_now();
        server.await(1);
        destroyer = std::thread([&] { r.reset(); });
        CHECK(asking.get() == dns_errc::cancelled);
    });
    destroyer.join();
}

TEST_CASE_METHOD(silent, "resolver: destroyed while a loop that uses it closes") {
    for (int i = 0; i < 50; ++i) {
        auto r = std::make_unique<weft::resolver>(options());
        std::thread destroyer;
        std::atomic<bool> go{false};
        weft::run([&] {
            auto asking =
                weft::create_task(weft::task_options{.name = "asking", .stack_size = 0, .eager = true},
                                  [&r] { CHECK_THROWS_AS(r->query_a("a.test"), weft::cancelled); });
            destroyer = std::thread([&] {
                while (!go)
                    std::this_thread::yield();
                r.reset();
            });
            asking.cancel();
            asking.join();
            go = true;
        });
        destroyer.join();
    }
}

TEST_CASE_METHOD(dns_fixture, "resolver: destroyed between two runs of a loop that uses it") {
    server.on_anything([](reply& r) { r.a("192.0.2.1"); });
    weft::runner runner;
    auto r = std::make_unique<weft::resolver>(options());
    runner.run([&] { r->query_a("a.test"); });
    r.reset();
    runner.run([] {});
}

TEST_CASE_METHOD(silent, "resolver: destroyed between two runs, it ends the questions that wait over them") {
    weft::runner runner;
    auto r = std::make_unique<weft::resolver>(options());
    weft::task<dns_errc> asking;
    runner.run([&] {
        asking = weft::create_task([&r] { return error_of([&] { r->query_a("a.test"); }); });
        weft::yield_now();
    });
    r.reset();
    runner.run([&] { CHECK(asking.get() == dns_errc::cancelled); });
}

TEST_CASE_METHOD(silent,
                 "resolver: outlives a loop that closes with questions in flight, and serves the next") {
    weft::resolver r(options());
    bool was_cancelled = false;
    weft::run([&] {
        weft::create_task([&] {
            try {
                r.query_a("a.test");
            } catch (const weft::cancelled&) {
                was_cancelled = true;
                throw;
            }
        });
        weft::yield_now();
        server.await(1);
    });
    CHECK(was_cancelled);
    CHECK(r.statistics().in_flight == 0);
    server.on("b.test", A, [](reply& s) { s.a("192.0.2.1"); });
    weft::run([&] { CHECK(r.query_a("b.test").size() == 1); });
}

TEST_CASE_METHOD(dns_fixture, "resolver: serves several loops at once") {
    server.on_anything([](reply& r) { r.a("192.0.2.1", 0); });
    weft::resolver r(options());
    std::vector<std::thread> threads;
    std::atomic<int> answers{0};
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&, i] {
            weft::run([&, i] {
                std::vector<weft::task<>> tasks;
                for (int k = 0; k < 20; ++k) {
                    tasks.push_back(weft::create_task([&, i, k] {
                        if (r.query_a("host" + std::to_string(i % 2) + "-" + std::to_string(k) + ".test")
                                .size() == 1)
                            ++answers;
                    }));
                }
                for (auto& t : tasks)
                    t.get();
            });
        });
    }
    for (auto& t : threads)
        t.join();
    CHECK(answers == 80);
    CHECK(r.statistics().questions == 80);
}

TEST_CASE_METHOD(dns_fixture, "resolver: leaves no socket open while nothing is in flight") {
    server.on_anything([](reply& r) { r.a("192.0.2.1"); });
    weft::run([&] {
        weft::resolver r(options());
        const std::size_t before = open_descriptors();
        r.query_a("a.test");
        CHECK(open_descriptors() == before);
    });
}

TEST_CASE("resolver: without a running loop every call throws no_running_loop") {
    weft::resolver r;
    CHECK_THROWS_AS(r.resolve("127.0.0.1"), weft::no_running_loop);
    CHECK_THROWS_AS(r.query_a("localhost"), weft::no_running_loop);
    CHECK_THROWS_AS(r.reverse(weft::endpoint("127.0.0.1", 80)), weft::no_running_loop);
    CHECK_THROWS_AS(weft::getaddrinfo("localhost", "80"), weft::no_running_loop);
    CHECK_THROWS_AS(weft::getnameinfo(weft::endpoint("127.0.0.1", 80)), weft::no_running_loop);
}

TEST_CASE_METHOD(dns_fixture, "resolver: resolv.conf is read, and read again when it has changed") {
    server.on("host.here.test", A, [](reply& r) { r.a("192.0.2.1", 0); });
    server.on("host.there.test", A, [](reply& r) { r.a("192.0.2.2", 0); });
    temporary_file configuration("search here.test\n");
    auto chosen = options();
    chosen.resolv_conf = configuration.path();
    const weft::address_hints four{.family = AF_INET};
    weft::run([&] {
        weft::resolver r(chosen);
        CHECK(endpoints(r.resolve("host", "1", four)) == strings{"192.0.2.1:1"});
        configuration.write("search there.test  # longer\n");
        CHECK(endpoints(r.resolve("host", "1", four)) == strings{"192.0.2.2:1"});
    });
}
