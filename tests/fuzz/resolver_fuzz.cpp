// Arbitrary bytes as what a name server says to a resolver that asked it.

#include <weft/run.hpp>

#include "resolver_answers.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    weft::run({.handle_sigint = false}, [&] { fuzz::resolver_answers().run({data, size}); });
    return 0;
}
