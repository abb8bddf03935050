#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <stdexcept>
#include <string>
#include <unordered_set>

#include <catch2/catch.hpp>

#include <weft/endpoint.hpp>

using weft::endpoint;

namespace {

std::string refusal(std::string_view text) {
    try {
        endpoint::parse(text);
    } catch (const std::invalid_argument& e) {
        return e.what();
    }
    return "";
}

}  // namespace

TEST_CASE("endpoint: an IPv4 address and its port are read and written") {
    const auto e = endpoint::parse("127.0.0.1:80");
    CHECK(e.family() == AF_INET);
    CHECK(e.host() == "127.0.0.1");
    CHECK(e.port() == 80);
    CHECK(e.to_string() == "127.0.0.1:80");
    CHECK(e == endpoint("127.0.0.1", 80));
}

TEST_CASE("endpoint: an IPv6 address stands in brackets") {
    const auto e = endpoint::parse("[2001:db8:0:0::1]:65535");
    CHECK(e.family() == AF_INET6);
    CHECK(e.host() == "2001:db8::1");
    CHECK(e.port() == 65535);
    CHECK(e.to_string() == "[2001:db8::1]:65535");
    CHECK(endpoint::parse("[::]:0").port() == 0);
}

TEST_CASE("endpoint: an IPv6 scope is read by name and by number") {
    const auto named = endpoint::parse("[fe80::1%lo]:80");
    CHECK(named.host() == "fe80::1%lo");
    CHECK(named.to_string() == "[fe80::1%lo]:80");
    CHECK(named == endpoint::parse("[fe80::1%" + std::to_string(::if_nametoindex("lo")) + "]:80"));
    CHECK(named != endpoint::parse("[fe80::1]:80"));
    CHECK(endpoint::parse("[fe80::1%54321]:80").to_string() == "[fe80::1%54321]:80");
    CHECK(refusal("[fe80::1%nosuchcard]:80").find("scope") != std::string::npos);
    CHECK(refusal("[fe80::1%]:80").find("scope") != std::string::npos);
}

TEST_CASE("endpoint: Unix paths and abstract names are read and written") {
    const auto file = endpoint::parse("unix:/run/app.sock");
    CHECK(file.family() == AF_UNIX);
    CHECK(file.host() == "/run/app.sock");
    CHECK(file.port() == 0);
    CHECK(file.to_string() == "unix:/run/app.sock");
    const auto abstract = endpoint::parse("unix:@app");
    CHECK(abstract.host() == "@app");
    CHECK(abstract.to_string() == "unix:@app");
    CHECK(abstract != file);
    CHECK(endpoint::unix_path("/run/app.sock") == file);
    CHECK(endpoint::parse("unix:relative").host() == "relative");
}

TEST_CASE("endpoint: an abstract name may contain zero bytes, a path may not") {
    const std::string name("@a\0b", 4);
    CHECK(endpoint::unix_path(name).host() == name);
    CHECK(endpoint::unix_path(name) != endpoint::unix_path("@a"));
    CHECK_THROWS_AS(endpoint::unix_path(std::string_view("/a\0b", 4)), std::invalid_argument);
}

TEST_CASE("endpoint: a Unix path of 107 bytes is the longest") {
    const std::string longest(107, 'x');
    CHECK(endpoint::unix_path(longest).host() == longest);
    CHECK(endpoint::unix_path('@' + std::string(106, 'x')).host().size() == 107);
    CHECK(refusal("unix:" + longest + 'x').find("107") != std::string::npos);
    CHECK(refusal("unix:@" + longest).find("107") != std::string::npos);
}

TEST_CASE("endpoint: a file whose name begins with @ is not taken for an abstract name") {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, "@file");
    const endpoint e(reinterpret_cast<const sockaddr*>(&address), sizeof address);
    CHECK(e.host() == "./@file");
    CHECK(e != endpoint::unix_path("@file"));
}

