#include "site.hpp"

#include <weft/boost_asio.hpp>
#include <weft/task.hpp>

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <sys/socket.h>

#include <system_error>

namespace fetch {
namespace {

namespace http = boost::beast::http;

std::string body_text(std::size_t size) {
    static const std::string line = "Over and under, the weft goes through the warp.\n";
    std::string text;
    while (text.size() < size)
        text += line;
    text.resize(size);
    return text;
}

http::response<http::string_body> make_answer(const page& wanted) {
    http::response<http::string_body> answer{http::int_to_status(static_cast<unsigned>(wanted.status)), 11};
    answer.set(http::field::server, "weft-example");
    answer.set(http::field::connection, "close");
    if (!wanted.location.empty())
        answer.set(http::field::location, wanted.location);
    answer.body() = body_text(wanted.size);
    return answer;
}

void send_endless(weft::stream& connection) {
    const std::string chunk = "1000\r\n" + body_text(0x1000) + "\r\n";
    connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (;;)
        connection.write(chunk);  // ends with the exception of a connection that the client closed
}

void send(const page& wanted, weft::stream& connection) {
    http::response<http::string_body> answer = make_answer(wanted);
    switch (wanted.serve) {
    case behaviour::content_length:
    case behaviour::redirect:
        if (wanted.status != 204)
            answer.prepare_payload();
        http::write(connection, answer);
        break;
    case behaviour::chunked:
        answer.chunked(true);
        http::write(connection, answer);
        break;
    case behaviour::until_close:
        http::write(connection, answer);
        break;
    case behaviour::raw:
        connection.write(wanted.raw);
        break;
    case behaviour::endless:
        send_endless(connection);
        break;
    case behaviour::silent:
        connection.read();
        break;
    }
}

}  // namespace

site::site() : refusing_(AF_INET, SOCK_STREAM) {
    refusing_.bind(weft::endpoint::parse("127.0.0.1:0"));
    for (int i = 0; i < 3; ++i) {
        servers_.push_back(weft::start_server(
            [this](weft::stream connection) { serve(std::move(connection)); }, "127.0.0.1", 0));
    }
}

site_ports site::ports() const {
    site_ports ports;
    for (const weft::server& server : servers_)
        ports.served.push_back(server.endpoints().front().port());
    ports.refused = refusing_.local_endpoint().port();
    return ports;
}

void site::publish(const std::vector<page>& pages) {
    for (const page& one : pages)
        pages_.insert_or_assign(one.path, one);
}

void site::close() {
    for (weft::server& server : servers_) {
        server.close();
        server.close_clients();
        server.wait_closed();
    }
}

// A page answers only under its own name, so that a wrong Host header shows.
const page* site::find(const std::string& host, const std::string& path) const {
    const auto found = pages_.find(path.substr(0, path.find('?')));
    if (found == pages_.end())
        return nullptr;
    const page& wanted = found->second;
    return host == wanted.host + ":" + std::to_string(wanted.port) ? &wanted : nullptr;
}

void site::serve(weft::stream connection) const {
    try {
        boost::beast::flat_buffer buffer;
        http::request<http::empty_body> request;
        http::read(connection, buffer, request);
        const page* wanted = find(std::string(request[http::field::host]), std::string(request.target()));
        page missing;
        missing.status = 404;
        if (wanted != nullptr)
            weft::sleep(wanted->delay);
        send(wanted != nullptr ? *wanted : missing, connection);
        connection.close();
    } catch (const std::system_error&) {
    } catch (const boost::system::system_error&) {
        // The client went away, which some pages exist for: told by weft, or by Beast.
    }
}

}  // namespace fetch
