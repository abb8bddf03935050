#include <catch2/catch.hpp>

#include "dns/name.hpp"

using namespace weft::dns_layer;

TEST_CASE("name: its canonical form is lower case, without the last dot") {
    const domain_name name = check_host_name("call", "WWW.Example_1.test.");
    CHECK(name.text == "www.example_1.test");
    CHECK(name.absolute);
    CHECK_FALSE(check_host_name("call", "a").absolute);
}

TEST_CASE("name: queries allow what hosts do not") {
    for (const char* name : {"*.test", "0/25.2.0.192.in-addr.arpa", "-x.test", "a+b.test", "1"}) {
        CAPTURE(name);
        CHECK_NOTHROW(check_query_name("call", name));
        CHECK_THROWS_AS(check_host_name("call", name), std::invalid_argument);
    }
}

TEST_CASE("name: 63 characters a label and 253 a name are the limits") {
    const std::string label(63, 'a');
    CHECK_NOTHROW(check_host_name("call", label));
    CHECK_THROWS_AS(check_host_name("call", label + "a"), std::invalid_argument);
    const std::string longest = label + '.' + label + '.' + label + '.' + std::string(61, 'b');
    CHECK(longest.size() == 253);
    CHECK_NOTHROW(check_host_name("call", longest));
    CHECK_NOTHROW(check_host_name("call", longest + "."));
    CHECK_THROWS_AS(check_host_name("call", longest + "b"), std::invalid_argument);
}

TEST_CASE("name: localhost and what is below it") {
    CHECK(is_localhost("localhost"));
    CHECK(is_localhost("a.localhost"));
    CHECK_FALSE(is_localhost("notlocalhost"));
    CHECK_FALSE(is_localhost("localhost.test"));
}