TEST_CASE("endpoint: what cannot be read is refused, naming it and the reason") {
    const std::pair<const char*, const char*> cases[] = {
        {"", "ADDRESS:PORT"},           {"127.0.0.1", "ADDRESS:PORT"},  {"::1", "brackets"},
        {"::1:80", "brackets"},         {"[::1]", "port"},              {"[::1]80", "port"},
        {"[127.0.0.1]:80", "IPv6"},     {"localhost:80", "getaddrinfo"}, {"127.0.0.1:", "port"},
        {"127.0.0.1:65536", "65535"},   {"127.0.0.1:-1", "65535"},      {"127.0.0.1: 80", "65535"},
        {"127.0.0.1:80x", "65535"},     {"127.0.0.1:http", "65535"},    {"127.1:80", "digits"},
        {"256.0.0.1:80", "digits"},     {"0127.0.0.1:80", "digits"},    {":80", "digits"},
        {"127.0.0.1%lo:80", "digits"},  {"unix:", "empty"},             {"unix:@", "empty"},
    };
    for (const auto& [text, reason] : cases) {
        INFO(text);
        const std::string said = refusal(text);
        CHECK(said.find("endpoint::parse") == 0);
        CHECK(said.find(reason) != std::string::npos);
        if (std::string_view(text).substr(0, 5) != "unix:") CHECK(said.find('"' + std::string(text) + '"') != std::string::npos);
    }
    CHECK_THROWS_AS(endpoint("localhost", 80), std::invalid_argument);
    CHECK_THROWS_AS(endpoint(std::string_view("127.0.0.1\0x", 11), 80), std::invalid_argument);
}

TEST_CASE("endpoint: equal ones have equal hashes, and what does not matter does not count") {
    sockaddr_in padded{};
    padded.sin_family = AF_INET;
    padded.sin_port = htons(80);
    padded.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    std::memset(padded.sin_zero, 0x55, sizeof padded.sin_zero);
    const endpoint a(reinterpret_cast<const sockaddr*>(&padded), sizeof padded);
    CHECK(a == endpoint::parse("127.0.0.1:80"));

    sockaddr_in6 labelled{};
    labelled.sin6_family = AF_INET6;
    labelled.sin6_flowinfo = 7;
    labelled.sin6_addr = in6addr_loopback;
    labelled.sin6_port = htons(80);
    const endpoint b(reinterpret_cast<const sockaddr*>(&labelled), sizeof labelled);
    CHECK(b == endpoint::parse("[::1]:80"));

    // A path with and without the zero byte at its end.
    const auto c = endpoint::unix_path("/x");
    const endpoint d(c.data(), c.size() - 1);
    CHECK(c == d);

    std::unordered_set<endpoint> all{a, b, c};
    CHECK(all.count(endpoint::parse("127.0.0.1:80")) == 1);
    CHECK(all.count(endpoint::parse("[::1]:80")) == 1);
    CHECK(all.count(d) == 1);
    CHECK(all.count(endpoint::parse("127.0.0.1:81")) == 0);
    CHECK(endpoint::parse("127.0.0.1:80") != endpoint::parse("127.0.0.2:80"));
    CHECK(endpoint::parse("127.0.0.1:80") != endpoint::parse("[::ffff:127.0.0.1]:80"));
}

TEST_CASE("endpoint: another port can be asked for where there are ports") {
    CHECK(endpoint::parse("127.0.0.1:0").with_port(81).to_string() == "127.0.0.1:81");
    CHECK(endpoint::parse("[fe80::1%lo]:0").with_port(81).to_string() == "[fe80::1%lo]:81");
    CHECK_THROWS_AS(endpoint::unix_path("/x").with_port(1), std::invalid_argument);
    CHECK_THROWS_AS(endpoint().with_port(1), std::invalid_argument);
}

TEST_CASE("endpoint: an empty one is no place, and addresses of a wrong size are refused") {
    const endpoint none;
    CHECK(none.family() == AF_UNSPEC);
    CHECK(none.size() == 0);
    CHECK(none.to_string().empty());
    CHECK(none == endpoint());
    CHECK(endpoint(nullptr, 0) == none);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    const auto* generic = reinterpret_cast<const sockaddr*>(&address);
    CHECK_THROWS_AS(endpoint(generic, 1), std::invalid_argument);
    CHECK_THROWS_AS(endpoint(generic, sizeof address - 1), std::invalid_argument);
    CHECK_THROWS_AS(endpoint(generic, 113), std::invalid_argument);
    CHECK_THROWS_AS(endpoint(nullptr, 16), std::invalid_argument);
    const sa_family_t unnamed = AF_UNIX;   // as getpeername gives it
    const endpoint nameless(reinterpret_cast<const sockaddr*>(&unnamed), sizeof unnamed);
    CHECK(nameless.to_string() == "unix:");
    CHECK(nameless.host().empty());
}
