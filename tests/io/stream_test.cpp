// Reading, and what belongs to both directions. How streams end: stream_close_test.cpp.

#include <cerrno>

#include <weft/timeout.hpp>

#include "stream_fixture.hpp"

using namespace io_test;
using weft::stream;

namespace {

template <class F>
weft::incomplete_read_error incomplete(F f) {
    try {
        f();
    } catch (const weft::incomplete_read_error& e) {
        return e;
    }
    throw std::runtime_error("it was complete");
}

template <class F>
std::size_t overrun(F f) {
    try {
        f();
    } catch (const weft::limit_overrun_error& e) {
        return e.consumed();
    }
    throw std::runtime_error("the limit was not overrun");
}

}  // namespace

TEST_CASE("stream: read returns what there is, up to n bytes, then the end") {
    leak_check leaks;
    weft::run([] {
        stream_pair s;
        auto reading = start([&] { return s.near.read(3); });
        CHECK_FALSE(reading.done());
        s.far.write("hello");
        CHECK(reading.get() == "hel");
        CHECK(s.near.read(100) == "lo");
        CHECK(s.near.read(0).empty());
        CHECK_FALSE(s.near.at_eof());
        s.far.close();
        CHECK(s.near.read(100).empty());
        CHECK(s.near.at_eof());
        CHECK(s.near.read(100).empty());
        CHECK(s.near.read().empty());
    });
}

TEST_CASE("stream: read without a bound reads to the end") {
    leak_check leaks;
    weft::run([] {
        stream_pair s;
        const std::string text = long_text(3 << 20);
        auto reading = start([&] { return s.near.read(); });
        s.far.write(text);
        CHECK_FALSE(reading.done());
        s.far.write_eof();
        CHECK(reading.get() == text);
        CHECK(s.near.at_eof());
    });
}

TEST_CASE("stream: read_some fills what it is given, from the buffer first") {
    leak_check leaks;
    weft::run([] {
        stream_pair s;
        std::byte little[4], much[8192];
        s.far.write("abcdefgh");
        CHECK(s.near.read_some({}) == 0);
        CHECK(s.near.read_some(little) == 4);
        CHECK(s.near.read_some(much) == 4);   // what is buffered, without waiting for more
        CHECK(static_cast<char>(much[0]) == 'e');
        auto reading = start([&] { return s.near.read_some(much); });
        CHECK_FALSE(reading.done());
        s.far.write(std::string(9000, 'x'));
        CHECK(reading.get() == 8192);
        CHECK(s.near.read_some(much) == 808);
        s.far.close();
        CHECK(s.near.read_some(much) == 0);
        CHECK(s.near.read_some(little) == 0);
    });
}

TEST_CASE("stream: the buffer keeps what it holds when it grows") {
    leak_check leaks;
    weft::run([] {
        for (const std::size_t first : {1u, 100u, 1900u, 2100u, 4000u}) {
            stream_pair s;
            const std::string text = long_text(60000);
            s.far.write(text);
            CHECK(s.near.read(first) == text.substr(0, first));
            CHECK(s.near.read_exactly(text.size() - first) == text.substr(first));
        }
    });
}

TEST_CASE("stream: read_exactly waits for all it was asked for") {
    leak_check leaks;
    weft::run([] {
        stream_pair s(unix_pair(), 10);   // the limit has no say in it
        const std::string text = long_text(200000);
        auto reading = start([&] { return s.near.read_exactly(200000); });
        s.far.write(std::string_view(text).substr(0, 1));
        turns(2);
        CHECK_FALSE(reading.done());
        s.far.write(std::string_view(text).substr(1));
        CHECK(reading.get() == text);
        CHECK(s.near.read_exactly(0).empty());
    });
}

TEST_CASE("stream: read_exactly at the end throws what came, and takes it") {
    leak_check leaks;
    weft::run([] {
        stream_pair s;
        s.far.write("abc");
        s.far.close();
        const auto error = incomplete([&] { s.near.read_exactly(5); });
        CHECK(error.partial() == "abc");
        CHECK(error.expected() == 5);
        CHECK(s.near.at_eof());
        CHECK(incomplete([&] { s.near.read_exactly(1); }).partial().empty());
        CHECK(s.near.read_exactly(0).empty());
    });
}

