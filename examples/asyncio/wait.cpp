// wait: until the first has ended; the others are still there, and are ended here.
//
// Python:
//     import asyncio
//
//     async def answer(name, delay):
//         await asyncio.sleep(delay)
//         return name
//
//     async def main():
//         tasks = [asyncio.create_task(answer(*a)) for a in (("far", 3600), ("near", 0.01), ("lost", 3600))]
//         done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
//         print([task.result() for task in done], len(pending), "pending")
//         for task in pending:
//             task.cancel()
//         done, pending = await asyncio.wait(pending)
//         print(sum(task.cancelled() for task in done), "cancelled,", len(pending), "pending")
//
//     asyncio.run(main())
//
// Prints:
//     ['near'] 2 pending
//     2 cancelled, 0 pending

#include <weft/weft.hpp>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <string>
#include <vector>

using namespace std::chrono_literals;

std::string answer(std::string name, std::chrono::milliseconds delay) {
    weft::sleep(delay);
    return name;
}

int main() {
    weft::run([] {
        std::vector<weft::task<std::string>> tasks{
            weft::create_task(answer, "far", 3'600'000ms),
            weft::create_task(answer, "near", 10ms),
            weft::create_task(answer, "lost", 3'600'000ms),
        };
        auto [done, pending] = weft::wait(tasks, weft::return_when::first_completed);
        std::cout << "['" << done.front().result() << "'] " << pending.size() << " pending\n";
        for (auto& task : pending) task.cancel();
        auto rest = weft::wait(pending);
        std::cout << std::count_if(rest.done.begin(), rest.done.end(), [](const auto& task) { return task.cancelled(); })
                  << " cancelled, " << rest.pending.size() << " pending\n";
    });
}
