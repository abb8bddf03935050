// producer_consumer: a bounded queue holds the producer back until there is room.
//
// Python:
//     import asyncio
//
//     async def produce(queue):
//         for n in range(4):
//             await queue.put(n)
//             print("put", n)
//         await queue.put(None)
//
//     async def consume(queue):
//         while (n := await queue.get()) is not None:
//             print("got", n)
//             await asyncio.sleep(0.01)
//
//     async def main():
//         queue = asyncio.Queue(1)
//         await asyncio.gather(produce(queue), consume(queue))
//
//     asyncio.run(main())
//
// Prints:
//     put 0
//     got 0
//     put 1
//     got 1
//     put 2
//     got 2
//     put 3
//     got 3

#include <weft/weft.hpp>

#include <chrono>
#include <iostream>
#include <optional>

using namespace std::chrono_literals;

void produce(weft::queue<std::optional<int>>& queue) {
    for (int n = 0; n < 4; ++n) {
        queue.put(n);
        std::cout << "put " << n << '\n';
    }
    queue.put(std::nullopt);
}

void consume(weft::queue<std::optional<int>>& queue) {
    while (std::optional<int> n = queue.get()) {
        std::cout << "got " << *n << '\n';
        weft::sleep(10ms);
    }
}

int main() {
    weft::run([] {
        weft::queue<std::optional<int>> queue(1);
        weft::gather([&] { produce(queue); }, [&] { consume(queue); });
    });
}