TEST_CASE("stream: read_line gives lines with their end, the rest without, then nothing") {
    leak_check leaks;
    weft::run([] {
        stream_pair s;
        auto reading = start([&] { return s.near.read_line(); });
        s.far.write("on");
        turns(2);
        CHECK_FALSE(reading.done());
        s.far.write("e\ntwo\r\n\nrest");
        CHECK(reading.get() == "one\n");
        CHECK(s.near.read_line() == "two\r\n");
        CHECK(s.near.read_line() == "\n");
        s.far.close();
        CHECK(s.near.read_line() == "rest");
        CHECK(s.near.read_line().empty());
        CHECK(s.near.at_eof());
    });
}

TEST_CASE("stream: read_until finds a separator however it is cut up") {
    leak_check leaks;
    weft::run([] {
        stream_pair s;
        const std::string text = "a--b\n--\n---b--\r\nxyz--\r\n";
        auto reading = start([&] {
            const std::string first = s.near.read_until("--\r\n");
            return first + '|' + s.near.read_until("--\r\n");
        });
        for (char c : text) {
            s.far.write(std::string_view(&c, 1));
            turns(2);
        }
        CHECK(reading.get() == "a--b\n--\n---b--\r\n|xyz--\r\n");
        s.far.write("left");
        s.far.close();
        const auto error = incomplete([&] { s.near.read_until("--"); });
        CHECK(error.partial() == "left");
        CHECK(error.expected() == stream::npos);
        CHECK_THROWS_AS(s.near.read_until(""), std::invalid_argument);
    });
}

TEST_CASE("stream: beyond the limit nothing is lost") {
    leak_check leaks;
    weft::run([] {
        stream_pair s(unix_pair(), 4);
        s.far.write("1234\n12345\nx");
        CHECK(s.near.read_line() == "1234\n");   // the limit is for what comes before the separator
        CHECK(overrun([&] { s.near.read_line(); }) == 5);
        CHECK(overrun([&] { s.near.read_until("\n"); }) == 5);
        CHECK(s.near.read_exactly(6) == "12345\n");
        s.far.write("2345");
        auto reading = start([&] { return overrun([&] { s.near.read_until("--"); }); });   // "x2345": 4 looked through
        turns(2);
        CHECK_FALSE(reading.done());
        s.far.write("6");
        CHECK(reading.get() == 5);
        s.near.set_limit(10);
        s.far.write("\n");
        CHECK(s.near.read_line() == "x23456\n");
        CHECK_THROWS_AS(s.near.set_limit(0), std::invalid_argument);
        auto ends = unix_pair();
        CHECK_THROWS_AS(stream(std::move(ends.first), 0), std::invalid_argument);
    });
}

TEST_CASE("stream: a cancelled read leaves what came, whichever read it is and whenever it comes") {
    leak_check leaks;
    weft::run([] {
        stream_pair s(unix_pair(), 1 << 20);
        const std::string text = long_text(100000) + '\n';
        std::string got;
        int cuts = 0;
        auto reading = start([&] {
            for (unsigned i = 0; got.size() < text.size(); ++i) {
                try {
                    const std::size_t left = text.size() - got.size();
                    std::byte some[5000];
                    switch (i % 6) {
                        case 0: got += s.near.read_exactly(std::min<std::size_t>(left, 1 + i % 999)); break;
                        case 1: got += s.near.read_line(); break;
                        case 2: got += s.near.read_until(","); break;
                        case 3: got += s.near.read(17); break;
                        case 4: got.append(reinterpret_cast<char*>(some), s.near.read_some(std::span(some).first(9))); break;
                        case 5: got.append(reinterpret_cast<char*>(some), s.near.read_some(some)); break;
                    }
                } catch (const weft::cancelled&) {
                    ++cuts;
                } catch (const weft::incomplete_read_error& end) {
                    got += end.partial();
                }
            }
        });
        auto writing = weft::create_task([&] {
            for (std::size_t at = 0, i = 0; at < text.size(); ++i) {
                const auto part = std::string_view(text).substr(at, 1 + i * 7 % 83);
                s.far.write(part);
                at += part.size();
                turns(static_cast<int>(i % 4));
            }
            s.far.write_eof();
        });
        for (int i = 0; !reading.done(); ++i) {
            turns(i % 6);
            reading.cancel();
            if (i % 5 == 0) weft::yield_now();
        }
        reading.get();
        writing.get();
        CHECK(got == text);
        CHECK(cuts > 10);   // io_uring asks the kernel first: a cut takes it some turns
    });
}

