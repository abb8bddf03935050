// task_group: children that end before the block does; the first that fails cancels the others.
//
// Python:
//     import asyncio
//
//     async def step(name, delay):
//         await asyncio.sleep(delay)
//         if name == "broken":
//             raise ValueError("a step broke")
//         print(name, "done")
//
//     async def main():
//         async with asyncio.TaskGroup() as group:
//             group.create_task(step("one", 0.02))
//             group.create_task(step("two", 0.01))
//         print("both have ended")
//         try:
//             async with asyncio.TaskGroup() as group:
//                 group.create_task(step("endless", 3600))
//                 group.create_task(step("broken", 0.01))
//         except* ValueError as e:
//             print(len(e.exceptions), "failure:", e.exceptions[0])
//
//     asyncio.run(main())
//
// Prints:
//     two done
//     one done
//     both have ended
//     1 failure: a step broke

#include <weft/weft.hpp>

#include <chrono>
#include <iostream>
#include <stdexcept>
#include <string>

using namespace std::chrono_literals;

void step(const std::string& name, std::chrono::milliseconds delay) {
    weft::sleep(delay);
    if (name == "broken") throw std::runtime_error("a step broke");
    std::cout << name << " done\n";
}

int main() {
    weft::run([] {
        weft::with_task_group([](weft::task_group& group) {
            group.create_task(step, "one", 20ms);
            group.create_task(step, "two", 10ms);
        });
        std::cout << "both have ended\n";
        try {
            weft::with_task_group([](weft::task_group& group) {
                group.create_task(step, "endless", 3'600'000ms);
                group.create_task(step, "broken", 10ms);
            });
        } catch (const weft::exception_group& e) {
            try {
                std::rethrow_exception(e.exceptions().front());
            } catch (const std::runtime_error& first) {
                std::cout << e.exceptions().size() << " failure: " << first.what() << '\n';
            }
        }
    });
}
