#include <catch2/catch.hpp>
#include <net/if.h>

#include "dns/address.hpp"

using namespace weft::dns_layer;

TEST_CASE("address: full numeric forms are addresses, nothing else is") {
    CHECK(to_text(*parse_address("192.0.2.1")) == "192.0.2.1");
    CHECK(to_text(*parse_address("2001:DB8:0::1")) == "2001:db8::1");
    for (const char* bad : {"", "127.1", "1", "0x7f.0.0.1", "1.2.3.4.5", "256.0.0.1", "::1::", "[::1]",
                            "1.2.3.4%lo", "::1%", "%lo", " ::1"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_address(bad));
    }
    CHECK_FALSE(parse_address(std::string_view("::1\0", 4)));
    CHECK_FALSE(parse_address(std::string(300, ':')));
}

TEST_CASE("address: a zone is an interface's name or number") {
    CHECK(parse_address("fe80::1%lo")->scope == ::if_nametoindex("lo"));
    CHECK(parse_address("fe80::1%7")->scope == 7);
    CHECK_FALSE(parse_address("fe80::1%no-such-interface"));
    CHECK_FALSE(parse_address("fe80::1%7x"));
}

TEST_CASE("address: IPv4 has a mapped form and a reverse name") {
    const ip_address four = *parse_address("192.0.2.1");
    CHECK(to_text(mapped(four)) == "::ffff:192.0.2.1");
    CHECK(unmapped(mapped(four)) == four);
    CHECK(unmapped(*parse_address("::1")) == *parse_address("::1"));
    CHECK(reverse_name(four) == "1.2.0.192.in-addr.arpa");
}

TEST_CASE("address: goes through a sockaddr and comes back") {
    for (const char* text : {"192.0.2.1", "2001:db8::1", "fe80::1%7"}) {
        sockaddr_storage storage;
        const ip_address address = *parse_address(text);
        to_sockaddr(address, 80, storage);
        CHECK(from_sockaddr(reinterpret_cast<const sockaddr&>(storage)) == address);
    }
    sockaddr_storage other{};
    other.ss_family = AF_UNIX;
    CHECK_FALSE(from_sockaddr(reinterpret_cast<const sockaddr&>(other)));
}
