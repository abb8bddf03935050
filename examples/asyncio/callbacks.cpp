// callbacks: the loop below the tasks: call_soon, call_later, stop.
//
// Python:
//     import asyncio
//
//     def show(text):
//         print(text)
//
//     async def main():
//         loop = asyncio.get_running_loop()
//         loop.call_later(0.02, show, "later")
//         loop.call_soon(show, "soon")
//         loop.call_later(0.01, show, "not so late")
//         never = loop.call_later(0.01, show, "never")
//         never.cancel()
//         over = loop.create_future()
//         loop.call_later(0.03, over.set_result, None)
//         print("now")
//         await over
//
//     asyncio.run(main())
//
// Prints:
//     now
//     soon
//     not so late
//     later

#include <weft/weft.hpp>

#include <chrono>
#include <iostream>

using namespace std::chrono_literals;

void show(const char* text) {
    std::cout << text << '\n';
}

int main() {
    weft::run([] {
        weft::loop& loop = weft::get_running_loop();
        loop.call_later(20ms, show, "later");
        loop.call_soon(show, "soon");
        loop.call_later(10ms, show, "not so late");
        weft::handle never = loop.call_later(10ms, show, "never");
        never.cancel();
        weft::event over;
        loop.call_later(30ms, [&] { over.set(); });
        std::cout << "now\n";
        over.wait();
    });
}
