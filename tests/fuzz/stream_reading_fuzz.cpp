// Reading a stream in arbitrary ways while its bytes come in arbitrary pieces.

#include <weft/run.hpp>

#include "stream_reading.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static weft::runner& loop = *new weft::runner({.handle_sigint = false});   // as long as the process
    loop.run([&] { fuzz::stream_reading({data, size}).run(); });
    return 0;
}
