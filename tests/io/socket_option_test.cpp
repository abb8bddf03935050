#include <cerrno>

#include <weft/socket_option.hpp>

#include "fixture.hpp"

using namespace io_test;
namespace options = weft::socket_options;

TEST_CASE("socket option: it has the type of its value, both ways") {
    leak_check leaks;
    weft::socket s(AF_INET, SOCK_STREAM);
    for (const auto option : {options::reuse_address, options::reuse_port, options::keep_alive, options::no_delay, options::cork}) {
        for (const bool value : {true, false}) {
            s.set_option(option, value);
            CHECK(s.get_option(option) == value);
        }
    }
    s.set_option(options::keep_alive_idle, 77s);
    CHECK(s.get_option(options::keep_alive_idle) == 77s);
    s.set_option(options::keep_alive_count, 3);
    CHECK(s.get_option(options::keep_alive_count) == 3);
    s.set_option(options::receive_buffer, 10000);
    CHECK(s.get_option(options::receive_buffer) == 20000);
    CHECK(s.get_option(options::type) == SOCK_STREAM);
    CHECK(s.get_option(options::error) == 0);

    CHECK(s.get_option(options::linger) == std::nullopt);
    s.set_option(options::linger, 5s);
    CHECK(s.get_option(options::linger) == 5s);
    s.set_option(options::linger, std::nullopt);
    CHECK(s.get_option(options::linger) == std::nullopt);

    weft::socket six(AF_INET6, SOCK_DGRAM);
    six.set_option(options::v6_only, true);
    CHECK(six.get_option(options::v6_only));
}

TEST_CASE("socket option: one that is not named may be made, of any plain type") {
    leak_check leaks;
    constexpr weft::socket_option<timeval> receive_timeout{SOL_SOCKET, SO_RCVTIMEO};
    weft::socket s(AF_INET, SOCK_DGRAM);
    s.set_option(receive_timeout, {3, 0});
    CHECK(s.get_option(receive_timeout).tv_sec == 3);
    auto [a, b] = unix_pair();
    CHECK(a.get_option(options::peer_credentials).pid == ::getpid());
}

TEST_CASE("socket option: a linger of no time resets the connection") {
    leak_check leaks;
    weft::run([] {
        auto [a, b] = tcp_pair();
        a.set_option(options::linger, 0s);
        a.close();
        CHECK(error_of([&b = b] { receive(b); }) == ECONNRESET);
    });
}

TEST_CASE("socket option: a failure names the option and the socket") {
    leak_check leaks;
    auto [a, b] = unix_pair();
    CHECK_FALSE(message_of<std::system_error>([&a = a] { a.set_option(options::no_delay, true); }).empty());
    CHECK(error_of([&a = a] { a.get_option(weft::socket_option<int>{SOL_SOCKET, 9999}); }) == ENOPROTOOPT);
    a.close();
    CHECK(error_of([&a = a] { a.get_option(options::type); }) == EBADF);
    CHECK(error_of([&a = a] { a.set_option(options::keep_alive, true); }) == EBADF);
}
