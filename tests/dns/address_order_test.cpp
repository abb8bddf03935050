// RFC 6724, section 10.2: its examples of destination selection, as far as rules 3, 4 and 7 are not needed.

#include <catch2/catch.hpp>

#include <string>

#include "dns/address_order.hpp"

using namespace weft::dns_layer;

namespace {

/// {destination, source} or {destination, ""} for one that cannot be reached.
std::vector<std::string> sorted(std::vector<std::pair<const char*, const char*>> pairs) {
    std::vector<destination> destinations;
    for (const auto& [to, from] : pairs)
        destinations.push_back({*parse_address(to), parse_address(from)});
    sort_destinations(destinations);
    std::vector<std::string> result;
    for (const destination& d : destinations)
        result.push_back(to_text(d.address));
    return result;
}

using strings = std::vector<std::string>;

}  // namespace

TEST_CASE("address order: what cannot be reached comes last") {
    CHECK(sorted({{"2001:db8::1", ""}, {"198.51.100.1", "198.51.100.2"}}) ==
          strings{"198.51.100.1", "2001:db8::1"});
}

TEST_CASE("address order: a source of the destination's scope is better") {
    CHECK(sorted({{"198.51.100.121", "169.254.13.78"}, {"2001:db8:1::1", "2001:db8:1::2"}}) ==
          strings{"2001:db8:1::1", "198.51.100.121"});
    CHECK(sorted({{"2001:db8:1::1", "fe80::1"}, {"198.51.100.121", "198.51.100.117"}}) ==
          strings{"198.51.100.121", "2001:db8:1::1"});
}

TEST_CASE("address order: a source of the destination's label is better") {
    CHECK(sorted({{"2001:db8:1::1", "2002:c633:6401::2"}, {"2002:c633:6401::1", "2002:c633:6401::2"}}) ==
          strings{"2002:c633:6401::1", "2001:db8:1::1"});
}

TEST_CASE("address order: the policy table prefers IPv6, loopback first") {
    CHECK(sorted({{"10.1.2.3", "10.1.2.4"}, {"2001:db8:1::1", "2001:db8:1::2"}}) ==
          strings{"2001:db8:1::1", "10.1.2.3"});
    CHECK(sorted({{"127.0.0.1", "127.0.0.1"}, {"::1", "::1"}}) == strings{"::1", "127.0.0.1"});
    CHECK(sorted({{"fd00::1", "fd00::2"}, {"198.51.100.1", "198.51.100.2"}}) ==
          strings{"198.51.100.1", "fd00::1"});
}

TEST_CASE("address order: the smaller scope is better") {
    CHECK(sorted({{"2001:db8:1::1", "2001:db8:1::2"}, {"fe80::1", "fe80::2"}}) ==
          strings{"fe80::1", "2001:db8:1::1"});
}

TEST_CASE("address order: the longer common prefix is better, for IPv6") {
    CHECK(sorted({{"2001:db8:3ffe::1", "2001:db8:3f44::2"}, {"2001:db8:1::1", "2001:db8:1::2"}}) ==
          strings{"2001:db8:1::1", "2001:db8:3ffe::1"});
    CHECK(sorted({{"2001:db8::1:1", "2001:db8::2:1"}, {"2001:db8::2:2", "2001:db8::2:1"}}) ==
          strings{"2001:db8::1:1", "2001:db8::2:2"});  // hosts
}

TEST_CASE("address order: IPv4 addresses stay as the server sent them") {
    CHECK(sorted({{"203.0.113.1", "198.51.100.2"}, {"198.51.100.1", "198.51.100.2"}}) ==
          strings{"203.0.113.1", "198.51.100.1"});
}

TEST_CASE("address order: loopback has a source on every machine") {
    std::vector<ip_address> addresses{*parse_address("127.0.0.2"), *parse_address("127.0.0.1")};
    source_finder finder;
    sort_addresses(addresses, finder);
    CHECK(addresses.size() == 2);
    CHECK(to_text(addresses[0]) == "127.0.0.2");
}

TEST_CASE("address order: what was asked before does not change a source") {
    source_finder kept;
    const char* const destinations[] = {"127.0.0.1", "::1", "127.0.0.2", "10.1.2.3", "2001:db8::1", "fe80::1%lo", "::1",
                                        "255.255.255.255", "::ffff:127.0.0.1", "127.0.0.1", "fd00::1", "::1"};
    for (const char* const text : destinations) {
        INFO(text);
        const ip_address to = *parse_address(text);
        source_finder fresh;
        const auto expected = fresh.source_for(to);
        CHECK(kept.source_for(to) == expected);
        if (expected)
            CHECK(expected->family == to.family);
    }
    CHECK(kept.source_for(*parse_address("127.0.0.1")) == parse_address("127.0.0.1"));
}
