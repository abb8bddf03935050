#include <catch2/catch.hpp>

#include <cstdint>
#include <limits>
#include <memory>
#include <random>
#include <stdexcept>
#include <unordered_map>

#include <weft/serializer.hpp>

#include "exec/frame.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

struct range {   // no default constructor, and an invariant
    range(int l, int h) : low(l), high(h) {}
    int low, high;
    friend bool operator==(const range&, const range&) = default;
};

struct tag_tree {
    std::string name;
    std::vector<tag_tree> children;
    friend bool operator==(const tag_tree&, const tag_tree&) = default;
};

}  // namespace

template <>
struct weft::serializer<tag_tree> {
    static void write(byte_writer& out, const tag_tree& t) {
        out.write(t.name);
        out.write(t.children);
    }
    static tag_tree read(byte_reader& in) {
        auto name = in.read<std::string>();
        return {name, in.read<std::vector<tag_tree>>()};
    }
};

namespace {

using namespace weft;

template <class T> std::string bytes_of(const T& value) {
    std::string bytes;
    byte_writer(bytes).write(value);
    return bytes;
}
template <class T> T value_of(std::string_view bytes) {
    byte_reader in(bytes);
    T value = in.read<T>();
    in.expect_end();
    return value;
}

/// It comes back as it was; none of its beginnings does, nor anything longer.
template <class T> void check_travels(const T& value) {
    const std::string bytes = bytes_of(value);
    CHECK(!bytes.empty());
    CHECK(value_of<T>(bytes) == value);
    for (std::size_t size = 0; size < bytes.size(); ++size)
        CHECK_THROWS_AS(value_of<T>(std::string_view(bytes).substr(0, size)), std::runtime_error);
    CHECK_THROWS_AS(value_of<T>(bytes + 'x'), std::runtime_error);
}

TEST_CASE("serializer: what the contract names comes back as it was, and is never read beyond its end") {
    check_travels(-5);
    check_travels('c');
    check_travels(true);
    check_travels(2.5);
    check_travels(std::numeric_limits<std::uint64_t>::max());
    enum class letter : short { a = 7 };
    check_travels(letter::a);
    check_travels(range(1, 2));
    check_travels(std::string("text\0more", 9));
    check_travels(std::string());
    check_travels(std::vector<int>{1, 2, 3});
    check_travels(std::vector<bool>{true, false, true});
    check_travels(std::vector<std::string>{"", "a"});
    check_travels(std::vector<std::vector<range>>{{}, {range(1, 2)}});
    check_travels(std::array<std::string, 2>{"x", "y"});
    check_travels(std::array<int, 0>{});
    check_travels(std::vector<std::array<int, 0>>(3));
    check_travels(std::optional<std::string>("there"));
    check_travels(std::optional<std::string>());
    check_travels(std::pair<int, std::string>(1, "one"));
    check_travels(std::tuple<>());
    check_travels(std::tuple<int, std::string, std::optional<range>>(1, "b", range(3, 4)));
    check_travels(std::map<std::string, std::vector<int>>{{"a", {1}}, {"b", {}}});
    check_travels(std::unordered_map<int, std::string>{{1, "one"}, {2, "two"}});
    check_travels(tag_tree{"root", {{"leaf", {}}, {"branch", {{"twig", {}}}}}});
}

TEST_CASE("serializer: a value that may only move travels") {
    std::string bytes = bytes_of(std::string("p"));
    byte_reader in(bytes);
    const auto held = std::make_unique<std::string>(in.read<std::string>());
    CHECK(*held == "p");
}

TEST_CASE("serializer: bytes that are no value of the type are refused") {
    CHECK_THROWS_AS(value_of<bool>(std::string(1, '\2')), std::runtime_error);
    CHECK_THROWS_AS(value_of<std::optional<int>>(std::string(5, '\7')), std::runtime_error);
    std::string twice = bytes_of(std::uint64_t{2}) + bytes_of(1) + bytes_of('a') + bytes_of(1) + bytes_of('b');
    CHECK_THROWS_AS((value_of<std::map<int, char>>(twice)), std::runtime_error);
}

TEST_CASE("serializer: a lie about a size is found before anything is allocated for it") {
    constexpr std::uint64_t lies[] = {std::uint64_t{1} << 62, std::uint64_t{1} << 40, std::numeric_limits<std::uint64_t>::max()};
    for (const std::uint64_t count : lies) {
        const std::string lie = bytes_of(count) + "some bytes";
        CHECK_THROWS_AS(value_of<std::string>(lie), std::runtime_error);
        CHECK_THROWS_AS(value_of<std::vector<double>>(lie), std::runtime_error);
        CHECK_THROWS_AS(value_of<std::vector<std::string>>(lie), std::runtime_error);
        CHECK_THROWS_AS(value_of<std::vector<std::tuple<>>>(lie), std::runtime_error);
        CHECK_THROWS_AS((value_of<std::map<int, int>>(lie)), std::runtime_error);
    }
}

TEST_CASE("frame: is put together from pieces of any size, and nonsense is known by its header") {
    using exec_layer::frame_reader;
    std::string frame;
    exec_layer::begin_frame(frame);
    frame += "payload";
    exec_layer::end_frame(frame);
    for (std::size_t piece = 1; piece <= frame.size(); ++piece) {
        frame_reader reader;
        auto progress = frame_reader::progress::more;
        for (std::size_t at = 0; at < frame.size();) {
            CHECK(progress == frame_reader::progress::more);
            const std::size_t size = std::min({piece, reader.wanted(), frame.size() - at});
            REQUIRE(size > 0);
            progress = reader.take(frame.data() + at, size);
            at += size;
        }
        CHECK(progress == frame_reader::progress::complete);
        CHECK(reader.release() == "payload");
        CHECK(reader.empty());
    }
    frame[0] ^= 1;
    frame_reader reader;
    CHECK(reader.take(frame.data(), 16) == frame_reader::progress::broken);
}

TEST_CASE("serializer: no damaged bytes do harm") {
    const auto good = bytes_of(std::map<std::string, std::vector<std::optional<std::string>>>{{"a", {"b", {}}}, {"c", {}}});
    std::mt19937 random(1);
    const auto below = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); };
    for (int i = 0; i < 20000; ++i) {
        std::string input = static_cast<char>(below(256)) + good;
        for (std::size_t damage = below(6); damage > 0; --damage)
            input[1 + below(input.size() - 1)] = static_cast<char>(below(256));
        input.resize(1 + below(input.size()));
        LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
    }
}

}  // namespace
