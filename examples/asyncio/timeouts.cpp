// timeouts: around a block, around one call, and without an exception.
//
// Python:
//     import asyncio
//
//     async def main():
//         try:
//             async with asyncio.timeout(0.02):
//                 await asyncio.sleep(10)
//         except TimeoutError:
//             print("the block took too long")
//         try:
//             await asyncio.wait_for(asyncio.sleep(10), 0.02)
//         except TimeoutError:
//             print("the call took too long")
//         async with asyncio.timeout(10) as limit:
//             await asyncio.sleep(0.01)
//         print("in time" if not limit.expired() else "too late")
//
//     asyncio.run(main())
//
// Prints:
//     the block took too long
//     the call took too long
//     in time

#include <weft/weft.hpp>

#include <chrono>
#include <iostream>

using namespace std::chrono_literals;

int main() {
    weft::run([] {
        try {
            weft::timeout(20ms, [] { weft::sleep(10s); });
        } catch (const weft::timeout_error&) {
            std::cout << "the block took too long\n";
        }
        try {
            weft::wait_for([] { weft::sleep(10s); }, 20ms);
        } catch (const weft::timeout_error&) {
            std::cout << "the call took too long\n";
        }
        const bool finished = weft::move_on_after(10s, [] { weft::sleep(10ms); });
        std::cout << (finished ? "in time" : "too late") << '\n';
    });
}
