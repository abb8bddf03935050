#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>

#include <weft/gather.hpp>

#include "child_process.hpp"
#include "rounds.hpp"
#include "server_fixture.hpp"

using namespace io_test;
using weft::server;
using weft::stream;

TEST_CASE("server: each connection gets a task and a stream") {
    leak_check leaks;
    weft::run([] {
        server s = weft::start_server(echo, "127.0.0.1", 0);
        REQUIRE(s.endpoints().size() == 1);
        CHECK(s.endpoints().front().port() != 0);
        stream one = connect_to(s), two = connect_to(s);
        CHECK(ask(two, "second") == "second\n");
        CHECK(ask(one, "first") == "first\n");
        one.close();
        two.close();
        finish(s);
    });
}

TEST_CASE("server: a handler may be anything that takes a stream") {
    leak_check leaks;
    weft::run([] {
        auto only_moved = std::make_unique<std::string>("greeting\n");
        server a = weft::start_server([text = std::move(only_moved)](stream s) { s.write(*text); }, "127.0.0.1", 0);
        CHECK(connect_to(a).read() == "greeting\n");
        server b = weft::start_server([](stream&& s) { s.write("rvalue"); }, "127.0.0.1", 0);
        CHECK(connect_to(b).read() == "rvalue");
        a.close();
        finish(b);
        a.wait_closed();
    });
}

TEST_CASE("server: a thousand connections at once") {
    leak_check leaks;
    rlimit limit{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
    const int count = weft_test::rounds(1000);
    const rlimit before = limit;
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 4096);
    REQUIRE(limit.rlim_cur > 2u * static_cast<unsigned>(count) + 50);
    ::setrlimit(RLIMIT_NOFILE, &limit);
    weft::run([&] {
        int alive = 0, most = 0;
        server s = weft::start_server(
            [&](stream connection) {
                most = std::max(most, ++alive);
                echo(std::move(connection));
                --alive;
            },
            "127.0.0.1", 0);
        std::vector<std::function<void()>> clients;
        int connected = 0;
        for (int i = 0; i < count; ++i) {
            clients.push_back([&, i] {
                stream c = connect_to(s);
                CHECK(ask(c, "client " + std::to_string(i)) == "client " + std::to_string(i) + '\n');
                ++connected;
                while (connected < count) weft::yield_now();   // so that all are there at once
            });
        }
        weft::gather(std::move(clients));
        CHECK(most == count);
        finish(s);
        CHECK(alive == 0);
    });
    ::setrlimit(RLIMIT_NOFILE, &before);
}

TEST_CASE("server: what a handler throws is reported, and the server goes on") {
    leak_check leaks;
    weft::run([] {
        reports said;
        server s = weft::start_server(
            [](stream c) {
                const std::string line = c.read_line();
                if (line == "fail\n") throw std::runtime_error("the handler's own words");
                c.write(line);
            },
            "127.0.0.1", 0);
        stream failing = connect_to(s);
        failing.write("fail\n");
        CHECK(failing.read().empty());   // its connection is closed
        CHECK(said.messages == std::vector<std::string>{"exception in the handler of a connection from " +
                                                        failing.local_endpoint().to_string() + ": the handler's own words"});
        stream fine = connect_to(s);
        CHECK(ask(fine, "fine") == "fine\n");
        failing.close();
        finish(s);
    });
}

TEST_CASE("server: a handler that was cancelled is not reported") {
    leak_check leaks;
    weft::run([] {
        reports said;
        weft::task_handle handler;
        server s = weft::start_server(
            [&](stream c) {
                handler = weft::current_task();
                c.write("x");
                c.read();
            },
            "127.0.0.1", 0);
        stream c = connect_to(s);
        c.read(1);
        handler.cancel();
        CHECK(c.read().empty());
        handler.join();
        CHECK(handler.cancelled());
        CHECK(said.messages.empty());
        finish(s);
    });
}

