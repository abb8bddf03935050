// Echo on weft's sockets, without the stream's buffer: what porting blocking code gives. The engine is WEFT_ENGINE's.

#include <array>
#include <cstdio>

#include <netinet/in.h>
#include <sys/socket.h>

#include <weft/weft.hpp>

int main() {
    weft::run({.stack_size = 64 * 1024}, [] {
        weft::socket listener(AF_INET, SOCK_STREAM);
        listener.bind(weft::endpoint::parse("127.0.0.1:0"));
        listener.listen(4096);
        std::printf("%d\n", listener.local_endpoint().port());
        std::fflush(stdout);
        for (;;) {
            weft::create_task([connection = listener.accept()]() mutable {
                std::array<std::byte, 4096> buffer;
                while (const std::size_t size = connection.recv(buffer))
                    for (std::size_t sent = 0; sent < size;)
                        sent += connection.send(std::span(buffer).subspan(sent, size - sent));
            });
        }
    });
}
