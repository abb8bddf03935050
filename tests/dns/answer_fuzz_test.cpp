// The fuzz target on good messages with random damage; the same ones in every run.

#include <catch2/catch.hpp>

#include <cstdint>
#include <random>
#include <string>

#include "dns_server.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

using namespace dns_test;

TEST_CASE("answer: no damaged message does harm") {
    request asked{.name = "www.test", .type = A};
    asked.bytes =
        std::string("\0\1\1\0\0\1\0\0\0\0\0\0", 12) + wire_name("www.test") + std::string("\0\1\0\1", 4);
    reply full(asked);
    full.cname("www.test", "host.test")
        .a_of("host.test", "192.0.2.1")
        .mx(10, "mail.test")
        .srv(1, 2, 3, "host.test")
        .name(NS, "ns.test");
    full.name(PTR, "host.test")
        .record("www.test", TXT, 60, "\x03one\x03two")
        .soa(false, 60, 60)
        .aaaa("2001:db8::1")
        .soa(true, 60, 60);

    std::mt19937 random(1);
    auto below = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); };
    for (int i = 0; i < 20000; ++i) {
        std::string input = static_cast<char>(below(256)) + full.bytes();
        for (std::size_t damage = below(6); damage > 0; --damage) {
            const std::size_t at = 1 + below(input.size() - 1);
            switch (below(4)) {
            case 0:
                input[at] = static_cast<char>(below(256));
                break;
            case 1:  // a compression pointer, somewhere
                input.replace(at, 2, {static_cast<char>(0xc0 | below(2)), static_cast<char>(below(256))});
                break;
            case 2:
                input.erase(at, below(8));
                break;
            default:
                input.insert(at, input.substr(below(input.size()), below(16)));
            }
        }
        LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
    }
    SUCCEED();
}
