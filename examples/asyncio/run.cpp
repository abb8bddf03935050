// run: a loop on this thread, for as long as a function runs.
//
// Python:
//     import asyncio
//
//     async def main():
//         print("hello")
//         await asyncio.sleep(0.01)
//         print("world")
//         return 42
//
//     print(asyncio.run(main()))
//
// Prints:
//     hello
//     world
//     42

#include <weft/weft.hpp>

#include <chrono>
#include <iostream>

using namespace std::chrono_literals;

int answer() {
    std::cout << "hello\n";
    weft::sleep(10ms);   // blocks this task, not the thread
    std::cout << "world\n";
    return 42;
}

int main() {
    std::cout << weft::run(answer) << '\n';
}
