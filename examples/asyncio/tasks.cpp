// tasks: begun now, waited for later; a task starts when its creator first waits.
//
// Python:
//     import asyncio
//
//     async def work(name):
//         print(name, "begins")
//         await asyncio.sleep(0.01)
//         print(name, "ends")
//         return name.upper()
//
//     async def main():
//         first = asyncio.create_task(work("first"), name="the first")
//         second = asyncio.create_task(work("second"))
//         print("both are created")
//         print(await first, await second, first.get_name(), first.done())
//
//     asyncio.run(main())
//
// Prints:
//     both are created
//     first begins
//     second begins
//     first ends
//     second ends
//     FIRST SECOND the first True

#include <weft/weft.hpp>

#include <cctype>
#include <chrono>
#include <iostream>
#include <string>

using namespace std::chrono_literals;

std::string work(std::string name) {
    std::cout << name << " begins\n";
    weft::sleep(10ms);
    std::cout << name << " ends\n";
    for (char& c : name) c = static_cast<char>(std::toupper(c));
    return name;
}

int main() {
    weft::run([] {
        weft::task<std::string> first = weft::create_task({.name = "the first"}, work, "first");
        weft::task<std::string> second = weft::create_task(work, "second");
        std::cout << "both are created\n";
        std::cout << first.get() << ' ' << second.get();
        std::cout << ' ' << first.name() << ' ' << (first.done() ? "True" : "False") << '\n';
    });
}
