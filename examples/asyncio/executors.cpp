// executors: work for threads and for processes of one's own, while tasks go on.
//
// Python:
//     import asyncio
//     import concurrent.futures
//
//     def count(limit):
//         return sum(n for n in range(limit) if n % 3 == 0)
//
//     async def main():
//         loop = asyncio.get_running_loop()
//         with concurrent.futures.ThreadPoolExecutor(2) as threads:
//             print("threads:", await asyncio.gather(*(loop.run_in_executor(threads, count, n) for n in (10, 100))))
//         with concurrent.futures.ProcessPoolExecutor(2) as processes:
//             print("processes:", await asyncio.gather(*(loop.run_in_executor(processes, count, n) for n in (10, 100))))
//
//     if __name__ == "__main__":
//         asyncio.run(main())
//
// Prints:
//     threads: [18, 1683]
//     processes: [18, 1683]

#include <weft/weft.hpp>

#include <iostream>

long count(long limit) {
    long sum = 0;
    for (long n = 0; n < limit; n += 3) sum += n;
    return sum;
}

int main() {
    weft::run([] {
        weft::thread_pool_executor threads(2);
        auto [a, b] = weft::gather([&] { return weft::run_in_executor(threads, count, 10); },
                                   [&] { return weft::run_in_executor(threads, count, 100); });
        std::cout << "threads: [" << a << ", " << b << "]\n";

        weft::process_pool_executor processes(2);   // a crash, or a leak, in there stays in there
        auto [c, d] = weft::gather([&] { return weft::run_in_executor(processes, count, 10); },
                                   [&] { return weft::run_in_executor(processes, count, 100); });
        std::cout << "processes: [" << c << ", " << d << "]\n";
    });
}
