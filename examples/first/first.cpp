// Three tasks that wait at the same time, under one deadline.

#include <weft/weft.hpp>

#include <chrono>
#include <iostream>
#include <string>

using namespace std::chrono_literals;

std::string greet(const std::string& name, std::chrono::milliseconds delay) {
    weft::sleep(delay);  // other tasks run meanwhile
    return "hello " + name;
}

int main() {
    weft::run([] {
        weft::timeout(1s, [] {
            auto [sun, moon, stars] =
                weft::gather([] { return greet("sun", 300ms); }, [] { return greet("moon", 100ms); },
                             [] { return greet("stars", 200ms); });
            std::cout << sun << ", " << moon << ", " << stars << '\n';  // after 0.3 s, not 0.6 s
        });
    });
}
