// Arbitrary bytes as what a name server says to a resolver that asked it.

#include <optional>

#include <weft/run.hpp>

#include "resolver_answers.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static weft::runner loop({.handle_sigint = false});
    static std::optional<fuzz::resolver_answers> answers;
    loop.run([&] {
        if (!answers) answers.emplace();
        answers->run({data, size});
    });
    return 0;
}