TEST_CASE("server: no more connections than max_connections are served at a time") {
    leak_check leaks;
    weft::run([] {
        int alive = 0, most = 0, served = 0;
        server s = weft::start_server(
            [&](stream c) {
                most = std::max(most, ++alive);
                echo(std::move(c));
                --alive;
                ++served;
            },
            "127.0.0.1", 0, {.max_connections = 3});
        std::vector<std::function<void()>> clients;
        for (int i = 0; i < 20; ++i) {
            clients.push_back([&] {
                stream c = connect_to(s);
                CHECK(ask(c, "x") == "x\n");
                turns(5);
            });
        }
        weft::gather(std::move(clients));
        finish(s);
        CHECK(most == 3);
        CHECK(served == 20);
    });
}

TEST_CASE("server: listens on every address of the host, with one port") {
    leak_check leaks;
    weft::run([] {
        for (const char* host : {"localhost", ""}) {
            INFO(host);
            server s = weft::start_server(echo, host, 0);
            const auto where = s.endpoints();
            REQUIRE(where.size() == 2);
            CHECK(where[0].port() == where[1].port());
            CHECK(where[0].family() != where[1].family());
            for (const char* client : {"127.0.0.1", "::1"}) {
                stream c = weft::open_connection(client, where[0].port());
                CHECK(ask(c, client) == std::string(client) + '\n');
            }
            finish(s);
        }
    });
}

TEST_CASE("server: listens on several addresses that are given, all of them or none") {
    leak_check leaks;
    weft::run([] {
        const auto e = [](const char* text) { return weft::endpoint::parse(text); };
        server s = weft::start_server(echo, {e("127.0.0.1:0"), e("127.0.0.2:0"), e("[::1]:0")});
        const auto where = s.endpoints();
        REQUIRE(where.size() == 3);
        for (const auto& place : where) {
            CHECK(place.port() == where.front().port());
            stream c = weft::open_connection(place.host(), place.port());
            CHECK(ask(c, "x") == "x\n");
        }
        finish(s);

        // A port that is given is that address's alone.
        const auto free_port = listening().local_endpoint().port();
        server two = weft::start_server(echo, {e("127.0.0.1:0").with_port(free_port), e("127.0.0.1:0")});
        CHECK(two.endpoints()[0].port() == free_port);
        CHECK(two.endpoints()[1].port() != free_port);
        finish(two);

        const std::size_t descriptors = weft_test::open_descriptors();
        CHECK(error_of([&] { weft::start_server(echo, {e("127.0.0.1:0"), e("192.0.2.1:0")}); }) == EADDRNOTAVAIL);
        CHECK_THROWS_AS(weft::start_server(echo, std::vector<weft::endpoint>{}), std::invalid_argument);
        CHECK_THROWS_AS(weft::start_server(echo, {weft::endpoint::unix_path("/x")}), std::invalid_argument);
        CHECK(weft_test::open_descriptors() == descriptors);
    });
    CHECK_THROWS_AS(weft::start_server(echo, {weft::endpoint::parse("127.0.0.1:0")}), weft::no_running_loop);
}

TEST_CASE("server: reuse_port lets a second server on the same port, nothing else does") {
    leak_check leaks;
    weft::run([] {
        server a = weft::start_server(echo, "127.0.0.1", 0, {.reuse_port = true});
        const auto port = a.endpoints().front().port();
        server b = weft::start_server(echo, "127.0.0.1", port, {.reuse_port = true});
        const std::string said = message_of<std::system_error>([&] { weft::start_server(echo, "127.0.0.1", port); });
        CHECK(said.find("127.0.0.1:" + std::to_string(port)) != std::string::npos);
        a.close();
        stream c = connect_to(b);
        CHECK(ask(c, "x") == "x\n");
        c.close();
        finish(b);
        // A port whose connections are still dying can be listened on again.
        server again = weft::start_server(echo, "127.0.0.1", port);
        finish(again);
    });
}

