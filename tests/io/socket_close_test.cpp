// Closing and cancelling while calls are inside.

#include <netinet/in.h>

#include <cerrno>
#include <memory>
#include <optional>

#include "child_process.hpp"
#include "fixture.hpp"

using namespace io_test;
using weft::endpoint;

TEST_CASE("socket: closing wakes the reader, the writer and the acceptor with bad_file_descriptor") {
    leak_check leaks;
    weft::run([] {
        auto [a, b] = narrow_pair();
        weft::socket listener = listening();
        auto reading = start([&a = a] { return error_of([&] { receive(a); }); });
        auto writing = start([&a = a] {
            return error_of([&] {
                for (;;) a.send(bytes(std::string(4096, 'x')));
            });
        });
        auto accepting = start([&] { return error_of([&] { listener.accept(); }); });
        REQUIRE_FALSE((reading.done() || writing.done() || accepting.done()));
        a.close();
        listener.close();
        CHECK(reading.get() == EBADF);
        CHECK(writing.get() == EBADF);
        CHECK(accepting.get() == EBADF);
    });
}

TEST_CASE("socket: destroying it is closing it for who waits in it") {
    leak_check leaks;
    weft::run([] {
        auto [a, b] = unix_pair();
        auto owned = std::make_unique<weft::socket>(std::move(a));
        auto reading = start([&s = *owned] { return error_of([&] { receive(s); }); });
        owned.reset();
        CHECK(reading.get() == EBADF);
    });
}

// Each in a process of its own: what can go wrong here is a crash.
TEST_CASE("socket: closing reaches a reader that was about to get data") {
    const bool destroy = GENERATE(false, true);
    const bool reuse = GENERATE(false, true);
    const auto result = weft_test::in_child([&] {
        return weft::run([&] {
            auto [a, b] = unix_pair();
            auto [c, d] = unix_pair();
            auto owned = std::make_unique<weft::socket>(std::move(a));
            std::optional<std::pair<weft::socket, weft::socket>> other;
            auto closing = start([&, &c = c] {
                receive(c);
                if (destroy) owned.reset();
                else owned->close();
                if (reuse) {   // the same descriptor number, with data in it, for another file
                    other = unix_pair();
                    other->second.send(bytes("not yours"));
                }
            });
            auto reading = start([s = owned.get()] { return error_of([&] { receive(*s); }); });
            d.send(bytes("x"));   // both are ready in the same turn, the closer first
            b.send(bytes("y"));
            const bool told = reading.get() == EBADF;
            closing.get();
            return told && (!reuse || receive(other->first) == "not yours") ? 0 : 1;
        });
    });
    INFO(result.error_output);
    CHECK(result.exited_with(0));
}

TEST_CASE("socket: releasing wakes who waits in it") {
    leak_check leaks;
    weft::run([] {
        auto [a, b] = unix_pair();
        auto reading = start([&a = a] { return error_of([&] { receive(a); }); });
        weft::socket released(a.release());
        CHECK(reading.get() == EBADF);
        b.send(bytes("x"));
        CHECK(receive(released) == "x");
    });
}

TEST_CASE("socket: a cancelled accept leaves the connection to the next one") {
    leak_check leaks;
    weft::run([] {
        weft::socket listener = listening();
        for (int pause = 0; pause < 4; ++pause) {
            auto accepting = start([&] { return listener.accept(); });
            weft::socket client(AF_INET, SOCK_STREAM);
            client.connect(listener.local_endpoint());
            client.send(bytes("here"));
            turns(pause);
            accepting.cancel();
            accepting.join();
            weft::socket server = accepting.cancelled() ? listener.accept() : std::move(accepting).get();
            CHECK(receive(server) == "here");
        }
        auto before = weft::create_task([&] { return listener.accept(); });
        before.cancel();   // before it ran
        before.join();
        CHECK(before.cancelled());
    });
}

TEST_CASE("socket: a connect can be cancelled, and goes on when it is called again", "[slow]") {
    leak_check leaks;
    weft::run([] {
        weft::socket listener = listening("127.0.0.1:0", 0);
        weft::socket first(AF_INET, SOCK_STREAM);
        first.connect(listener.local_endpoint());   // fills the queue: the next one gets no answer
        weft::socket second(AF_INET, SOCK_STREAM);
        const weft::socket elsewhere = listening();
        auto before = weft::create_task([&] {
            weft::current_task().cancel();
            second.connect(elsewhere.local_endpoint());   // does not even begin
        });
        before.join();
        CHECK(before.cancelled());
        auto connecting = start([&] { second.connect(listener.local_endpoint()); });
        turns(3);
        REQUIRE_FALSE(connecting.done());
        connecting.cancel();
        connecting.join();
        CHECK(connecting.cancelled());
        CHECK(error_of([&] { second.remote_endpoint(); }) == ENOTCONN);
        // The system would take another address in silence, and connect to the first one.
        CHECK(error_of([&] { second.connect(elsewhere.local_endpoint()); }) == EALREADY);
        listener.accept();   // now there is room; the system asks again after a second
        second.connect(listener.local_endpoint());
        CHECK(second.remote_endpoint() == listener.local_endpoint());
        listener.accept();
    });
}

TEST_CASE("socket: every call checks for a cancellation though it need not wait") {
    leak_check leaks;
    weft::run([] {
        auto [a, b] = unix_pair();
        b.send(bytes("waiting"));
        weft::socket listener = listening();
        weft::socket client(AF_INET, SOCK_STREAM);
        client.connect(listener.local_endpoint());
        const std::function<void()> calls[] = {
            [&a = a] { receive(a); },
            [&a = a] { receive(a, 10, MSG_DONTWAIT); },
            [&a = a] { a.send(bytes("x")); },
            [&] { listener.accept(); },
            [&a = a] { weft::wait_readable(a.native_handle()); },
        };
        for (const auto& call : calls) {
            auto cancelled = weft::create_task([&] {
                weft::current_task().cancel();
                call();
            });
            cancelled.join();
            CHECK(cancelled.cancelled());
        }
        CHECK(receive(a) == "waiting");   // nothing was taken
        CHECK(error_of([&b = b] { receive(b, 10, MSG_DONTWAIT); }) == EAGAIN);
        listener.accept();
    });
}

TEST_CASE("socket: a cancelled recv takes nothing, whenever it comes") {
    leak_check leaks;
    weft::run([] {
        auto [a, b] = unix_pair();
        const std::string text = long_text(20000);
        std::string got;
        int cuts = 0;
        auto reading = start([&, &a = a] {
            while (got.size() < text.size()) {
                try {
                    got += receive(a, 7);
                } catch (const weft::cancelled&) {
                    ++cuts;
                }
            }
        });
        auto writing = weft::create_task([&, &b = b] {
            for (std::size_t at = 0, i = 0; at < text.size(); ++i) {
                at += b.send(bytes(std::string_view(text).substr(at, 1 + i % 13)));
                turns(static_cast<int>(i % 3));
            }
        });
        for (int i = 0; !reading.done(); ++i) {
            turns(i % 5);
            reading.cancel();
            if (i % 7 == 0) weft::yield_now();
        }
        reading.get();
        writing.get();
        CHECK(got == text);
        CHECK(cuts > 10);   // io_uring asks the kernel first: a cut takes it some turns
    });
}
