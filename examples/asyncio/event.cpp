// event: many wait for one thing to happen.
//
// Python:
//     import asyncio
//
//     async def runner(name, start):
//         await start.wait()
//         print(name, "runs")
//
//     async def main():
//         start = asyncio.Event()
//         runners = [asyncio.create_task(runner(name, start)) for name in ("Anna", "Berta", "Carla")]
//         await asyncio.sleep(0.01)
//         print("go")
//         start.set()
//         await asyncio.wait(runners)
//
//     asyncio.run(main())
//
// Prints:
//     go
//     Anna runs
//     Berta runs
//     Carla runs

#include <weft/weft.hpp>

#include <chrono>
#include <iostream>
#include <vector>

using namespace std::chrono_literals;

void runner(const char* name, const weft::event& start) {
    start.wait();
    std::cout << name << " runs\n";
}

int main() {
    weft::run([] {
        weft::event start;
        std::vector<weft::task<>> runners;
        for (const char* name : {"Anna", "Berta", "Carla"})
            runners.push_back(weft::create_task(runner, name, std::cref(start)));
        weft::sleep(10ms);
        std::cout << "go\n";
        start.set();
        weft::wait(runners);
    });
}
