// The command line of examples/fetch.

#include "options.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace {

using arguments = std::vector<std::string_view>;

std::string error_of(const arguments& given) {
    try {
        fetch::parse_options(given);
    } catch (const fetch::usage_error& error) {
        return error.what();
    }
    return "none";
}

}  // namespace

TEST_CASE("options: every option and its value arrive, in both spellings") {
    const fetch::options got = fetch::parse_options(
        {"--concurrency", "7", "--timeout=0.5", "--total-timeout", "1e2", "--max-body", "20k", "--output=out",
         "--dns", "[::1]:5353", "--input", "-", "--cacert", "roots.pem", "--insecure", "http://h/", "--", "http://i/"});
    CHECK(got.concurrency == 7U);
    CHECK(got.timeout == std::chrono::milliseconds(500));
    CHECK(got.total_timeout == std::chrono::seconds(100));
    CHECK(got.max_body == 20'000U);
    CHECK(got.output == "out");
    CHECK(got.dns->host == "::1");
    CHECK(got.dns->port == 5353);
    CHECK(got.input == "-");
    CHECK(got.cacert == "roots.pem");
    CHECK(got.insecure);
    REQUIRE(got.urls.size() == 2);
    CHECK(got.urls[1].host == "i");
    CHECK_FALSE(got.demonstration());
    CHECK(fetch::parse_options({}).demonstration());
    CHECK(fetch::parse_options({"--help", "--nonsense"}).help);
}

TEST_CASE("options: a value that cannot be used is named") {
    const std::string_view option = GENERATE("--concurrency", "--timeout", "--total-timeout", "--max-body",
                                             "--dns", "--input", "--output");
    CHECK(error_of({option}) == std::string(option) + " needs a value");
    CHECK(error_of({option, ""}).find(std::string(option) + ": ''") == 0);
}

TEST_CASE("options: a number is all number and in its range") {
    const std::string_view option = GENERATE("--concurrency", "--timeout", "--total-timeout", "--max-body");
    const std::string value = GENERATE("0", "-1", "x", "1x", " 1", "1e99", "nan", "inf", "-inf", "0x10",
                                       "99999999999999999999999999");
    CHECK(error_of({option, value}).find(std::string(option) + ": '" + value + "' is not a") == 0);
}

TEST_CASE("options: a name server is a host and a port") {
    const auto [value, reason] = GENERATE(table<std::string, std::string>({
        {"127.0.0.1", "is not HOST:PORT"},
        {"::1:53", "is not HOST:PORT"},
        {"127.0.0.1:", "port '' is not a number"},
        {"127.0.0.1:0", "port 0 is out of range (1 to 65535)"},
        {"127.0.0.1:65536", "port 65536 is out of range (1 to 65535)"},
        {"127.0.0.1:dns", "port 'dns' is not a number"},
        {"a b:53", "illegal character ' ' in host name 'a b'"},
        {":53", "the host name is missing"},
        {"[]:53", "illegal character '['"},
        {"[a:b]:53", "illegal character ':'"},
    }));
    const std::string error = error_of({"--dns", value, "http://h/"});
    INFO(error);
    CHECK(error.find("--dns: '" + value + "'") == 0);
    CHECK(error.find(reason) != std::string::npos);
}

TEST_CASE("options: what does not exist or does not fit is an error") {
    CHECK(error_of({"--speed", "9"}) == "unknown option '--speed'");
    CHECK(error_of({"-x"}) == "unknown option '-x'");
    CHECK(error_of({"http://h:99999/"}) == "port 99999 is out of range (1 to 65535) in 'http://h:99999/'");
    CHECK(error_of({"--dns", "127.0.0.1:53"}).find("--dns needs a URL") == 0);
}

TEST_CASE("options: a list of URLs may have comments, blank lines and any line ends") {
    const auto urls =
        fetch::parse_url_list("http://a/\r\n\n  # http://no/\n\t http://b/ \nhttp://c/", "list");
    REQUIRE(urls.size() == 3);
    CHECK(urls[0].to_string() == "http://a/");
    CHECK(urls[1].host == "b");
    CHECK(urls[2].host == "c");
    CHECK(fetch::parse_url_list("", "list").empty());
}

TEST_CASE("options: an error in a list of URLs names the line") {
    try {
        fetch::parse_url_list("http://a/\n\nhttp://b:x/\n", "list");
        FAIL("no error");
    } catch (const fetch::usage_error& error) {
        CHECK(std::string(error.what()) == "list, line 3: port 'x' is not a number in 'http://b:x/'");
    }
}
