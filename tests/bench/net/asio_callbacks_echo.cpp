// Echo on Boost.Asio with callbacks.

#include <boost/asio.hpp>

#include <array>
#include <cstdio>
#include <memory>

namespace asio = boost::asio;
using asio::ip::tcp;

struct session : std::enable_shared_from_this<session> {
    explicit session(tcp::socket s) : socket(std::move(s)) {}

    void read() {
        socket.async_read_some(asio::buffer(buffer), [self = shared_from_this()](boost::system::error_code error, std::size_t size) {
            if (!error) self->write(size);
        });
    }
    void write(std::size_t size) {
        asio::async_write(socket, asio::buffer(buffer, size),
                          [self = shared_from_this()](boost::system::error_code error, std::size_t) {
                              if (!error) self->read();
                          });
    }

    tcp::socket socket;
    std::array<char, 4096> buffer;
};

void accept(tcp::acceptor& acceptor) {
    acceptor.async_accept([&](boost::system::error_code error, tcp::socket socket) {
        if (!error) std::make_shared<session>(std::move(socket))->read();
        accept(acceptor);
    });
}

int main() {
    asio::io_context context(1);
    tcp::acceptor acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    acceptor.listen(4096);
    std::printf("%d\n", acceptor.local_endpoint().port());
    std::fflush(stdout);
    accept(acceptor);
    context.run();
}
