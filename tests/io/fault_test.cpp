// Streams, sockets, servers, pipes and files on an engine that misbehaves. What is carried arrives once and in order, or there
// is an error that says what happened; and nothing is left over.
//
// A failure names its seed; WEFT_FAULT_SEED=n plays that one again.

#include <catch2/catch.hpp>

#include <fcntl.h>

#include <cstdlib>
#include <map>
#include <random>

#include <weft/gather.hpp>
#include <weft/pipe.hpp>
#include <weft/server.hpp>
#include <weft/task_group.hpp>

#include "faulty_engine.hpp"
#include "rounds.hpp"
#include "server_fixture.hpp"
#include "stream_fixture.hpp"

using namespace io_test;
using weft_test::fault_rates;
using weft_test::faults_installed;
using weft_test::faulty_engine;
using weft_test::signal_storm;

namespace {

/// Runs f in a loop with a faulty engine for every seed, and looks that faults there were.
template <class F>
void with_faults(fault_rates rates, int seeds, F f) {
    unsigned first = 1, last = static_cast<unsigned>(weft_test::rounds(seeds));
    if (const char* one = std::getenv("WEFT_FAULT_SEED")) first = last = static_cast<unsigned>(std::strtoul(one, nullptr, 10));
    for (unsigned seed = first; seed <= last; ++seed) {
        INFO("WEFT_FAULT_SEED=" << seed);
        leak_check leaks;
        rates.seed = seed;
        const faults_installed faults(rates);
        weft::run([&] { f(seed); });
        CHECK(faulty_engine::faults > 0);
    }
}

/// Faults that callers need not even notice.
constexpr fault_rates harmless{.short_transfer = 400, .late_begin = 150, .late_end = 150, .false_ready = 200};

std::string random_text(unsigned seed, std::size_t size) {
    std::minstd_rand random(seed);
    std::string text(size, ' ');
    for (char& c : text) c = static_cast<char>('a' + random() % 26);
    return text;
}

std::string receive_all(weft::stream& s, std::size_t most) {
    std::string got;
    for (std::string part; !(part = s.read(most)).empty();) got += part;
    return got;
}

}  // namespace

TEST_CASE("faults: streams carry every byte once and in order, both ways at once, however the engine stutters") {
    with_faults(harmless, 20, [](unsigned seed) {
        stream_pair s(seed % 2 ? unix_pair() : tcp_pair(), 4096);
        const std::string there = random_text(seed, 300'000), back = random_text(seed + 1, 300'000);
        std::string got_there, got_back;
        weft::with_task_group([&](weft::task_group& group) {
            auto sends = [](weft::stream& to, const std::string& text) {
                for (std::size_t at = 0; at < text.size();) {
                    const std::size_t size = std::min<std::size_t>(text.size() - at, 1 + at % 9000);
                    to.write(std::string_view(text).substr(at, size));
                    at += size;
                }
                to.write_eof();
            };
            group.create_task([&] { sends(s.near, there); });
            group.create_task([&] { sends(s.far, back); });
            group.create_task([&] { got_there = receive_all(s.far, 5000); });
            group.create_task([&] { got_back = receive_all(s.near, 700); });
        });
        CHECK(got_there == there);
        CHECK(got_back == back);
    });
}

