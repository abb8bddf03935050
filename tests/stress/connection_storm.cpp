// Connections by the thousand that are opened, used and killed at random, by either side, by cancellation and by time, while
// their server is closed and started again. Whatever comes back is what was sent, byte for byte; at the end no task, no
// descriptor and no memory is left.
//
// WEFT_SEED=number makes the same choices again (not the same timing: the network is real).

#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>

#include <weft/gather.hpp>
#include <weft/server.hpp>
#include <weft/timeout.hpp>

#include "io/fixture.hpp"
#include "rounds.hpp"

using namespace io_test;
using weft::stream;

namespace {

unsigned seed() {
    static const unsigned chosen = [] {
        const char* given = std::getenv("WEFT_SEED");
        const unsigned s = given ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : std::random_device()();
        std::printf("random choices: WEFT_SEED=%u\n", s);
        return s;
    }();
    return chosen;
}

/// Many clients, one server at a time; all on one loop.
class storm {
public:
    explicit storm(int connections) : left_(connections), text_(long_text(longest + 1000)) {}

    void run() {
        open_server();
        auto restarting = weft::create_task([this] { restart(); });
        auto killing = weft::create_task([this] { kill_clients(); });
        std::vector<std::function<void()>> clients(at_once, [this] { be_client(); });
        weft::gather(std::move(clients));
        killing.cancel();
        restarting.cancel();
        killing.join();
        restarting.join();
        close_server();
        for (weft::server& s : closing_) s.wait_closed();
        CHECK(weft::all_tasks().size() == 1);
        CHECK(served_ > 0);
        CHECK(wrong == 0);
    }

    int whole = 0;    // exchanges that came back to the last byte
    int broken = 0;   // connections that ended before
    int wrong = 0;    // exchanges that came back otherwise than they were sent

private:
    static constexpr std::size_t at_once = 200, longest = 100'000;

    unsigned below(unsigned bound) { return static_cast<unsigned>(random_() % bound); }
    std::chrono::microseconds moment(unsigned most) { return std::chrono::microseconds(below(most)); }

    // The server.

    void open_server() {
        server_ = weft::start_server([this](stream s) { serve(std::move(s)); }, "127.0.0.1", port_);
        port_ = server_.endpoints().front().port();
    }

    void close_server() {
        server_.close();
        if (below(2)) server_.close_clients();
        closing_.push_back(std::move(server_));
        if (below(3)) return;
        closing_.front().wait_closed();   // the oldest: the others go on meanwhile
        closing_.erase(closing_.begin());
    }

