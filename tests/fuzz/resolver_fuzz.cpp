// Arbitrary bytes as what a name server says to a resolver that asked it.

#include <weft/run.hpp>

#include "resolver_answers.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static weft::runner& loop = *new weft::runner({.handle_sigint = false});   // as long as the process
    loop.run([&] {
        static fuzz::resolver_answers& answers = *new fuzz::resolver_answers;
        answers.run({data, size});
    });
    return 0;
}