TEST_CASE("stream: a timeout of a read is a cancellation that loses nothing") {
    leak_check leaks;
    virtual_clock clock;
    weft::run([] {
        stream_pair s;
        s.far.write("first half, ");
        CHECK_THROWS_AS(weft::timeout(1s, [&] { s.near.read_line(); }), weft::timeout_error);
        CHECK_THROWS_AS(weft::timeout(1s, [&] { s.near.read(); }), weft::timeout_error);
        s.far.write("second half\n");
        CHECK(s.near.read_line() == "first half, second half\n");
    });
}

TEST_CASE("stream: every call checks for a cancellation, also when the buffer has what it wants") {
    leak_check leaks;
    weft::run([] {
        stream_pair s;
        s.far.write("one\ntwo\n");
        CHECK(s.near.read_line() == "one\n");
        const std::function<void()> calls[] = {
            [&] { s.near.read_line(); }, [&] { s.near.read(2); }, [&] { s.near.write("x"); }, [&] { s.near.write(""); },
        };
        for (const auto& call : calls) {
            auto cancelled = weft::create_task([&] {
                weft::current_task().cancel();
                call();
            });
            cancelled.join();
            CHECK(cancelled.cancelled());
        }
        CHECK(s.near.read_line() == "two\n");
    });
}

TEST_CASE("stream: a second reader or writer is refused") {
    leak_check leaks;
    weft::run([] {
        stream_pair s(narrow_pair());
        auto reading = start([&] { return s.near.read_line(); });
        CHECK(message_of<std::logic_error>([&] { s.near.read(1); }).find("stream::read:") == 0);
        auto writing = start([&] { s.near.write(std::string(1 << 20, 'x')); });
        CHECK_THROWS_AS(s.near.write("x"), std::logic_error);
        CHECK_THROWS_AS(s.near.write_eof(), std::logic_error);
        s.far.write("line\n");
        CHECK(reading.get() == "line\n");
        CHECK(s.far.read_exactly(1 << 20).size() == 1 << 20);
        writing.get();
    });
}

TEST_CASE("stream: it may be moved while calls are inside") {
    leak_check leaks;
    weft::run([] {
        stream_pair s;
        auto reading = start([&] { return s.near.read_line(); });
        stream moved = std::move(s.near);
        s.far.write("line\n");
        CHECK(reading.get() == "line\n");
        moved.write("back\n");
        CHECK(s.far.read_line() == "back\n");
        CHECK(error_of([&] { s.near.read(1); }) == EBADF);
        CHECK(s.near.at_eof());
        CHECK_THROWS_AS(s.near.get_socket(), weft::invalid_state);
    });
}

TEST_CASE("stream: calls need a loop, and those that wait a task") {
    leak_check leaks;
    weft::run([] {
        stream_pair s;
        bool ran = false;
        weft::get_running_loop().call_soon([&] {
            CHECK_THROWS_AS(s.near.read_line(), weft::no_running_task);
            s.far.write("line\nhalf");
            CHECK(s.near.read_line() == "line\n");
            CHECK_THROWS_AS(s.near.read_line(), weft::no_running_task);
            ran = true;
        });
        while (!ran) weft::yield_now();
        s.far.write("\n");
        CHECK(s.near.read_line() == "half\n");
    });
    stream none;
    CHECK_THROWS_AS(none.read(1), weft::no_running_loop);
    CHECK_THROWS_AS(none.write("x"), weft::no_running_loop);
    none.close();
    CHECK(none.at_eof());
}
