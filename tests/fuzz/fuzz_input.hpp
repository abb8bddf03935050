#pragma once

/// fuzz_input: the bytes that a fuzzer made up, taken as decisions from the front. When they are used up every decision is 0.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

namespace fuzz {

class fuzz_input {
public:
    explicit fuzz_input(std::span<const std::uint8_t> bytes) noexcept : left_(bytes) {}

    bool empty() const noexcept { return left_.empty(); }
    std::uint8_t byte() noexcept {
        if (left_.empty()) return 0;
        const std::uint8_t first = left_.front();
        left_ = left_.subspan(1);
        return first;
    }
    std::size_t below(std::size_t bound) noexcept {
        std::size_t value = byte();
        if (bound > 256) value = value << 8 | byte();
        return value % bound;
    }
    /// All that is left.
    std::string_view rest() noexcept {
        const std::string_view text(reinterpret_cast<const char*>(left_.data()), left_.size());
        left_ = {};
        return text;
    }

private:
    std::span<const std::uint8_t> left_;
};

/// The fuzzer sees a death, and keeps the input.
inline void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "not so: %s\n", what);
    std::abort();
}

}  // namespace fuzz
