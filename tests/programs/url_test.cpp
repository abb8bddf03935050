// The URLs of examples/fetch: what they mean, and what is said of those that mean nothing.

#include "url.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <utility>
#include <vector>

namespace {

std::string error_of(const std::string& text) {
    try {
        fetch::parse_url(text);
    } catch (const fetch::url_error& error) {
        return error.what();
    }
    return "none";
}

}  // namespace

TEST_CASE("url: is taken apart into what a connection and a request need") {
    const fetch::url plain = fetch::parse_url("HTTP://Example.COM/a/b?c=d#e");
    CHECK(plain.scheme == "http");
    CHECK(plain.host == "example.com");
    CHECK(plain.port == 80);
    CHECK(plain.target == "/a/b?c=d");
    CHECK(plain.authority() == "example.com");

    const fetch::url bare = fetch::parse_url("http://h:8080?q");
    CHECK(bare.target == "/?q");
    CHECK(bare.authority() == "h:8080");

    const fetch::url six = fetch::parse_url("http://[::1]:81");
    CHECK(six.host == "::1");
    CHECK(six.to_string() == "http://[::1]:81/");

    CHECK(fetch::parse_url("https://h/").port == 443);
    CHECK(fetch::parse_url("http://h:/").port == 80);
    CHECK(fetch::parse_url("http://h:65535/").port == 65535);
    CHECK(fetch::parse_url("http://a_b.c-d.example./").host == "a_b.c-d.example.");
}

TEST_CASE("url: an error says what is wrong and with which value") {
    const auto [text, expected] = GENERATE(table<std::string, std::string>({
        {"", "'' is not an absolute URL (http://HOST/...)"},
        {"example.com", "'example.com' is not an absolute URL (http://HOST/...)"},
        {"ftp://h/", "unknown scheme 'ftp' in 'ftp://h/'"},
        {"http://", "the host name is missing in 'http://'"},
        {"http:///x", "the host name is missing in 'http:///x'"},
        {"http://:80/", "the host name is missing in 'http://:80/'"},
        {"http://h:0/", "port 0 is out of range (1 to 65535) in 'http://h:0/'"},
        {"http://h:65536/", "port 65536 is out of range (1 to 65535) in 'http://h:65536/'"},
        {"http://h:99999999999999999999/", "port 99999999999999999999 is out of range (1 to 65535) in "
                                           "'http://h:99999999999999999999/'"},
        {"http://h:8o/", "port '8o' is not a number in 'http://h:8o/'"},
        {"http://h:-1/", "port '-1' is not a number in 'http://h:-1/'"},
        {"http://a!b/", "illegal character '!' in host name 'a!b' in 'http://a!b/'"},
        {"http://a%20b/", "illegal character '%' in host name 'a%20b' in 'http://a%20b/'"},
        {"http://a..b/", "host name 'a..b' has an empty part in 'http://a..b/'"},
        {"http://.a/", "host name '.a' has an empty part in 'http://.a/'"},
        {"http://-a/", "host name '-a' has a part that begins or ends with '-' in 'http://-a/'"},
        {"http://1.2.3.999/", "'1.2.3.999' is not an IPv4 address in 'http://1.2.3.999/'"},
        {"http://[::g]/", "'::g' is not an IPv6 address in 'http://[::g]/'"},
        {"http://[::1/", "']' is missing in 'http://[::1/'"},
        {"http://[::1]x/", "only a port may follow the ']' in 'http://[::1]x/'"},
        {"http://me:secret@h/", "user names are not supported: 'http://me:secret@h/'"},
        {"http://h/a b", "illegal character ' ' in 'http://h/a b'"},
        {"http://h/\x1b[2J", "illegal character '\\x1B' in 'http://h/\\x1B[2J'"},
        {"http://h/\xc3\xa9", "illegal character '\\xC3' in 'http://h/\\xC3\\xA9'"},
    }));
    CHECK(error_of(text) == expected);
}

TEST_CASE("url: a host name and its parts are no longer than DNS allows") {
    const std::string part(63, 'a');
    CHECK(error_of("http://" + part + "/") == "none");
    CHECK(error_of("http://" + part + "a/").find("longer than 63 characters") != std::string::npos);
    const std::string longest = part + "." + part + "." + part + "." + std::string(61, 'a');
    CHECK(error_of("http://" + longest + "/") == "none");
    CHECK(error_of("http://" + longest + "a/").find("longer than 253 characters") != std::string::npos);
}

// The examples of RFC 3986, 5.4, but for those that need a scheme other than http.
TEST_CASE("url: a relative reference is resolved as RFC 3986 says") {
    const fetch::url base = fetch::parse_url("http://a/b/c/d;p?q");
    const auto [reference, expected] = GENERATE(table<std::string, std::string>({
        {"g", "http://a/b/c/g"},
        {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},
        {"/g", "http://a/g"},
        {"//g", "http://g/"},
        {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},
        {"#s", "http://a/b/c/d;p?q"},
        {"g#s", "http://a/b/c/g"},
        {"g?y#s", "http://a/b/c/g?y"},
        {";x", "http://a/b/c/;x"},
        {"g;x?y#s", "http://a/b/c/g;x?y"},
        {"", "http://a/b/c/d;p?q"},
        {".", "http://a/b/c/"},
        {"./", "http://a/b/c/"},
        {"..", "http://a/b/"},
        {"../", "http://a/b/"},
        {"../g", "http://a/b/g"},
        {"../..", "http://a/"},
        {"../../g", "http://a/g"},
        {"../../../g", "http://a/g"},
        {"/./g", "http://a/g"},
        {"/../g", "http://a/g"},
        {"g.", "http://a/b/c/g."},
        {"..g", "http://a/b/c/..g"},
        {"./../g", "http://a/b/g"},
        {"./g/.", "http://a/b/c/g/"},
        {"g/./h", "http://a/b/c/g/h"},
        {"g/../h", "http://a/b/c/h"},
        {"g;x=1/../y", "http://a/b/c/y"},
        {"g?y/../x", "http://a/b/c/g?y/../x"},
        {"g#s/../x", "http://a/b/c/g"},
        {"http://z:8/w", "http://z:8/w"},
        {"https://z", "https://z/"},
    }));
    CHECK(fetch::resolve(base, reference).to_string() == expected);
}

TEST_CASE("url: a relative reference keeps the port, and a bad one is an error") {
    CHECK(fetch::resolve(fetch::parse_url("http://[::1]:81/x"), "y").to_string() == "http://[::1]:81/y");
    const fetch::url base = fetch::parse_url("http://a/");
    CHECK_THROWS_AS(fetch::resolve(base, "mailto:me"), fetch::url_error);
    CHECK_THROWS_AS(fetch::resolve(base, "//b:0/"), fetch::url_error);
    CHECK_THROWS_AS(fetch::resolve(base, "a b"), fetch::url_error);
}
