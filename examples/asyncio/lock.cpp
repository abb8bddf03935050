// lock: one at a time, in the order in which they came, also over a wait.
//
// Python:
//     import asyncio
//
//     async def deposit(lock, account, amount):
//         async with lock:
//             before = account["balance"]
//             await asyncio.sleep(0.01)
//             account["balance"] = before + amount
//             print(before, "->", account["balance"])
//
//     async def main():
//         lock, account = asyncio.Lock(), {"balance": 0}
//         await asyncio.gather(*(deposit(lock, account, n) for n in (1, 10, 100)))
//
//     asyncio.run(main())
//
// Prints:
//     0 -> 1
//     1 -> 11
//     11 -> 111

#include <weft/weft.hpp>

#include <chrono>
#include <iostream>
#include <mutex>

using namespace std::chrono_literals;

struct account {
    weft::mutex lock;
    int balance = 0;

    void deposit(int amount) {
        std::lock_guard guard(lock);   // std's own guards
        const int before = balance;
        weft::sleep(10ms);
        balance = before + amount;
        std::cout << before << " -> " << balance << '\n';
    }
};

int main() {
    weft::run([] {
        account a;
        weft::gather([&] { a.deposit(1); }, [&] { a.deposit(10); }, [&] { a.deposit(100); });
    });
}
