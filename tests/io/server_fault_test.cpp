// Servers whose accepting fails: what accept(2) says may happen to one that does nothing wrong.

#include <catch2/catch.hpp>

#include <cerrno>
#include <cstring>
#include <limits>

#include <weft/server.hpp>

#include "faulty_engine.hpp"
#include "server_fixture.hpp"

using namespace io_test;
using weft_test::faults_installed;
using weft_test::faulty_engine;

namespace {

constexpr long for_good = std::numeric_limits<long>::max();

/// A server whose first accepts fail, in virtual time.
template <class F>
void with_failing_accepts(int error, long accepts, unsigned places, F f) {
    INFO(std::strerror(error) << ", " << accepts << " times, " << places << " places");
    leak_check leaks;
    const faults_installed faults({.accept_error = error, .failing_accepts = accepts});
    virtual_clock clock;
    weft::run([&] {
        reports said;
        weft::server s = weft::start_server(echo, "127.0.0.1", 0, {.max_connections = places});
        f(s, said.messages);
        finish(s);
    });
}

}  // namespace

TEST_CASE("server: a connection that is gone before it is accepted costs neither time nor a word") {
    for (const int error : {ECONNABORTED, EPERM, EPROTO, ECONNRESET, ENETDOWN, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH, EOPNOTSUPP,
                            ENETUNREACH, ETIMEDOUT, ESOCKTNOSUPPORT, EPROTONOSUPPORT})
        for (const unsigned places : {0u, 2u})
            with_failing_accepts(error, 3, places, [&](weft::server& s, const std::vector<std::string>& said) {
                const auto began = virtual_clock::read();
                weft::stream c = connect_to(s);
                CHECK(ask(c, "hello") == "hello\n");
                CHECK(faulty_engine::faults == 3);
                CHECK(virtual_clock::read() == began);
                CHECK(said.empty());
            });
}

TEST_CASE("server: what is lacking is waited for, longer and longer, and told once") {
    for (const int error : {EMFILE, ENFILE, ENOBUFS, ENOMEM})
        for (const unsigned places : {0u, 2u})
            with_failing_accepts(error, 5, places, [&](weft::server& s, const std::vector<std::string>& said) {
                const auto began = virtual_clock::read();
                weft::stream c = connect_to(s);
                CHECK(ask(c, "hello") == "hello\n");
                CHECK(virtual_clock::read() - began == 10ms + 20ms + 40ms + 80ms + 160ms);
                REQUIRE(said.size() == 1);
                CHECK(said[0].find("cannot accept") != std::string::npos);
                CHECK(said[0].find(std::strerror(error)) != std::string::npos);
            });
}

TEST_CASE("server: what is lacking for long is told once a minute") {
    with_failing_accepts(ENFILE, for_good, 0, [](weft::server&, const std::vector<std::string>& said) {
        weft::sleep(1h);
        CHECK(faulty_engine::faults > 3600);
        CHECK(faulty_engine::faults < 3700);
        CHECK(said.size() == 60);
    });
}

TEST_CASE("server: what comes and goes is told once a minute, too") {
    // Each of these connections makes room for the next when it ends, and is the success between two failures.
    leak_check leaks;
    const faults_installed faults({.no_files = 500});
    virtual_clock clock;
    weft::run([] {
        reports said;
        weft::server s = weft::start_server(echo, "127.0.0.1", 0);
        for (int i = 0; i < 100; ++i) {
            weft::stream c = connect_to(s);
            CHECK(ask(c, "hello") == "hello\n");
        }
        CHECK(faulty_engine::faults > 20);
        CHECK(said.messages.size() == 1);
        weft::sleep(1h);
        for (int i = 0; i < 100; ++i) ask(*std::make_unique<weft::stream>(connect_to(s)), "hello");
        CHECK(said.messages.size() == 2);
        finish(s);
    });
}

TEST_CASE("server: accepting that fails for good does not keep the loop busy, whatever the reason") {
    for (const int error : {EPERM, ECONNABORTED, EIO})
        with_failing_accepts(error, for_good, 0, [](weft::server&, const std::vector<std::string>& said) {
            weft::sleep(1min);
            CHECK(faulty_engine::faults < 200);
            REQUIRE(said.size() == 1);
        });
}

TEST_CASE("server: one that waits for what is lacking can be closed") {
    with_failing_accepts(EMFILE, for_good, 0, [](weft::server& s, const std::vector<std::string>&) {
        weft::sleep(1min + 500ms);
        const auto began = virtual_clock::read();
        s.close();
        s.wait_closed();
        CHECK(virtual_clock::read() == began);
    });
}
