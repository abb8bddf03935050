// chat: a room on loopback, and three who talk in it.
//
// Python:
//     import asyncio
//
//     room = []
//
//     async def serve(reader, writer):
//         room.append(writer)
//         writer.write(b"welcome\n")
//         while line := await reader.readline():
//             for other in room:
//                 if other is not writer:
//                     other.write(line)
//         room.remove(writer)
//         writer.close()
//
//     async def visit(port, line):
//         reader, writer = await asyncio.open_connection("127.0.0.1", port)
//         assert await reader.readline() == b"welcome\n"
//         if line:
//             writer.write(line)
//         return reader, writer
//
//     async def main():
//         server = await asyncio.start_server(serve, "127.0.0.1", 0)
//         port = server.sockets[0].getsockname()[1]
//         listener, listening = await visit(port, None)
//         for line in (b"Anna: hello\n", b"Berta: hello, Anna\n"):
//             _, talking = await visit(port, line)
//             print((await listener.readline()).decode(), end="")
//             talking.close()
//         listening.close()
//         server.close()
//
//     asyncio.run(main())
//
// Prints:
//     Anna: hello
//     Berta: hello, Anna

#include <weft/weft.hpp>

#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

std::vector<weft::stream*> room;

void serve(weft::stream visitor) {
    room.push_back(&visitor);
    visitor.write("welcome\n");
    for (std::string line; !(line = visitor.read_line()).empty();)
        for (weft::stream* other : std::vector(room))
            if (other != &visitor) other->write(line);
    std::erase(room, &visitor);
}

weft::stream visit(std::uint16_t port, const std::string& line) {
    weft::stream connection = weft::open_connection("127.0.0.1", port);
    connection.read_line();   // welcome
    connection.write(line);
    return connection;
}

int main() {
    weft::run([] {
        weft::server server = weft::start_server(serve, "127.0.0.1", 0);
        const std::uint16_t port = server.endpoints().front().port();
        weft::stream listener = visit(port, "");
        for (const char* line : {"Anna: hello\n", "Berta: hello, Anna\n"}) {
            weft::stream talking = visit(port, line);
            std::cout << listener.read_line();
        }
    });
}
