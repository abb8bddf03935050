// sleep: tasks wait side by side, in one thread; the shortest wait ends first.
//
// Python:
//     import asyncio
//
//     async def wake_after(name, delay):
//         await asyncio.sleep(delay)
//         print(name)
//
//     async def main():
//         await asyncio.gather(wake_after("slow", 0.06), wake_after("quick", 0.02), wake_after("middling", 0.04))
//
//     asyncio.run(main())
//
// Prints:
//     quick
//     middling
//     slow

#include <weft/weft.hpp>

#include <chrono>
#include <iostream>

using namespace std::chrono_literals;

void wake_after(const char* name, std::chrono::milliseconds delay) {
    weft::sleep(delay);
    std::cout << name << '\n';
}

int main() {
    weft::run([] {
        weft::gather([] { wake_after("slow", 60ms); }, [] { wake_after("quick", 20ms); },
                     [] { wake_after("middling", 40ms); });
    });
}
