#include "dns/resolv_conf.hpp"

#include "fixture.hpp"

using namespace dns_test;
using weft::dns_layer::resolv_conf;

namespace {

resolv_conf read(const std::string& text) {
    const temporary_file file(text);
    return resolv_conf::read(file.path());
}

}  // namespace

TEST_CASE("resolv.conf: its options are read, the last one of a name counts") {
    const auto found = read("# options rotate\n"
                            "nameserver 127.0.0.1\n"
                            "options timeout:7 attempts:4\n"
                            "\toptions  rotate\tuse-vc edns0\r\n"
                            "options timeout:3 # attempts:1\n");
    CHECK(found.servers == strings{"127.0.0.1"});
    CHECK(found.timeout == 3s);
    CHECK(found.tries == 4);
    CHECK(found.rotate);
    CHECK(found.tcp_only);
}

TEST_CASE("resolv.conf: what is not there, not known, or no number is passed over; bounds are the C library's") {
    for (const char* text : {"", "options", "option rotate", "optionsrotate", "options timeout: attempts:x timeout:-1 attempts:2x",
                             "search options rotate", "options ; rotate"}) {
        INFO(text);
        const auto found = read(text);
        CHECK_FALSE(found.timeout);
        CHECK_FALSE(found.tries);
        CHECK_FALSE(found.rotate);
        CHECK_FALSE(found.tcp_only);
    }
    CHECK(read("options timeout:0 attempts:0").timeout == 1s);
    CHECK(read("options timeout:0 attempts:0").tries == 1);
    CHECK(read("options timeout:99999999999999 attempts:6").timeout == 30s);
    CHECK(read("options timeout:99999999999999 attempts:6").tries == 5);
    CHECK_FALSE(resolv_conf::read("/no/such/file").timeout);
    CHECK_FALSE(resolv_conf::read("").timeout);
}

TEST_CASE_METHOD(dns_fixture, "resolv.conf: its servers are asked, others when it has changed") {
    dns_server second;
    server.on_anything([](reply& r) { r.a("192.0.2.1", 0); });
    second.on_anything([](reply& r) { r.a("192.0.2.2", 0); });
    temporary_file configuration("nameserver " + server.address() + "\n");
    weft::run([&] {
        weft::resolver r({.hosts_file = hosts.path(), .resolv_conf = configuration.path()});
        CHECK(r.query_a("x.test").front().address == "192.0.2.1");
        configuration.write("nameserver " + second.address() + "\n# longer\n");
        CHECK(r.query_a("x.test").front().address == "192.0.2.2");
    });
}

TEST_CASE_METHOD(dns_fixture, "resolv.conf: rotate takes its servers in turn, use-vc asks them by TCP") {
    dns_server second;
    std::atomic<int> by_tcp = 0;
    const auto answer = [&](reply& r) {
        by_tcp += r.asked().tcp;
        r.a("192.0.2.1", 0);
    };
    server.on_anything(answer);
    second.on_anything(answer);
    const std::string both = "nameserver " + server.address() + "\nnameserver " + second.address() + "\n";
    temporary_file configuration(both);
    weft::run([&] {
        weft::resolver r({.hosts_file = hosts.path(), .resolv_conf = configuration.path()});
        for (int i = 0; i < 4; ++i)
            r.query_a("x.test");
        CHECK(second.count() == 0);
        configuration.write(both + "options rotate\n");
        for (int i = 0; i < 20; ++i)
            r.query_a("x.test");
        CHECK(second.count() > 0);
        CHECK(server.count() > 4);
        CHECK(by_tcp == 0);
        configuration.write(both + "options use-vc and-more\n");
        r.query_a("x.test");
        CHECK(by_tcp == 1);
        // Servers that the program names are asked as the program says.
        weft::resolver own({.servers = {server.address()}, .hosts_file = hosts.path(), .resolv_conf = configuration.path()});
        own.query_a("x.test");
        CHECK(by_tcp == 1);
    });
}

TEST_CASE_METHOD(dns_fixture, "resolv.conf: its timeout and attempts hold for its servers, unless the program has its own", "[slow]") {
    server.on_anything([](reply& r) { r.drop(); });
    const temporary_file configuration("nameserver " + server.address() + "\noptions timeout:1 attempts:1\n");
    weft::run([&] {
        weft::resolver r({.hosts_file = hosts.path(), .resolv_conf = configuration.path()});
        const auto began = std::chrono::steady_clock::now();
        CHECK(error_of([&] { r.query_a("x.test"); }) == dns_errc::timeout);
        CHECK(std::chrono::steady_clock::now() - began >= 1s);
        CHECK(server.count() == 1);
        weft::resolver own({.timeout = 20ms, .tries = 2, .hosts_file = hosts.path(), .resolv_conf = configuration.path()});
        CHECK(error_of([&] { own.query_a("x.test"); }) == dns_errc::timeout);
        CHECK(server.count() == 3);
    });
}
