// cancel: a task is asked to end, cleans up, and ends as cancelled.
//
// Python:
//     import asyncio
//
//     async def keep_open():
//         print("opened")
//         try:
//             await asyncio.sleep(3600)
//         except asyncio.CancelledError:
//             print("asked to end")
//             raise
//         finally:
//             await asyncio.sleep(0.01)
//             print("closed")
//
//     async def main():
//         task = asyncio.create_task(keep_open())
//         await asyncio.sleep(0.01)
//         task.cancel()
//         try:
//             await task
//         except asyncio.CancelledError:
//             print("cancelled:", task.cancelled())
//
//     asyncio.run(main())
//
// Prints:
//     opened
//     asked to end
//     closed
//     cancelled: True

#include <weft/weft.hpp>

#include <chrono>
#include <iostream>

using namespace std::chrono_literals;

struct door {
    door() { std::cout << "opened\n"; }
    ~door() {
        weft::sleep(10ms);   // destructors may wait: no cancellation is delivered while the task unwinds
        std::cout << "closed\n";
    }
};

void keep_open() {
    door opened;
    try {
        weft::sleep(1h);
    } catch (const weft::cancelled&) {   // not a std::exception: only who means it catches it
        std::cout << "asked to end\n";
        throw;
    }
}

int main() {
    weft::run([] {
        weft::task<> task = weft::create_task(keep_open);
        weft::sleep(10ms);
        task.cancel();
        try {
            task.get();
        } catch (const weft::cancelled&) {
            std::cout << "cancelled: " << (task.cancelled() ? "True" : "False") << '\n';
        }
    });
}
