// semaphore: no more than two at a time.
//
// Python:
//     import asyncio
//
//     running = 0
//     most = 0
//
//     async def fetch(permits):
//         global running, most
//         async with permits:
//             running += 1
//             most = max(most, running)
//             await asyncio.sleep(0.01)
//             running -= 1
//
//     async def main():
//         permits = asyncio.Semaphore(2)
//         await asyncio.gather(*(fetch(permits) for _ in range(6)))
//         print("at most", most, "at a time")
//
//     asyncio.run(main())
//
// Prints:
//     at most 2 at a time

#include <weft/weft.hpp>

#include <algorithm>
#include <chrono>
#include <functional>
#include <iostream>
#include <mutex>
#include <vector>

using namespace std::chrono_literals;

int main() {
    weft::run([] {
        weft::semaphore permits(2);
        int running = 0;
        int most = 0;
        const auto fetch = [&] {
            std::scoped_lock permit(permits);
            most = std::max(most, ++running);
            weft::sleep(10ms);
            --running;
        };
        weft::gather(std::vector<std::function<void()>>(6, fetch));
        std::cout << "at most " << most << " at a time\n";
    });
}
