#include "http_client.hpp"

#include "format.hpp"

#include <weft/boost_asio.hpp>
#include <weft/tls.hpp>

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <array>
#include <optional>
#include <system_error>

namespace fetch {
namespace {

namespace http = boost::beast::http;
using response_parser = http::response_parser<http::buffer_body>;

bool is_redirect(int status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

http::request<http::empty_body> make_request(const url& address) {
    http::request<http::empty_body> request{http::verb::get, address.target, 11};
    request.set(http::field::host, address.authority());
    request.set(http::field::user_agent, "weft-fetch/1");
    request.set(http::field::accept, "*/*");
    request.set(http::field::connection, "close");
    return request;
}

// Beast's error code as the failure that a user understands.
[[noreturn]] void fail(const boost::system::error_code& error, const std::string& progress,
                       std::uint64_t max_body) {
    if (error == http::error::end_of_stream)
        throw fetch_error(outcome::no_answer, "");
    if (error == http::error::partial_message)
        throw fetch_error(outcome::truncated, "it ends " + progress);
    if (error == http::error::body_limit) {
        throw fetch_error(outcome::too_large,
                          "the body is longer than " + human_bytes(static_cast<double>(max_body)));
    }
    if (error == http::error::header_limit)
        throw fetch_error(outcome::malformed, "the header is too long");
    if (const std::error_code code = error; code.category() == weft::tls_category())
        throw std::system_error(code, progress);
    if (error.category() == boost::system::system_category())
        throw std::system_error(error.value(), std::system_category(), progress);
    throw fetch_error(outcome::malformed, error.message() + " " + progress);
}

std::string in_body(std::uint64_t received, const response_parser& parser) {
    std::string text = "after " + std::to_string(received);
    if (const auto length = parser.content_length())
        text += " of " + std::to_string(*length);
    return text + " bytes of the body";
}

}  // namespace

struct http_client::exchange {
    answer got;
    std::optional<std::string> location;
};

http_client::exchange http_client::get_once(const url& address, const body_sink& sink) const {
    weft::stream connection = connect_(address);
    boost::beast::flat_buffer buffer;
    boost::system::error_code error;
    http::write(connection, make_request(address), error);
    if (error)
        fail(error, "while the request was sent", max_body_);
    std::optional<response_parser> parser;
    do {  // an answer of 1xx only announces the real one
        parser.emplace();
        parser->header_limit(64 * 1024);
        parser->body_limit(max_body_);
        http::read_header(connection, buffer, *parser, error);
        if (error)
            fail(error, "in its header", max_body_);
    } while (parser->get().result_int() / 100 == 1);

    const auto& header = parser->get();
    exchange result;
    result.got.status = static_cast<int>(header.result_int());
    result.got.reason = printable(std::string_view(header.reason().data(), header.reason().size()));
    result.got.address = address;
    if (is_redirect(result.got.status)) {
        if (const auto found = header.find(http::field::location); found != header.end()) {
            result.location.emplace(found->value().data(), found->value().size());
        }
        return result;  // its body is for people without a browser
    }

    std::array<char, 32 * 1024> piece;
    while (!parser->is_done()) {
        auto& body = parser->get().body();
        body.data = piece.data();
        body.size = piece.size();
        http::read(connection, buffer, *parser, error);
        const std::size_t count = piece.size() - body.size;
        result.got.body_bytes += count;
        // Not an error: the piece is full, and the body goes on.
        if (error && error != http::error::need_buffer)
            fail(error, in_body(result.got.body_bytes, *parser), max_body_);
        if (count > 0 && result.got.status < 300)
            sink({piece.data(), count});
    }
    return result;
}

answer http_client::get(const url& address, const body_sink& sink) const {
    url next = address;
    for (int redirects = 0;; ++redirects) {
        exchange result = get_once(next, sink);
        result.got.redirects = redirects;
        if (!is_redirect(result.got.status))
            return result.got;
        if (!result.location)
            throw fetch_error(outcome::malformed, "a redirect without a Location");
        if (redirects == max_redirects) {
            throw fetch_error(outcome::too_many_redirects, "more than " + std::to_string(max_redirects) +
                                                               ", the last to " + quoted(*result.location));
        }
        try {
            next = resolve(next, *result.location);
        } catch (const url_error& error) {
            throw fetch_error(outcome::malformed,
                              std::string("a redirect that leads nowhere: ") + error.what());
        }
    }
}

}  // namespace fetch
