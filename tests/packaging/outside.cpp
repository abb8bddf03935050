// A program of somebody else's: it knows weft's public headers and nothing else.

#include <weft/weft.hpp>

#include <stdexcept>
#include <string>

#if __has_include("kernel/fiber.hpp") || __has_include("weft_config.hpp")
#error "the library's private headers are on its users' include path"
#endif

int main() {
    const std::string greeting = weft::run([] {
        auto hello = weft::create_task([] { return std::string("hello"); });
        auto late = weft::create_task([] { weft::sleep(std::chrono::hours(1)); });
        late.cancel();
        try {
            late.get();  // the exception's type is the same on both sides of the library's boundary
        } catch (const weft::cancelled&) {
            return hello.get();
        }
        return std::string();
    });
    return greeting == "hello" ? 0 : 1;
}
