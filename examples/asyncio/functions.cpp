// functions: a coroutine is a plain function, a plain call awaits it, and any depth of calls may wait.
//
// Python:
//     import asyncio
//
//     async def read_number(name):
//         await asyncio.sleep(0.01)
//         return len(name)
//
//     async def sum_of(names):
//         total = 0
//         for name in names:
//             total += await read_number(name)
//         return total
//
//     async def main():
//         print(await sum_of(["one", "three", "seven"]))
//
//     asyncio.run(main())
//
// Prints:
//     13

#include <weft/weft.hpp>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <string>
#include <vector>

using namespace std::chrono_literals;

std::size_t read_number(const std::string& name) {
    weft::sleep(10ms);
    return name.size();
}

std::size_t sum_of(const std::vector<std::string>& names) {
    std::size_t total = 0;
    // Through any library that knows nothing of weft, too: the algorithm's call waits.
    std::for_each(names.begin(), names.end(), [&](const std::string& name) { total += read_number(name); });
    return total;
}

int main() {
    weft::run([] { std::cout << sum_of({"one", "three", "seven"}) << '\n'; });
}
