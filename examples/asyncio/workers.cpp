// workers: a queue, three workers, and an end when all the work is done.
//
// Python:
//     import asyncio
//
//     async def worker(queue, results):
//         while True:
//             n = await queue.get()
//             await asyncio.sleep(0.01)
//             results.append(n * n)
//             queue.task_done()
//
//     async def main():
//         queue, results = asyncio.Queue(), []
//         for n in range(7):
//             queue.put_nowait(n)
//         workers = [asyncio.create_task(worker(queue, results)) for _ in range(3)]
//         await queue.join()
//         for w in workers:
//             w.cancel()
//         await asyncio.gather(*workers, return_exceptions=True)
//         print(sorted(results))
//
//     asyncio.run(main())
//
// Prints:
//     [0, 1, 4, 9, 16, 25, 36]

#include <weft/weft.hpp>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

int main() {
    weft::run([] {
        weft::queue<int> queue;
        std::vector<int> results;
        const auto worker = [&] {
            for (int n : queue) {   // until the queue is shut down
                weft::sleep(10ms);
                results.push_back(n * n);
                queue.task_done();
            }
        };
        for (int n = 0; n < 7; ++n) queue.put_nowait(n);
        weft::with_task_group([&](weft::task_group& workers) {
            for (int i = 0; i < 3; ++i) workers.create_task(worker);
            queue.join();
            queue.shutdown();
        });
        std::sort(results.begin(), results.end());
        const char* separator = "[";
        for (int r : results) std::cout << std::exchange(separator, ", ") << r;
        std::cout << "]\n";
    });
}
