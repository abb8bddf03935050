// Arbitrary text and arbitrary bytes as an endpoint.

#include "endpoint_text.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::endpoint_any({data, size});
    return 0;
}
