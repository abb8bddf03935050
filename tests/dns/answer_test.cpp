// The parser of answers, on bytes.

#include <catch2/catch.hpp>

#include "dns/answer.hpp"
#include "dns_server.hpp"

using namespace dns_test;
using namespace std::chrono_literals;
using weft::dns_errc;
using weft::dns_layer::answer;
using weft::dns_layer::record_type;

namespace {

request question(const std::string& name, std::uint16_t type) {
    request asked{.name = name, .type = type};
    asked.bytes = std::string("\0\1\1\0\0\1\0\0\0\0\0\0", 12) + wire_name(name) + '\0' +
                  static_cast<char>(type) + std::string("\0\1", 2);
    return asked;
}

answer parse(const std::string& bytes, const std::string& name, record_type type) {
    return weft::dns_layer::parse_answer({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()},
                                         name, type);
}

/// An answer of one record of type NS whose name is given as bytes; they begin at 12 + 6 + 4 + 12 for the
/// name "test".
answer parse_name(const std::string& name_bytes) {
    reply r(question("test", NS));
    r.record("test", NS, 1, name_bytes);
    return parse(r.bytes(), "test", record_type::ns);
}
constexpr int data_offset = 12 + 6 + 4 + 12;

std::string pointer(int to) {
    return {static_cast<char>(0xc0 | to >> 8), static_cast<char>(to & 0xff)};
}

std::string first_host(const answer& a) {
    REQUIRE(a.ok());
    return std::get<weft::ns_record>(a.records.at(0)).host;
}

}  // namespace

TEST_CASE("answer: every prefix of a good message is either good or a bad response") {
    reply r(question("www.test", A));
    r.cname("www.test", "host.test").a_of("host.test", "192.0.2.1").a_of("host.test", "192.0.2.2");
    const std::string whole = r.bytes();
    CHECK(parse(whole, "www.test", record_type::a).records.size() == 2);
    for (std::size_t size = 0; size < whole.size(); ++size)
        CHECK(parse(whole.substr(0, size), "www.test", record_type::a).error == dns_errc::bad_response);
}

TEST_CASE("answer: names are lower case, and odd characters are escaped") {
    CHECK(first_host(parse_name(wire_name("NS.Test"))) == "ns.test");
    CHECK(first_host(parse_name(std::string("\x05"
                                            "a.b\\\0\x01 \0",
                                            9))) == "a\\.b\\\\\\000.\\032");
}

TEST_CASE("answer: compressed names are put together") {
    CHECK(first_host(parse_name("\x02ns" + pointer(12))) == "ns.test");
    CHECK(first_host(parse_name(pointer(12))) == "test");
}

TEST_CASE("answer: compression pointers that do not lead backwards are malformed") {
    CHECK(parse_name(pointer(data_offset)).error == dns_errc::bad_response);
    CHECK(parse_name(pointer(data_offset + 2)).error == dns_errc::bad_response);
    CHECK(parse_name(pointer(0x3fff)).error == dns_errc::bad_response);
    CHECK(parse_name("\x02ns" + pointer(data_offset)).error == dns_errc::bad_response);
    CHECK(parse_name("\xc0").error == dns_errc::bad_response);
}

TEST_CASE("answer: labels of unknown kinds, endless labels and names beyond 255 bytes are malformed") {
    CHECK(parse_name(std::string("\x80\0", 2)).error == dns_errc::bad_response);
    CHECK(parse_name(std::string("\x41x\0", 3)).error == dns_errc::bad_response);
    CHECK(parse_name("\x05"
                     "abc")
              .error == dns_errc::bad_response);
    std::string name;
    for (int i = 0; i < 4; ++i)
        name += '\x3f' + std::string(63, 'x');
    CHECK(parse_name(name + '\0').error == dns_errc::bad_response);  // 257
    name.resize(64 * 3);
    CHECK(parse_name(name + '\x3d' + std::string(61, 'y') + '\0').ok());  // 255
}

TEST_CASE("answer: data behind a record's end is malformed") {
    CHECK(parse_name(wire_name("ns.test") + "x").error == dns_errc::bad_response);
}

TEST_CASE("answer: records of other classes, types and owners are passed over") {
    reply r(question("test", A));
    r.record("test", 999, 1, "whatever").a_of("other", "192.0.2.9").a("192.0.2.1");
    CHECK(parse(r.bytes(), "test", record_type::a).records.size() == 1);
}

TEST_CASE("answer: a ttl with its highest bit set counts as zero, a long one as a week") {
    reply never(question("test", A));
    never.a("192.0.2.1", 0x80000001u);
    CHECK(parse(never.bytes(), "test", record_type::a).lifetime == 0s);
    reply forever(question("test", A));
    forever.a("192.0.2.1", 0x7fffffffu);
    CHECK(parse(forever.bytes(), "test", record_type::a).lifetime == weft::dns_layer::longest_lifetime);
}

TEST_CASE("answer: negative answers live no longer than three hours") {
    reply r(question("test", A));
    r.code(3).soa(true, 1000000, 1000000);
    const answer a = parse(r.bytes(), "test", record_type::a);
    CHECK(a.error == dns_errc::not_found);
    CHECK(a.lifetime == weft::dns_layer::longest_negative_lifetime);
}

TEST_CASE("answer: sixteen aliases are followed, more are malformed") {
    for (int aliases : {16, 17}) {
        reply r(question("n0", A));
        for (int i = 0; i < aliases; ++i)
            r.cname("n" + std::to_string(i), "n" + std::to_string(i + 1));
        r.a_of("n" + std::to_string(aliases), "192.0.2.1");
        CHECK(parse(r.bytes(), "n0", record_type::a).ok() == (aliases == 16));
    }
}

TEST_CASE("answer: a question is no answer") {
    CHECK(parse(question("test", A).bytes, "test", record_type::a).error == dns_errc::bad_response);
}

TEST_CASE("answer: a refusal names its question") {
    reply r(question("host.test", A));
    auto refusal_of = [](const std::string& bytes) {
        return weft::dns_layer::parse_refusal(
            {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
    };
    CHECK_FALSE(refusal_of(r.bytes()));
    const auto said = refusal_of(r.code(5).bytes());
    REQUIRE(said);
    CHECK(said->error == dns_errc::refused);
    CHECK(said->name == "host.test");
    CHECK(said->type == record_type::a);
    CHECK_FALSE(refusal_of(r.bytes().substr(0, 14)));
}
