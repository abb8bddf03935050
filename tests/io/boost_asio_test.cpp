// A stream as Boost.Asio's SyncReadStream and SyncWriteStream: through the two concepts' own algorithms.

#include <array>
#include <cerrno>
#include <string>
#include <vector>

#include <boost/asio/completion_condition.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <boost/beast/http.hpp>

#include <weft/boost_asio.hpp>

#include "fixture.hpp"

using namespace io_test;
using weft::stream;
namespace asio = boost::asio;
namespace http = boost::beast::http;

static_assert(boost::beast::is_sync_stream<stream>::value);
static_assert(weft::detail::asio_buffers<asio::mutable_buffer> && weft::detail::asio_buffers<asio::const_buffer>);
static_assert(weft::detail::asio_buffers<std::vector<asio::const_buffer>>);
static_assert(weft::detail::asio_buffers<asio::const_buffers_1>);
static_assert(!weft::detail::asio_buffers<std::string> && !weft::detail::asio_buffers<std::vector<std::byte>>);
static_assert(!weft::detail::asio_buffers<std::span<std::byte>> && !weft::detail::asio_buffers<int>);

namespace {

std::pair<stream, stream> streams() {
    auto [a, b] = tcp_pair();
    return {stream(std::move(a)), stream(std::move(b))};
}

}  // namespace

TEST_CASE("boost asio: its algorithms read and write a stream, whatever the buffers") {
    leak_check leaks;
    weft::run([] {
        auto [a, b] = streams();
        const std::string one = "one ", two = "two\n";
        const std::vector<asio::const_buffer> pieces{asio::buffer(one), asio::const_buffer(), asio::buffer(two)};
        CHECK(asio::write(a, pieces) == 8);
        std::string line;
        CHECK(asio::read_until(b, asio::dynamic_buffer(line), '\n') == 8);
        CHECK(line == "one two\n");

        std::vector<asio::const_buffer> many;
        const std::string digits = "0123456789";
        for (std::size_t i = 0; i < 1000; ++i) many.push_back(asio::buffer(digits.data() + i % 10, 1));
        auto writing = start([&, &a = a] {
            CHECK(asio::write(a, many) == 1000);
            a.write_eof();
        });
        std::array<char, 400> first;
        std::array<char, 700> second;
        boost::system::error_code error;
        const std::array<asio::mutable_buffer, 3> room{asio::mutable_buffer(), asio::buffer(first), asio::buffer(second)};
        CHECK(asio::read(b, room, error) == 1000);
        CHECK(error == asio::error::eof);
        writing.get();
        std::string got(first.data(), 400);
        got.append(second.data(), 600);
        for (std::size_t i = 0; i < 1000; ++i) REQUIRE(got[i] == digits[i % 10]);
    });
}

TEST_CASE("boost asio: what was buffered by other reads comes first, and the end is eof, as a code and thrown") {
    leak_check leaks;
    weft::run([] {
        auto [a, b] = streams();
        a.write("line\nrest");
        a.close();
        CHECK(b.read_line() == "line\n");
        std::array<char, 100> room;
        CHECK(b.read_some(asio::buffer(room)) == 4);
        boost::system::error_code error = asio::error::in_progress;
        CHECK(b.read_some(asio::buffer(room), error) == 0);
        CHECK(error == asio::error::eof);
        CHECK_THROWS_AS(b.read_some(asio::buffer(room)), boost::system::system_error);
        // Nothing asked for is no end.
        CHECK(b.read_some(asio::mutable_buffer(), error) == 0);
        CHECK_FALSE(error);
    });
}

TEST_CASE("boost asio: a failure of the system is asio's code, and keeps its text when thrown") {
    leak_check leaks;
    weft::run([] {
        auto [a, b] = streams();
        const std::string peer = a.remote_endpoint().to_string();
        reset_on_close(b.get_socket());
        b.close();
        std::array<char, 100> room;
        boost::system::error_code error;
        CHECK(a.read_some(asio::buffer(room), error) == 0);
        CHECK(error == asio::error::connection_reset);
        CHECK(message_of<boost::system::system_error>([&a = a, &room] { a.read_some(asio::buffer(room)); })
                  .find("stream::read_some " + peer) == 0);
        CHECK(a.write_some(asio::buffer(room), error) == 0);
        CHECK(error == asio::error::broken_pipe);
        a.close();
        CHECK(a.write_some(asio::buffer(room), error) == 0);
        CHECK(error == asio::error::bad_descriptor);
        CHECK_THROWS_AS(a.write_some(asio::buffer(room)), boost::system::system_error);
    });
}

TEST_CASE("boost asio: a cancellation passes through an algorithm as it is") {
    leak_check leaks;
    weft::run([] {
        auto [a, b] = streams();
        auto reading = start([&b = b] {
            std::array<char, 10> room;
            boost::system::error_code error;
            asio::read(b, asio::buffer(room), error);
        });
        a.write("12345");
        turns(3);
        reading.cancel();
        reading.join();
        CHECK(reading.cancelled());
    });
}

TEST_CASE("boost beast: it speaks HTTP over a stream as it is") {
    leak_check leaks;
    weft::run([] {
        auto [a, b] = streams();
        const std::string body = long_text(300'000);
        auto serving = start([&, &b = b] {
            boost::beast::flat_buffer buffer;
            http::request<http::string_body> request;
            http::read(b, buffer, request);
            http::response<http::string_body> answer{http::status::ok, 11, request.body() + body};
            answer.chunked(true);
            http::write(b, answer);
        });
        http::request<http::string_body> request{http::verb::post, "/echo", 11, "asked: "};
        request.prepare_payload();
        http::write(a, request);
        boost::beast::flat_buffer buffer;
        http::response<http::string_body> answer;
        http::read(a, buffer, answer);
        serving.get();
        CHECK(answer.result() == http::status::ok);
        CHECK((answer.body() == "asked: " + body));
    });
}