TEST_CASE("faults: signals that interrupt every call change nothing") {
    fault_rates some = harmless;
    some.late_end = 20;
    with_faults(some, 4, [](unsigned seed) {
        const signal_storm storm;
        stream_pair s(tcp_pair(), 4096);
        const std::string text = random_text(seed, 500'000);
        std::string got;
        auto reading = weft::create_task([&] { got = receive_all(s.far, 4096); });
        s.near.write(text);
        s.near.write_eof();
        reading.get();
        CHECK(got == text);
        auto [from, to] = weft::pipe();
        auto piped = weft::create_task([&, &from = from] { return receive_all(from, 1000); });
        to.write(text);
        to.close();
        CHECK(piped.get() == text);
    });
}

TEST_CASE("faults: a reader that is cancelled at random loses nothing of what a stuttering engine gives it") {
    with_faults(harmless, 20, [](unsigned seed) {
        auto [a, b] = unix_pair();
        const std::string text = random_text(seed, 30'000);
        std::string got;
        std::minstd_rand random(seed);
        auto reading = start([&, &a = a] {
            while (got.size() < text.size()) {
                try {
                    got += receive(a, 100);
                } catch (const weft::cancelled&) {
                }
            }
        });
        auto writing = weft::create_task([&, &b = b] {
            for (std::size_t at = 0; at < text.size(); weft::yield_now())
                at += b.send(bytes(std::string_view(text).substr(at, 1 + at % 200)));
        });
        while (!reading.done()) {
            turns(static_cast<int>(random() % 6));
            reading.cancel();
        }
        reading.get();
        writing.get();
        CHECK(got == text);
    });
}

TEST_CASE("faults: datagrams keep their bounds, and none is counted twice") {
    with_faults(harmless, 10, [](unsigned seed) {
        auto [a, b] = unix_pair(SOCK_DGRAM);
        std::vector<std::string> sent, got;
        for (unsigned i = 0; i < 300; ++i) sent.push_back(random_text(seed * 1000 + i, 1 + i % 97));
        auto writing = weft::create_task([&, &b = b] {
            for (const std::string& one : sent) CHECK(b.send(bytes(one)) == one.size());
        });
        while (got.size() < sent.size()) got.push_back(receive(a, 100));
        writing.get();
        CHECK(got == sent);
    });
}

TEST_CASE("faults: an echo server whose engine fails answers with the right bytes, or the connection ends with an error") {
    fault_rates failing = harmless;
    failing.reset = 5;
    failing.no_buffers = 5;
    failing.no_files = 30;
    failing.aborted = 100;
    std::map<int, int> errors;
    int whole = 0;
    with_faults(failing, 20, [&](unsigned seed) {
        weft::get_running_loop().set_exception_handler([](weft::loop&, const weft::exception_context&) {});   // handlers fail, too
        weft::server server = weft::start_server(echo, "127.0.0.1", 0, {.max_connections = seed % 2 ? 5u : 0u});
        std::vector<weft::task<void>> clients;
        for (unsigned c = 0; c < 20; ++c)
            clients.push_back(weft::create_task([&, c] {
                const std::string text = random_text(seed * 100 + c, 20'000);
                std::string got;
                try {
                    weft::stream s = connect_to(server);
                    auto sending = start([&] {
                        try {
                            s.write(text);
                            s.write_eof();
                        } catch (const std::system_error& error) {
                            ++errors[error.code().value()];
                            s.close();   // no end was sent: the other side would wait for it, and we for theirs
                        }
                    });
                    try {
                        got = receive_all(s, 3000);
                    } catch (const std::system_error& error) {
                        ++errors[error.code().value()];
                    }
                    s.close();
                    sending.get();
                } catch (const std::system_error& error) {
                    ++errors[error.code().value()];
                }
                CHECK(text.compare(0, got.size(), got) == 0);   // what has come is what was sent
                whole += got == text;
            }));
        for (auto& c : clients) c.get();
        finish(server);
    });
    CHECK(whole > 0);
    CHECK(errors[ECONNRESET] > 0);
    for (const auto& [error, count] : errors) {
        INFO("error " << error << ", " << count << " times");
        CHECK((error == ECONNRESET || error == ENOBUFS || error == EPIPE || error == EBADF));
    }
}

TEST_CASE("faults: a connection that fails is refused with an error that says what happened") {
    with_faults({.reset = 1000}, 1, [](unsigned) {
        stream_pair s;
        CHECK(error_of([&] { s.near.write("x"); }) == ECONNRESET);
        CHECK(error_of([&] { s.near.read(1); }) == ECONNRESET);
    });
    with_faults({.no_files = 1000}, 1, [](unsigned) {
        weft::socket listener = listening();
        CHECK(error_of([&] { listener.accept(); }) == EMFILE);
    });
    with_faults({.no_buffers = 1000}, 1, [](unsigned) {
        auto [a, b] = unix_pair(SOCK_DGRAM);
        CHECK(error_of([&, &b = b] { b.send(bytes("x")); }) == ENOBUFS);
    });
}
