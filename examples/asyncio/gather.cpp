// gather: many at once, their results in the order given, whichever ends first.
//
// Python:
//     import asyncio
//
//     async def square(n):
//         await asyncio.sleep(0.01 * (5 - n))
//         return n * n
//
//     async def main():
//         print(await asyncio.gather(*(square(n) for n in range(5))))
//
//     asyncio.run(main())
//
// Prints:
//     [0, 1, 4, 9, 16]

#include <weft/weft.hpp>

#include <chrono>
#include <iostream>
#include <vector>

using namespace std::chrono_literals;

int square(int n) {
    weft::sleep(10ms * (5 - n));
    return n * n;
}

int main() {
    weft::run([] {
        std::vector<weft::task<int>> squares;
        for (int n = 0; n < 5; ++n) squares.push_back(weft::create_task(square, n));
        const char* separator = "[";
        for (int s : weft::gather(squares)) std::cout << std::exchange(separator, ", ") << s;
        std::cout << "]\n";
    });
}
