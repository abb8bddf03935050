// Echo on weft: a task for each connection. The engine is WEFT_ENGINE's.

#include <array>
#include <cstdio>

#include <weft/weft.hpp>

int main() {
    weft::run({.stack_size = 64 * 1024}, [] {
        weft::server server = weft::start_server(
            [](weft::stream s) {
                std::array<std::byte, 4096> buffer;
                while (const std::size_t size = s.read_some(buffer)) s.write(std::span(buffer).first(size));
            },
            "127.0.0.1", 0, {.backlog = 4096});
        std::printf("%d\n", server.endpoints().front().port());
        std::fflush(stdout);
        server.serve_forever();
    });
}
