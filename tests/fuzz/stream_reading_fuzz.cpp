// Reading a stream in arbitrary ways while its bytes come in arbitrary pieces.

#include <weft/run.hpp>

#include "stream_reading.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    weft::run({.handle_sigint = false}, [&] { fuzz::stream_reading({data, size}).run(); });
    return 0;
}