TEST_CASE("server: bad options and places are refused") {
    leak_check leaks;
    weft::run([] {
        CHECK_THROWS_AS(weft::start_server(echo, "127.0.0.1", 0, {.backlog = -1}), std::invalid_argument);
        CHECK_THROWS_AS(weft::start_server(echo, "127.0.0.1", 0, {.limit = 0}), std::invalid_argument);
        CHECK(error_of([] { weft::start_server(echo, "192.0.2.1", 0); }) == EADDRNOTAVAIL);
        CHECK(error_of([] { weft::start_unix_server(echo, "/no/such/folder/s"); }) == ENOENT);
        CHECK_THROWS_AS(weft::start_unix_server(echo, ""), std::invalid_argument);
    });
    CHECK_THROWS_AS(weft::start_server(echo, "127.0.0.1", 0), weft::no_running_loop);
    CHECK_THROWS_AS(weft::start_unix_server(echo, "@x"), weft::no_running_loop);
}

TEST_CASE("server: the limit reaches the streams") {
    leak_check leaks;
    weft::run([] {
        bool overrun = false;
        server s = weft::start_server(
            [&](stream c) {
                try {
                    c.read_line();
                } catch (const weft::limit_overrun_error&) {
                    overrun = true;
                }
            },
            "127.0.0.1", 0, {.limit = 3});
        stream c = connect_to(s);
        c.write("12345\n");
        c.write_eof();
        c.read();
        CHECK(overrun);
        c.close();
        finish(s);
    });
}

TEST_CASE("server: clients that are gone before they are accepted disturb nobody") {
    leak_check leaks;
    weft::run([] {
        reports said;
        int served = 0;
        server s = weft::start_server(
            [&](stream c) {
                ++served;
                echo(std::move(c));
            },
            "127.0.0.1", 0);
        constexpr int count = 50;
        for (int i = 0; i < count; ++i) {   // none of them waits: the server has not run in between
            weft::socket c(AF_INET, SOCK_STREAM);
            CHECK(::connect(c.native_handle(), s.endpoints()[0].data(), static_cast<socklen_t>(s.endpoints()[0].size())) <= 0);
            if (i % 2) c.send(bytes("x"), MSG_DONTWAIT);
            reset_on_close(c);
        }
        stream c = connect_to(s);
        CHECK(ask(c, "after them") == "after them\n");
        c.close();
        finish(s);
        CHECK(served > 0);
        for (const auto& message : said.messages) CHECK(message.find("Connection reset by peer") != std::string::npos);
    });
}

TEST_CASE("server: goes on when descriptors run out", "[slow]") {
    const auto result = weft_test::in_child([] {
        int failures = 0;
        const auto expect = [&](bool condition, const char* what) {
            if (condition) return;
            ::dprintf(2, "not so: %s\n", what);
            ++failures;
        };
        rlimit limit{64, 64};
        ::setrlimit(RLIMIT_NOFILE, &limit);
        virtual_clock clock;
        weft::run([&] {
            reports said;
            server s = weft::start_server(echo, "127.0.0.1", 0);
            stream early = connect_to(s);
            expect(ask(early, "early") == "early\n", "the server works before");
            std::vector<int> hoard;
            for (int fd; (fd = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)) >= 0;) hoard.push_back(fd);
            ::close(hoard.back());
            hoard.pop_back();
            stream late = connect_to(s);   // takes the last one
            auto asking = start([&] { return ask(late, "late"); });
            weft::sleep(10s);
            expect(said.messages.size() == 1, "it is reported, and once");
            expect(!said.messages.empty() && said.messages[0].find("Too many open files") != std::string::npos, "the report says why");
            expect(!asking.done(), "nothing is accepted without a descriptor");
            expect(ask(early, "still") == "still\n", "other connections go on meanwhile");
            ::close(hoard.back());
            hoard.pop_back();
            expect(asking.get() == "late\n", "what waited is served when there is room again");
            for (int fd : hoard) ::close(fd);
            stream last = connect_to(s);
            expect(ask(last, "last") == "last\n", "and so are later ones");
        });
        return failures;
    });
    INFO(result.error_output);
    CHECK(result.exited_with(0));
}
