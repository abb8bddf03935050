// debug: debug mode tells of a task that does not let the others run.
//
// Python:
//     import asyncio
//     import logging
//     import time
//
//     class Told(logging.Handler):
//         def emit(self, record):
//             if "took" in record.getMessage():
//                 print("told of a task that hogs the loop")
//
//     logging.getLogger("asyncio").addHandler(Told())
//     logging.getLogger("asyncio").propagate = False
//
//     async def hog():
//         time.sleep(0.15)
//
//     async def main():
//         await asyncio.create_task(hog(), name="the hog")
//         print("over")
//
//     asyncio.run(main(), debug=True)
//
// Prints:
//     told of a task that hogs the loop
//     over

#include <weft/weft.hpp>

#include <chrono>
#include <iostream>
#include <thread>

using namespace std::chrono_literals;

void hog() {
    std::this_thread::sleep_for(150ms);   // weft::sleep would let the others run
}

int main() {
    weft::run({.debug = true}, [] {
        weft::get_running_loop().set_exception_handler([](weft::loop&, const weft::exception_context& context) {
            if (context.message.find("took") != std::string::npos && context.task && context.task.name() == "the hog")
                std::cout << "told of a task that hogs the loop\n";
        });
        weft::create_task({.name = "the hog"}, hog).join();
        std::cout << "over\n";
    });
}
