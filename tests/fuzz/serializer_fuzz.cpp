// Arbitrary bytes as a value, or as frames. The first byte chooses what; what is read as a value must be written as the same
// bytes again.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include <weft/serializer.hpp>

#include "exec/frame.hpp"

namespace {

using namespace weft;

void require(bool holds) {
    if (!holds) std::abort();
}

template <class T>
void check(std::string_view bytes) {
    byte_reader in(bytes);
    try {
        const T value = in.read<T>();
        std::string again;
        byte_writer(again).write(value);
        // A map has an order of its own.
        require(again.size() == bytes.size() - in.left());
    } catch (const std::runtime_error&) {
    }
}

void check_frames(std::string_view bytes, std::size_t piece) {
    using exec_layer::frame_reader;
    frame_reader reader;
    while (!bytes.empty()) {
        const std::size_t size = std::min({piece, reader.wanted(), bytes.size()});
        require(size > 0);
        const auto progress = reader.take(bytes.data(), size);
        bytes.remove_prefix(size);
        if (progress == frame_reader::progress::broken) return;
        if (progress == frame_reader::progress::complete) reader.release();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    switch (data[0] % 8) {
        case 0: check<std::map<std::string, std::vector<std::optional<std::string>>>>(bytes); break;
        case 1: check<std::vector<std::tuple<bool, std::array<std::string, 2>, std::tuple<>>>>(bytes); break;
        case 2: check<std::unordered_map<int, std::vector<std::vector<double>>>>(bytes); break;
        case 3: check<std::pair<std::vector<bool>, std::optional<std::pair<char, long>>>>(bytes); break;
        case 4: check<std::vector<std::array<int, 0>>>(bytes); break;
        case 5: check<std::string>(bytes); break;
        default: check_frames(bytes, 1 + data[0] / 8); break;
    }
    return 0;
}
