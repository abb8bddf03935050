// to_thread: a call that blocks its thread, beside tasks that go on.
//
// Python:
//     import asyncio
//     import time
//
//     def block():
//         time.sleep(0.05)
//         return "the file"
//
//     async def tick():
//         for n in range(3):
//             print("tick", n)
//             await asyncio.sleep(0.01)
//
//     async def main():
//         read, _ = await asyncio.gather(asyncio.to_thread(block), tick())
//         print("read", read)
//
//     asyncio.run(main())
//
// Prints:
//     tick 0
//     tick 1
//     tick 2
//     read the file

#include <weft/weft.hpp>

#include <chrono>
#include <iostream>
#include <string>
#include <thread>

using namespace std::chrono_literals;

std::string block() {
    std::this_thread::sleep_for(50ms);   // a library that knows no other way
    return "the file";
}

void tick() {
    for (int n = 0; n < 3; ++n) {
        std::cout << "tick " << n << '\n';
        weft::sleep(10ms);
    }
}

int main() {
    weft::run([] {
        auto [read, none] = weft::gather([] { return weft::to_thread(block); }, [] { tick(); return 0; });
        std::cout << "read " << read << '\n';
    });
}
