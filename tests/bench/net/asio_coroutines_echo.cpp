// Echo on Boost.Asio with C++20 coroutines.

#include <boost/asio.hpp>

#include <array>
#include <cstdio>

namespace asio = boost::asio;
using asio::ip::tcp;

asio::awaitable<void> echo(tcp::socket socket) {
    std::array<char, 4096> buffer;
    try {
        for (;;) {
            const std::size_t size = co_await socket.async_read_some(asio::buffer(buffer), asio::use_awaitable);
            co_await asio::async_write(socket, asio::buffer(buffer, size), asio::use_awaitable);
        }
    } catch (const boost::system::system_error&) {
    }
}

asio::awaitable<void> serve(tcp::acceptor& acceptor) {
    for (;;) asio::co_spawn(acceptor.get_executor(), echo(co_await acceptor.async_accept(asio::use_awaitable)), asio::detached);
}

int main() {
    asio::io_context context(1);
    tcp::acceptor acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    acceptor.listen(4096);
    std::printf("%d\n", acceptor.local_endpoint().port());
    std::fflush(stdout);
    asio::co_spawn(context, serve(acceptor), asio::detached);
    context.run();
}