    void restart() {
        for (;;) {
            weft::sleep(1ms + moment(20'000));
            close_server();
            weft::sleep(moment(3'000));
            open_server();
        }
    }

    void serve(stream s) {
        ++served_;
        try {
            for (unsigned rounds = below(20); rounds > 0; --rounds) {
                const std::string head = s.read_line();
                if (head.empty()) return;
                const std::string body = s.read_exactly(std::stoul(head));
                const std::string_view pieces[] = {head, body};
                s.writev(pieces);
            }
        } catch (const weft::incomplete_read_error&) {
        } catch (const std::system_error&) {
        }
        if (below(4) == 0) reset_on_close(s.get_socket());
    }

    // The clients.

    void be_client() {
        while (left_-- > 0) {
            auto connected = weft::create_task([this] { connect_and_talk(); });
            victim_ = connected;
            connected.join();
            if (connected.cancelled()) ++broken;
            else connected.get();
        }
    }

    void connect_and_talk() {
        try {
            stream s = weft::timeout(20s, [&] { return connect(); });
            switch (below(4)) {
                case 0: weft::move_on_after(moment(5'000), [&] { talk(s); }); break;
                case 1: {
                    struct close_and_join {
                        stream& s;
                        const weft::task_handle other;
                        ~close_and_join() {   // also when this is killed in its sleep
                            s.close();   // under whatever the other does
                            other.join();
                            if (!other.cancelled()) other.exception();   // that it ended so is as it should be
                        }
                    } const both{s, start([&] { talk(s); })};
                    weft::sleep(moment(2'000));
                    break;
                }
                default: talk(s); break;
            }
            if (below(4) == 0 && s.get_socket().is_open()) reset_on_close(s.get_socket());
        } catch (const weft::incomplete_read_error&) {
            ++broken;
        } catch (const weft::invalid_state&) {   // get_socket() of a closed one
            ++broken;
        } catch (const std::system_error&) {
            ++broken;
        }
    }

    stream connect() {
        for (;;) {
            try {
                return weft::open_connection("127.0.0.1", port_);
            } catch (const std::system_error&) {
                weft::sleep(1ms);   // it is being started again
            }
        }
    }

    void talk(stream& s) {
        for (unsigned rounds = 1 + below(5); rounds > 0; --rounds) {
            const std::size_t size = below(8) ? below(500) : below(longest);
            const std::string_view body = std::string_view(text_).substr(below(1000), size);
            const std::string head = std::to_string(size) + '\n';
            const std::string_view pieces[] = {head, body};
            s.writev(pieces);
            const std::string line = s.read_line();
            if (line.empty()) {
                ++broken;
                return;
            }
            if (line != head && !s.at_eof()) ++wrong;
            (s.read_exactly(size) == body ? whole : wrong) += 1;
        }
        if (below(3)) return;
        s.write_eof();
        while (!s.read(1000).empty()) {}
    }

    void kill_clients() {
        for (;;) {
            weft::sleep(moment(1'000));
            if (victim_) victim_.cancel();
        }
    }

    std::minstd_rand random_{seed()};
    int left_;
    const std::string text_;
    std::uint16_t port_ = 0;
    weft::server server_;
    std::vector<weft::server> closing_;   // closed, with connections that may go on
    weft::task_handle victim_;            // the client that was last begun
    int served_ = 0;
};

std::size_t memory_in_use() { return ::mallinfo2().uordblks; }

/// Room for the connections of both sides, whatever the limit is that tests are run with.
class descriptor_room {
public:
    descriptor_room() {
        REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
        rlimit more = before_;
        more.rlim_cur = std::min<rlim_t>(more.rlim_max, 4096);
        ::setrlimit(RLIMIT_NOFILE, &more);
    }
    ~descriptor_room() { ::setrlimit(RLIMIT_NOFILE, &before_); }

private:
    rlimit before_{};
};

}  // namespace

TEST_CASE("stress: connections by the thousand, killed at random while their server comes and goes") {
    const descriptor_room room;
    leak_check leaks;
    std::printf("storm of connections: seed %u\n", seed());
    weft::run([] {
        storm(weft_test::rounds(500)).run();   // what is kept for the next ones is there now
        const std::size_t descriptors = weft_test::open_descriptors(), before = memory_in_use();
        {
            storm most(weft_test::rounds(10'000));
            most.run();
            std::printf("%d exchanges came back, %d connections broke\n", most.whole, most.broken);
            CHECK(most.whole > 0);
            CHECK(most.broken > 0);
        }
        CHECK(weft_test::open_descriptors() == descriptors);
        const std::size_t after = memory_in_use();
        // 20 bytes for each connection would show; under sanitizers both are 0.
        CHECK(after < before + 200'000);
    });
}

TEST_CASE("stress: a reader that is cancelled at every moment of a transfer loses no byte and doubles none") {
    leak_check leaks;
    const std::string text = long_text(static_cast<std::size_t>(weft_test::rounds(400'000)));
    for (const bool direct : {true, false}) {
        INFO((direct ? "socket::recv" : "reads of a stream"));
        weft::socket listener = listening();
        std::thread writer([&] {   // on a loop of its own, so that bytes come at any moment
            weft::run([&] {
                std::minstd_rand random(seed());
                weft::socket s(AF_INET, SOCK_STREAM);
                s.connect(listener.local_endpoint());
                for (std::size_t at = 0; at < text.size();) {
                    at += s.send(bytes(std::string_view(text).substr(at, 1 + random() % 200)));
                    if (random() % 4 == 0) weft::sleep(std::chrono::microseconds(random() % 100));   // so that the reader waits
                }
            });
        });
        std::string got;
        int cuts = 0;
        weft::run([&] {
            stream s(listener.accept(), 1'000'000);
            std::minstd_rand random(seed() + 1);
            bool ended = false;
            const auto read_once = [&] {
                std::string part;
                switch (direct ? 0 : 1 + random() % 4) {
                    case 0: part = receive(s.get_socket(), 1 + random() % 300); break;
                    case 1: part = s.read(1 + random() % 300); break;
                    case 2: part = s.read_exactly(std::min<std::size_t>(1 + random() % 300, text.size() - got.size())); break;
                    case 3: part = s.read_line(); break;
                    default: {
                        std::string space(1 + random() % 6000, '\0');
                        space.resize(s.read_some(std::as_writable_bytes(std::span(space))));
                        part = std::move(space);
                    }
                }
                ended = part.empty();
                got += part;
            };
            while (!ended && got.size() < text.size()) {
                auto reading = start(read_once);
                turns(static_cast<int>(random() % 3));
                if (random() % 2) {
                    reading.cancel();
                    reading.join();
                    cuts += reading.cancelled();
                }
                reading.join();
                if (!reading.cancelled()) reading.get();
            }
        });
        writer.join();
        CHECK((got == text));
        CHECK(cuts > 0);
    }
}
