// Writing, and both directions at once.

#include <cerrno>

#include "fixture.hpp"

using namespace io_test;
using weft::stream;

TEST_CASE("stream: write returns when everything is on its way, however few bytes the peer takes") {
    leak_check leaks;
    weft::run([] {
        auto [a, b] = narrow_pair();
        stream near(std::move(a)), far(std::move(b));
        const std::string text = long_text(1 << 20);
        auto writing = start([&] { near.write(text); });
        CHECK_FALSE(writing.done());
        std::string got;
        while (got.size() < text.size()) {
            const std::string part = far.read(1000 + got.size() % 77);
            REQUIRE_FALSE(part.empty());
            got += part;
        }
        writing.get();
        CHECK(got == text);
    });
}

TEST_CASE("stream: writev writes all the pieces in order, however many and however short the writes") {
    leak_check leaks;
    weft::run([] {
        auto [a, b] = narrow_pair();
        stream near(std::move(a)), far(std::move(b));
        const std::string text = long_text(300000);
        std::vector<std::string_view> pieces;
        for (std::size_t at = 0, i = 0; at < text.size(); ++i) {
            pieces.push_back(std::string_view(text).substr(at, i % 3 == 0 ? 0 : i * 37 % 3000));
            at += pieces.back().size();
        }
        REQUIRE(pieces.size() > 200);
        auto writing = start([&] {
            near.writev(pieces);
            near.writev({});
            near.write_eof();
        });
        CHECK(far.read() == text);
        writing.get();
    });
}

TEST_CASE("stream: bytes are written as text is") {
    leak_check leaks;
    weft::run([] {
        auto [a, b] = unix_pair();
        stream near(std::move(a)), far(std::move(b));
        near.write(bytes("bytes"));
        near.write(std::span<const std::byte>());
        near.write("");
        near.write(std::string("\0text", 5));
        CHECK(far.read_exactly(10) == std::string("bytes\0text", 10));
    });
}

TEST_CASE("stream: write_eof ends one direction only") {
    leak_check leaks;
    weft::run([] {
        auto [a, b] = tcp_pair();
        stream near(std::move(a)), far(std::move(b));
        near.write("question");
        near.write_eof();
        near.write_eof();
        CHECK(far.read() == "question");
        far.write("answer");
        far.close();
        CHECK(near.read() == "answer");
        CHECK_THROWS_AS(near.write("x"), weft::invalid_state);
        const std::string_view pieces[] = {"x"};
        CHECK_THROWS_AS(near.writev(pieces), weft::invalid_state);
    });
}

TEST_CASE("stream: one task reads while another writes") {
    leak_check leaks;
    weft::run([] {
        auto [a, b] = narrow_pair();
        stream near(std::move(a)), far(std::move(b));
        const std::string text = long_text(2 << 20);
        auto echo = start([&] {
            for (std::string part; !(part = far.read(10000)).empty();) far.write(part);
            far.write_eof();
        });
        auto writing = start([&] {
            near.write(text);
            near.write_eof();
        });
        CHECK(near.read() == text);
        writing.get();
        echo.get();
    });
}

TEST_CASE("stream: a cancelled write has written a beginning of it, and leaves the stream usable") {
    leak_check leaks;
    weft::run([] {
        auto [a, b] = narrow_pair();
        stream near(std::move(a)), far(std::move(b));
        const std::string text = long_text(1 << 20);
        auto writing = start([&] { near.write(text); });
        std::string got = far.read_exactly(5000);
        turns(2);
        REQUIRE_FALSE(writing.done());
        writing.cancel();
        writing.join();
        CHECK(writing.cancelled());
        auto ending = start([&] {
            near.write("|end");
            near.write_eof();
        });
        got += far.read();
        ending.get();
        REQUIRE(got.size() > 5004);
        const std::size_t written = got.size() - 4;
        CHECK(got == text.substr(0, written) + "|end");
    });
}

TEST_CASE("stream: writing to a peer that is gone is an error that names it") {
    leak_check leaks;
    weft::run([] {
        auto [a, b] = tcp_pair();
        stream near(std::move(a));
        const auto peer = near.remote_endpoint().to_string();
        reset_on_close(b);
        auto writing = start([&] {
            return message_of<std::system_error>([&] {
                for (;;) near.write(std::string(1 << 16, 'x'));
            });
        });
        REQUIRE_FALSE(writing.done());
        b.close();
        const std::string said = writing.get();
        CHECK(said.find("stream::write " + peer) == 0);
    });
}
