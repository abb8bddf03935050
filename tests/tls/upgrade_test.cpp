#include "fixture.hpp"

using namespace tls_test;

TEST_CASE("upgrade: a plain conversation goes on in TLS, both ways, as SMTP does it") {
    const leak_check leaks;
    weft::run([] {
        auto [near, far] = unix_pair();
        weft::stream client(std::move(near)), server(std::move(far));
        weft::tls_context client_tls = client_context(), server_tls = server_context();
        weft::gather(
            [&] {
                server.write("220 ready\r\n");
                CHECK(server.read_line() == "STARTTLS\r\n");
                server.write("220 go ahead\r\n");
                server.start_tls(server_tls);
                CHECK(server.read_line() == "QUIT\r\n");
                server.write("221 bye\r\n");
                server.close();
            },
            [&] {
                CHECK(client.read_line() == "220 ready\r\n");
                client.write("STARTTLS\r\n");
                CHECK(client.read_line() == "220 go ahead\r\n");
                client.start_tls(client_tls, "localhost");
                client.write("QUIT\r\n");
                CHECK(client.read() == "221 bye\r\n");
            });
    });
}

TEST_CASE("upgrade: what was read ahead belongs to TLS") {
    const leak_check leaks;
    weft::run([] {
        auto [near, far] = unix_pair();
        weft::stream client(std::move(near)), server(std::move(far));
        weft::tls_context client_tls = client_context(), server_tls = server_context();
        auto one = start([&] {
            client.write("STARTTLS\n");
            client.start_tls(client_tls, "localhost");   // without waiting: the greeting follows at once
            client.write("inside\n");
        });
        turns(3);
        CHECK(server.read_line() == "STARTTLS\n");
        REQUIRE(::recv(server.get_socket().native_handle(), std::string(1, 'x').data(), 1, MSG_DONTWAIT | MSG_PEEK) == -1);
        server.start_tls(server_tls);
        CHECK(server.read_line() == "inside\n");
        one.get();
    });
}

TEST_CASE("upgrade: what somebody put between the plain words is not taken for what comes in TLS") {
    const leak_check leaks;
    weft::run([] {
        auto [near, far] = unix_pair();
        weft::stream client(std::move(near)), server(std::move(far));
        weft::tls_context client_tls = client_context(), server_tls = server_context();
        auto one = start([&] {
            client.write("STARTTLS\nDELETE everything\n");
            CHECK_THROWS_AS(client.start_tls(client_tls, "localhost"), std::system_error);
        });
        CHECK(server.read_line() == "STARTTLS\n");
        CHECK(failure_of([&] { server.start_tls(server_tls); }) == tls_errc::protocol_error);
        CHECK(error_of([&] { server.read_line(); }) == EBADF);
        one.get();
    });
}

TEST_CASE("upgrade: TLS goes through TLS") {
    const leak_check leaks;
    weft::run([] {
        tls_pair pair;
        weft::tls_context client_tls = client_context(), server_tls = server_context();
        start_both(pair.client, client_tls, pair.server, server_tls);
        const std::string text = long_text(100'000);
        auto writer = start([&] { pair.client.write(text); pair.client.close(); });
        CHECK((pair.server.read() == text));
        writer.get();
    });
}

TEST_CASE("upgrade: after write_eof there is none") {
    const leak_check leaks;
    weft::run([] {
        auto [near, far] = unix_pair();
        weft::stream client(std::move(near)), server(std::move(far));
        weft::tls_context tls = client_context();
        client.write_eof();
        CHECK_THROWS_AS(client.start_tls(tls, "localhost"), weft::invalid_state);
        CHECK(server.read().empty());
    });
}
