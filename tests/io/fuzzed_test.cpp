// What tools/fuzz does for a minute, on some thousand inputs made of pieces that lead somewhere.

#include <random>
#include <string>

#include "../fuzz/endpoint_text.hpp"
#include "../fuzz/stream_reading.hpp"
#include "fixture.hpp"
#include "rounds.hpp"

using namespace io_test;

namespace {

std::span<const std::uint8_t> raw(const std::string& text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

TEST_CASE("stream: arbitrary reads of arbitrary pieces give every byte once, in order, some of them cancelled") {
    leak_check leaks;
    weft::run([] {
        std::mt19937 random(1);
        constexpr std::string_view letters = "\n\n\raaaab..................";
        for (int i = 0; i < weft_test::rounds(4000); ++i) {
            std::string input(2 * (random() % 150), '\0');
            for (std::size_t at = 0; at < input.size(); ++at)
                input[at] = at < input.size() / 2 ? static_cast<char>(random()) : letters[random() % letters.size()];
            fuzz::stream_reading(raw(input)).run();
        }
    });
}

TEST_CASE("endpoint: text that is damaged anywhere is refused, or means what it writes") {
    std::mt19937 random(1);
    const std::string good[] = {"127.0.0.1:80", "[::1]:443", "[fe80::1%lo]:65535", "[::ffff:192.0.2.1]:1", "unix:/run/app.sock",
                                "unix:@abstract", "[2001:db8:0:1:2:3:4:5]:8080"};
    constexpr std::string_view letters = "0123456789abcdef:.%[]@/unix-\0";
    for (int i = 0; i < weft_test::rounds(40000); ++i) {
        std::string text = good[random() % std::size(good)];
        for (std::size_t damage = random() % 4; damage > 0 && !text.empty(); --damage) {
            const std::size_t at = random() % text.size();
            switch (random() % 3) {
                case 0: text[at] = letters[random() % letters.size()]; break;
                case 1: text.erase(at, random() % 4); break;
                default: text.insert(at, 1 + random() % 3, letters[random() % letters.size()]); break;
            }
        }
        fuzz::endpoint_text(text);
    }
    for (int i = 0; i < weft_test::rounds(20000); ++i) {
        std::string bytes(random() % 140, '\0');
        for (char& c : bytes) c = static_cast<char>(random() % 3 ? random() : 0);
        if (bytes.size() > 1) bytes[0] = "\0\1\2\12\21"[random() % 5], bytes[1] = 0;
        fuzz::endpoint_bytes(bytes);
    }
}
