#include <cerrno>
#include <sstream>

#include <weft/iostream.hpp>
#include <weft/timeout.hpp>

#include "fixture.hpp"

using namespace io_test;
using weft::stream;

TEST_CASE("iostream: values and lines are read and written as with any std::iostream") {
    leak_check leaks;
    weft::run([] {
        auto [a, b] = unix_pair();
        stream near(std::move(a)), far(std::move(b));
        auto serving = start([&] {
            weft::iostream io(far);
            int x = 0, y = 0;
            while (io >> x >> y) io << x + y << "\n";   // waiting for more flushes
            CHECK(io.eof());
            io.clear();
            io << "bye" << std::flush;
            far.write_eof();
        });
        weft::iostream io(near);
        int sum = 0;
        io << 1 << ' ' << 2 << '\n';
        io >> sum;
        CHECK(sum == 3);
        io << "30 12\n" << std::flush;
        io >> sum;
        CHECK(sum == 42);
        near.write_eof();
        std::string rest;
        io.ignore();
        CHECK(std::getline(io, rest));
        CHECK(rest == "bye");
        CHECK_FALSE(std::getline(io, rest));
        serving.get();
    });
}

TEST_CASE("iostream: long texts pass through, in pieces and at once") {
    leak_check leaks;
    weft::run([] {
        auto [a, b] = narrow_pair();
        const std::string text = long_text(300000);
        auto writing = start([&, s = stream(std::move(a))]() mutable {
            weft::iostream io(std::move(s));
            for (std::size_t at = 0, i = 1; at < text.size(); ++i) {
                const auto part = std::string_view(text).substr(at, i * 97 % 9001);
                io << part;
                at += part.size();
            }
        });   // its destructor writes the rest
        weft::iostream io{stream(std::move(b))};
        std::string got(100000, '\0');
        CHECK(io.read(got.data(), 100000));
        got += static_cast<char>(io.get());
        std::string tail(300000, '\0');
        CHECK_FALSE(io.read(tail.data(), 300000));
        tail.resize(static_cast<std::size_t>(io.gcount()));
        CHECK(got + tail == text);
        writing.get();
    });
}

TEST_CASE("iostream: a cancellation passes through the standard library, and loses nothing that was read") {
    leak_check leaks;
    virtual_clock clock;
    weft::run([] {
        auto [a, b] = unix_pair();
        stream near(std::move(a)), far(std::move(b));
        weft::iostream io(near);
        far.write("one two thr");
        std::string word;
        io >> word;
        CHECK(word == "one");
        char six[10] = {};
        CHECK_THROWS_AS(weft::timeout(1s, [&] { io.read(six, 9); }), weft::timeout_error);
        io.clear();
        far.write("ee");
        io.read(six, 9);
        CHECK(std::string(six) == " two thre");
        auto reading = start([&] { io >> word; });
        turns(2);
        reading.cancel();
        reading.join();
        CHECK(reading.cancelled());
    });
}

TEST_CASE("iostream: a failure is thrown, not swallowed") {
    leak_check leaks;
    weft::run([] {
        auto [a, b] = tcp_pair();
        weft::iostream io{stream(std::move(a))};
        reset_on_close(b);
        b.close();
        CHECK(error_of([&] { io.get(); }) == ECONNRESET);
        io.clear();
        io << "x";
        CHECK_THROWS_AS(io.flush(), std::system_error);
        io.clear();
        io << "what the destructor cannot write is dropped in silence";
    });
}

TEST_CASE("iostream: its destructor writes what is left, and a cancellation waits meanwhile") {
    leak_check leaks;
    weft::run([] {
        auto [a, b] = unix_pair();
        stream near(std::move(a)), far(std::move(b));
        auto writing = weft::create_task([&] {
            {
                weft::iostream io(near);
                io << "last words";
                weft::current_task().cancel();
            }
            weft::yield_now();
        });
        writing.join();
        CHECK(writing.cancelled());
        near.close();
        CHECK(far.read() == "last words");

        auto [c, d] = unix_pair();
        stream other(std::move(c)), peer(std::move(d));
        try {
            weft::iostream io(other);
            io << "half a message";
            throw 1;
        } catch (int) {
        }
        other.close();
        CHECK(peer.read().empty());   // nobody can have wanted to send it
    });
}
