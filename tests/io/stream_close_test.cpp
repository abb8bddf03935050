// How streams end: resets, and closing while calls are inside.

#include <cerrno>
#include <memory>

#include "stream_fixture.hpp"

using namespace io_test;
using weft::stream;

TEST_CASE("stream: a reset is thrown by every read, once the buffer is empty") {
    leak_check leaks;
    weft::run([] {
        stream_pair s(tcp_pair());
        s.far.write("first\nsecond");
        CHECK(s.near.read_line() == "first\n");
        reset_on_close(s.far.get_socket());
        s.far.close();
        CHECK(error_of([&] { s.near.read_line(); }) == ECONNRESET);
        CHECK(s.near.read(100) == "second");   // it was buffered
        CHECK(error_of([&] { s.near.read(100); }) == ECONNRESET);
        CHECK(error_of([&] { s.near.read(); }) == ECONNRESET);
        CHECK_FALSE(s.near.at_eof());
        const std::string said = message_of<std::system_error>([&] { s.near.read_exactly(1); });
        CHECK(said.find(s.near.remote_endpoint().to_string()) != std::string::npos);
    });
}

TEST_CASE("stream: a reset that a writer was told of is no end of file for the reader") {
    leak_check leaks;
    weft::run([] {
        stream_pair s(tcp_pair());
        reset_on_close(s.far.get_socket());
        s.far.close();
        CHECK(error_of([&] { s.near.write("x"); }) == ECONNRESET);
        CHECK(error_of([&] { s.near.write("x"); }) == EPIPE);
        CHECK(error_of([&] { s.near.read(10); }) == ECONNRESET);
        CHECK(error_of([&] { s.near.read(10); }) == ECONNRESET);
    });
}

TEST_CASE("stream: what came before a reset is read, also when a writer was told of that first") {
    leak_check leaks;
    weft::run([] {
        stream_pair s(tcp_pair());
        s.far.write("too much\nbye\n");
        reset_on_close(s.far.get_socket());
        s.far.close();
        CHECK(error_of([&] { s.near.write("x"); }) == ECONNRESET);
        CHECK(s.near.read_line() == "too much\n");
        CHECK(s.near.read_line() == "bye\n");
        CHECK(error_of([&] { s.near.read_line(); }) == ECONNRESET);
        CHECK(error_of([&] { s.near.read_line(); }) == ECONNRESET);
    });
}

TEST_CASE("stream: a reset that a writer was told of while the reader waited is no end of file for it") {
    leak_check leaks;
    weft::run([] {
        stream_pair s(tcp_pair());
        auto reading = start([&] { return error_of([&] { s.near.read(10); }); });
        reset_on_close(s.far.get_socket());
        s.far.close();
        CHECK(error_of([&] { s.near.write("x"); }) == ECONNRESET);   // before the reader has run again
        CHECK(reading.get() == ECONNRESET);
        CHECK_FALSE(s.near.at_eof());
    });
}

TEST_CASE("stream: closing wakes the reader and the writer, and ends everything") {
    leak_check leaks;
    weft::run([] {
        stream_pair s(narrow_pair());
        auto reading = start([&] { return error_of([&] { s.near.read_line(); }); });
        auto writing = start([&] { return error_of([&] { s.near.write(std::string(1 << 20, 'x')); }); });
        REQUIRE_FALSE((reading.done() || writing.done()));
        s.near.close();
        s.near.close();
        CHECK(reading.get() == EBADF);
        CHECK(writing.get() == EBADF);
        CHECK(error_of([&] { s.near.read(1); }) == EBADF);
        CHECK(error_of([&] { s.near.write("x"); }) == EBADF);
        CHECK(error_of([&] { s.near.write_eof(); }) == EBADF);
        CHECK(s.near.at_eof());
    });
}

TEST_CASE("stream: destroying it wakes the reader") {
    leak_check leaks;
    weft::run([] {
        auto [a, b] = unix_pair();
        auto owned = std::make_unique<stream>(std::move(a));
        auto reading = start([s = owned.get()] { return error_of([&] { s->read_exactly(100); }); });
        b.send(bytes("some"));
        turns(1);
        owned.reset();
        CHECK(reading.get() == EBADF);
    });
}
