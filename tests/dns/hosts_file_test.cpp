#include "fixture.hpp"

#include "dns/hosts_file.hpp"

using namespace dns_test;
using weft::dns_layer::hosts_table;
using weft::dns_layer::parse_address;

TEST_CASE("hosts file: names, aliases, comments, and several lines for one name") {
    temporary_file file("# nothing\n"
                        "\t192.0.2.1\tOne.test one # the first\n"
                        "\n"
                        "2001:db8::1 one.test\r\n"
                        "192.0.2.1 one.test again\n"
                        "192.0.2.2\n"
                        "not-an-address one.test\n"
                        "192.0.2.3 bad/name good. #192.0.2.4 no\n"
                        "192.0.2.5 last");  // without a newline
    const hosts_table table(file.path());
    REQUIRE(table.find("one.test"));
    CHECK(table.find("one.test")->addresses ==
          std::vector{*parse_address("192.0.2.1"), *parse_address("2001:db8::1")});
    CHECK(table.find("one")->canonical_name == "one.test");
    CHECK(table.find("good")->addresses.size() == 1);
    CHECK(table.find("last"));
    CHECK_FALSE(table.find("no"));
    CHECK_FALSE(table.find("bad/name"));
    CHECK(*table.name_of(*parse_address("192.0.2.1")) == "one.test");
    CHECK_FALSE(table.name_of(*parse_address("192.0.2.2")));
}

TEST_CASE("hosts file: one that is missing is empty") {
    const hosts_table missing("/nonexistent/hosts"), none("");
    CHECK_FALSE(missing.find("localhost"));
    CHECK_FALSE(none.find("localhost"));
    CHECK(missing.stamp() == weft::dns_layer::file_stamp::of("/nonexistent/hosts"));
}

TEST_CASE("hosts file: its stamp tells a new version from the old") {
    temporary_file file("192.0.2.1 a\n");
    const hosts_table table(file.path());
    CHECK(table.stamp() == weft::dns_layer::file_stamp::of(file.path()));
    file.write("192.0.2.1 ab\n");
    CHECK_FALSE(table.stamp() == weft::dns_layer::file_stamp::of(file.path()));
}
