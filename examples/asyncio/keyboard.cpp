// keyboard: a callback whenever standard input has something, until a line says that it is over.
//
// Python:
//     import asyncio
//     import sys
//
//     async def main():
//         loop = asyncio.get_running_loop()
//         over = loop.create_future()
//
//         def read():
//             line = sys.stdin.readline()
//             if line in ("", "quit\n"):
//                 loop.remove_reader(sys.stdin)
//                 over.set_result(None)
//             else:
//                 print("you typed", line, end="")
//
//         loop.add_reader(sys.stdin, read)
//         await over
//         print("bye")
//
//     asyncio.run(main())
//
// Input:
//     hello
//     quit
//
// Prints:
//     you typed hello
//     bye

#include <weft/weft.hpp>

#include <iostream>
#include <string>

#include <unistd.h>

int main() {
    weft::run([] {
        weft::loop& loop = weft::get_running_loop();
        weft::event over;
        std::string typed;
        loop.add_reader(STDIN_FILENO, [&] {
            char part[256];
            const ssize_t size = ::read(STDIN_FILENO, part, sizeof part);
            if (size > 0) typed.append(part, static_cast<std::size_t>(size));
            for (std::size_t end; (end = typed.find('\n')) != std::string::npos; typed.erase(0, end + 1)) {
                if (typed.substr(0, end) == "quit") return over.set();
                std::cout << "you typed " << typed.substr(0, end) << '\n';
            }
            if (size <= 0) over.set();
        });
        over.wait();
        loop.remove_reader(STDIN_FILENO);
        std::cout << "bye\n";
    });
}
