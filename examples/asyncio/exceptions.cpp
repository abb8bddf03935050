// exceptions: they come out where the task is waited for, or, asked for, as results.
//
// Python:
//     import asyncio
//
//     async def parse(text):
//         await asyncio.sleep(0.01)
//         if not text.isdigit():
//             raise ValueError("not a number: " + text)
//         return int(text)
//
//     async def main():
//         task = asyncio.create_task(parse("seven"))
//         try:
//             await task
//         except ValueError as e:
//             print("caught:", e)
//         for result in await asyncio.gather(parse("1"), parse("two"), parse("3"), return_exceptions=True):
//             print("failed:" if isinstance(result, Exception) else "parsed:", result)
//
//     asyncio.run(main())
//
// Prints:
//     caught: not a number: seven
//     parsed: 1
//     failed: not a number: two
//     parsed: 3

#include <weft/weft.hpp>

#include <chrono>
#include <iostream>
#include <stdexcept>
#include <string>

using namespace std::chrono_literals;

int parse(const std::string& text) {
    weft::sleep(10ms);
    if (text.find_first_not_of("0123456789") != std::string::npos) throw std::invalid_argument("not a number: " + text);
    return std::stoi(text);
}

void show(const weft::outcome<int>& result) {
    if (result) {
        std::cout << "parsed: " << *result << '\n';
        return;
    }
    try {
        std::rethrow_exception(result.error());
    } catch (const std::invalid_argument& e) {
        std::cout << "failed: " << e.what() << '\n';
    }
}

int main() {
    weft::run([] {
        weft::task<int> task = weft::create_task(parse, "seven");
        try {
            task.get();
        } catch (const std::invalid_argument& e) {
            std::cout << "caught: " << e.what() << '\n';
        }
        auto [one, two, three] = weft::gather(weft::return_exceptions, [] { return parse("1"); },
                                              [] { return parse("two"); }, [] { return parse("3"); });
        show(one);
        show(two);
        show(three);
    });
}
