// context: a value for each task and all that it calls, without handing it through.
//
// Python:
//     import asyncio
//     import contextvars
//
//     user = contextvars.ContextVar("user", default="nobody")
//
//     def log(text):
//         print(user.get() + ":", text)
//
//     async def request(name):
//         user.set(name)
//         await asyncio.sleep(0.01)
//         log("done")
//
//     async def main():
//         await asyncio.gather(request("Anna"), request("Berta"))
//         log("idle")
//
//     asyncio.run(main())
//
// Prints:
//     Anna: done
//     Berta: done
//     nobody: idle

#include <weft/weft.hpp>

#include <chrono>
#include <iostream>
#include <string>

using namespace std::chrono_literals;

weft::context_var<std::string> user("nobody");

void log(const char* text) {
    std::cout << user.get() << ": " << text << '\n';
}

void request(const char* name) {
    user.set(name);
    weft::sleep(10ms);
    log("done");
}

int main() {
    weft::run([] {
        weft::gather([] { request("Anna"); }, [] { request("Berta"); });
        log("idle");
    });
}
