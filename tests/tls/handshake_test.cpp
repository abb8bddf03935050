#include "fixture.hpp"

#include "io/server_fixture.hpp"

using namespace tls_test;
using weft::tls_context;
using weft::tls_version;

TEST_CASE("handshake: both sides tell what was negotiated") {
    const leak_check leaks;
    weft::run([] {
        tls_pair pair;
        const weft::tls_info client = pair.client.get_tls_info(), server = pair.server.get_tls_info();
        CHECK(client.version == "TLSv1.3");
        CHECK(client.cipher.starts_with("TLS_"));
        CHECK(client.cipher == server.cipher);
        CHECK(client.server_name == "localhost");
        CHECK(server.server_name == "localhost");
        CHECK(client.alpn_protocol.empty());
        CHECK_FALSE(client.resumed);
        REQUIRE(client.peer);
        CHECK(client.peer->subject == "CN=weft test server");
        CHECK(client.peer->names == std::vector<std::string>{"localhost", "127.0.0.1", "::1"});
        CHECK(client.peer->sha256.size() == 64);
        CHECK(client.peer->serial_number.size() == 10);
        CHECK(client.peer->pem == localhost().certificate.text);
        CHECK(client.peer->not_before < std::chrono::system_clock::now());
        CHECK(client.peer->not_after > std::chrono::system_clock::now() + 24h * 29);
        CHECK_FALSE(server.peer);
    });
}

TEST_CASE("handshake: a certificate that outlasts the clock is told to last as long as that") {
    const leak_check leaks;
    weft::run([] {
        const auto made = root().issue({.valid_to_days = 400 * 365});   // the clock counts nanoseconds, up to 2262
        tls_pair pair(client_context(), weft::tls_context::server(made.certificate, made.key));
        const weft::tls_info info = pair.client.get_tls_info();
        REQUIRE(info.peer);
        CHECK(info.peer->not_after == std::chrono::system_clock::time_point::max());
    });
}

TEST_CASE("handshake: an address is verified, but not sent as a server's name") {
    const leak_check leaks;
    weft::run([] {
        tls_pair pair(client_context(), server_context(), unix_pair(), "127.0.0.1");
        CHECK(pair.server.get_tls_info().server_name.empty());
    });
}

TEST_CASE("handshake: the server's first protocol that the client offers is chosen") {
    const leak_check leaks;
    weft::run([] {
        tls_context client = client_context(), server = server_context();
        client.set_alpn_protocols({"http/1.1", "h2"});
        tls_pair none(client, server);
        CHECK(none.client.get_tls_info().alpn_protocol.empty());
        server.set_alpn_protocols({"h3", "h2", "http/1.1"});
        tls_pair both(client, server);
        CHECK(both.client.get_tls_info().alpn_protocol == "h2");
        CHECK(both.server.get_tls_info().alpn_protocol == "h2");
        tls_pair silent(client_context(), server);
        CHECK(silent.server.get_tls_info().alpn_protocol.empty());
        client.set_alpn_protocols({"smtp"});
        const auto ended = shake(client, server);
        CHECK(ended.server == tls_errc::no_common_parameters);
        CHECK(ended.client == tls_errc::refused_by_peer);
        CHECK(ended.client.says("no application protocol"));
    });
}

TEST_CASE("handshake: the version is the newest that both allow, and not below 1.2") {
    const leak_check leaks;
    weft::run([] {
        tls_context old = client_context();
        old.set_maximum_version(tls_version::tls_1_2);
        tls_pair pair(old, server_context());
        CHECK(pair.client.get_tls_info().version == "TLSv1.2");
        pair.client.write("over 1.2\n");
        CHECK(pair.server.read_line() == "over 1.2\n");

        tls_context modern = server_context();
        modern.set_minimum_version(tls_version::tls_1_3);
        const auto ended = shake(old, modern);
        CHECK(ended.server == tls_errc::no_common_parameters);
        CHECK(ended.client == tls_errc::refused_by_peer);

        tls_context one = server_context();
        one.set_maximum_version(tls_version::tls_1_2);
        one.set_ciphers("ECDHE-ECDSA-CHACHA20-POLY1305");
        tls_pair chosen(client_context(), one);
        CHECK(chosen.client.get_tls_info().cipher == "ECDHE-ECDSA-CHACHA20-POLY1305");
        old.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256");
        CHECK(shake(old, one).server == tls_errc::no_common_parameters);
    });
}

TEST_CASE("handshake: a server shows the certificate of the host that is asked for") {
    const leak_check leaks;
    weft::run([] {
        tls_context server = server_context();
        const signed_certificate a = root().issue({.common_name = "a", .names = {"DNS:a.example"}});
        const signed_certificate any = root().issue({.common_name = "any", .names = {"DNS:*.sub.example"}});
        server.add_host("A.example", a.certificate, a.key);
        server.add_host("*.sub.example", any.certificate, any.key);
        const auto shown = [&](const std::string& name) {
            tls_pair pair(client_context(), server, unix_pair(), name);
            return pair.client.get_tls_info().peer->subject;
        };
        CHECK(shown("a.example") == "CN=a");
        CHECK(shown("a.EXAMPLE.") == "CN=a");
        CHECK(shown("b.sub.example") == "CN=any");
        CHECK(shown("localhost") == "CN=weft test server");
        CHECK(shown("127.0.0.1") == "CN=weft test server");
        CHECK(shake(client_context(), server, "c.b.sub.example").client == tls_errc::host_mismatch);
    });
}

TEST_CASE("handshake: what is not TLS is an error on either side") {
    const leak_check leaks;
    weft::run([] {
        for (const char* rubbish : {"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\xff\xff\xff\xff\xff", "SSH-2.0-OpenSSH_9.2\r\n"}) {
            INFO(rubbish);
            tls_context client = client_context(), server = server_context();
            auto [near, far] = unix_pair();
            weft::stream ours(std::move(near)), theirs(std::move(far));
            theirs.write(rubbish);
            CHECK(failure_of([&] { ours.start_tls(server); }) == tls_errc::protocol_error);
            CHECK(error_of([&] { ours.read(); }) == EBADF);   // it is closed

            auto [near2, far2] = unix_pair();
            weft::stream ours2(std::move(near2)), theirs2(std::move(far2));
            theirs2.write(rubbish);
            CHECK(failure_of([&] { ours2.start_tls(client, "localhost"); }) == tls_errc::protocol_error);
        }
    });
}

TEST_CASE("handshake: a connection that ends in it is an error that says so") {
    const leak_check leaks;
    weft::run([] {
        tls_context client = client_context();
        auto [near, far] = unix_pair();
        weft::stream ours(std::move(near)), theirs(std::move(far));
        auto peer = start([&] {
            theirs.read(10);
            theirs.close();
        });
        const failure f = failure_of([&] { ours.start_tls(client, "localhost"); });
        // The peer closed with unread bytes: a Unix socket calls that a reset.
        CHECK((f == tls_errc::truncated || f.code == std::errc::connection_reset));

        auto [near2, far2] = unix_pair();
        weft::stream ours2(std::move(near2)), theirs2(std::move(far2));
        theirs2.write_eof();
        const failure ended = failure_of([&] { ours2.start_tls(client, "localhost"); });
        CHECK(ended == tls_errc::truncated);
        CHECK(ended.says("in the handshake"));
        peer.get();
    });
}

TEST_CASE("handshake: it ends when its time is over, with an error that names the peer") {
    const leak_check leaks;
    virtual_clock clock;
    weft::run([] {
        for (weft::tls_context tls : {client_context(), server_context()}) {
            tls.set_handshake_timeout(5s);
            auto [near, far] = unix_pair();
            weft::stream ours(std::move(near)), silent(std::move(far));
            const auto before = weft::detail::now();
            const std::string text = message_of<weft::timeout_error>([&] { ours.start_tls(tls, "localhost"); });
            CHECK(text.find("(localhost): the TLS handshake was not done within 5") != text.npos);
            CHECK(weft::detail::now() - before == 5s);
            CHECK(error_of([&] { ours.write("x"); }) == EBADF);
        }
    });
}

TEST_CASE("handshake: a timeout around it stays that timeout") {
    const leak_check leaks;
    virtual_clock clock;
    weft::run([] {
        weft::tls_context tls = client_context();
        auto [near, far] = unix_pair();
        weft::stream ours(std::move(near)), silent(std::move(far));
        CHECK_FALSE(weft::move_on_after(3s, [&] { ours.start_tls(tls, "localhost"); }));
        CHECK(error_of([&] { ours.write("x"); }) == EBADF);
    });
}

TEST_CASE("handshake: bytes that come one at a time make the same connection") {
    const leak_check leaks;
    weft::run([] {
        auto [near, far] = unix_pair();
        auto hooks = std::make_shared<below_hooks>();
        hooks->most = 1;
        weft::stream client = hooked(std::move(near), hooks), server = hooked(std::move(far), hooks);
        tls_context client_tls = client_context(), server_tls = server_context();
        const std::string text = long_text(20000);
        auto writer = start([&] {
            server.start_tls(server_tls);
            server.write(text);
            server.write_eof();
        });
        client.start_tls(client_tls, "localhost");
        CHECK(client.read() == text);
        writer.get();
    });
}

TEST_CASE("handshake: cancelled at every step, it throws, the stream is closed, and the peer gets an error") {
    const leak_check leaks;
    for (const bool cut_client : {true, false}) {
        for (const std::size_t most : {std::size_t{400}, std::size_t{64 * 1024}}) {
            bool cut = true;
            for (int at = 1; cut; ++at) {
                REQUIRE(at < 200);
                INFO("client " << cut_client << ", step " << at << ", " << most << " bytes");
                cut = false;
                weft::run([&] {
                    auto [near, far] = unix_pair();
                    auto cutting = std::make_shared<below_hooks>(), plain = std::make_shared<below_hooks>();
                    cutting->most = plain->most = most;
                    tls_context client_tls = client_context(), server_tls = server_context();
                    weft::stream client = hooked(std::move(near), cut_client ? cutting : plain);
                    weft::stream server = hooked(std::move(far), cut_client ? plain : cutting);
                    cutting->before = [&cut, count = 0, at]() mutable {
                        if (++count != at) return;
                        cut = true;
                        weft::current_task().cancel("cut");
                    };
                    auto one = start([&] { client.start_tls(client_tls, "localhost"); client.read(1); });
                    auto two = start([&] { server.start_tls(server_tls); server.write("x"); });
                    weft::stream& hit = cut_client ? client : server;
                    weft::stream& other = cut_client ? server : client;
                    auto& hit_task = cut_client ? one : two;
                    auto& other_task = cut_client ? two : one;
                    hit_task.join();
                    CHECK(hit_task.cancelled() == cut);
                    hit.close();   // where the handshake was done already
                    other_task.join();
                    other.close();
                    static_cast<void>(other_task.exception());
                    while (weft::all_tasks().size() > 1) weft::yield_now();   // a client that had no tickets yet hears the end
                });
            }
        }
    }
}

TEST_CASE("handshake: open_connection and start_server begin with it") {
    const leak_check leaks;
    weft::run([] {
        tls_context client = client_context(), server_tls = server_context();
        weft::server server = weft::start_server(echo, "127.0.0.1", 0, {.tls = &server_tls});
        const auto where = server.endpoints().front();
        {
            weft::stream s = weft::open_connection("127.0.0.1", where.port(), {.tls = &client});
            CHECK(ask(s, "over tls") == "over tls\n");
            CHECK(s.get_tls_info().version == "TLSv1.3");
            CHECK(s.remote_endpoint() == where);
            CHECK(s.get_socket().is_open());
        }
        const failure f = failure_of(
            [&] { weft::open_connection("127.0.0.1", where.port(), {.tls = &client, .server_name = "other.example"}); });
        CHECK(f == tls_errc::host_mismatch);
        CHECK(f.says("open_connection 127.0.0.1:" + std::to_string(where.port()) + " (other.example): certificate of"));
        finish(server);
    });
}

TEST_CASE("handshake: over a Unix socket the server's name must be given") {
    const leak_check leaks;
    weft::run([] {
        tls_context client = client_context(), server_tls = server_context();
        const temporary_folder folder;
        weft::server server = weft::start_unix_server(echo, folder / "s", {.tls = &server_tls});
        {
            weft::stream s = weft::open_unix_connection(folder / "s", {.tls = &client, .server_name = "localhost"});
            CHECK(ask(s, "over tls") == "over tls\n");
        }
        const std::string text =
            message_of<std::invalid_argument>([&] { weft::open_unix_connection(folder / "s", {.tls = &client}); });
        CHECK(text.find("open_unix_connection: server_name") == 0);
        finish(server);
    });
}

TEST_CASE("handshake: contexts of the wrong side are refused before anything happens") {
    const leak_check leaks;
    weft::run([] {
        tls_context client = client_context(), server = server_context();
        CHECK(message_of<std::invalid_argument>([&] { weft::open_connection("127.0.0.1", 1, {.tls = &server}); })
                  .find("open_connection: tls: this is a server's context") == 0);
        CHECK(message_of<std::invalid_argument>([&] { weft::start_server(echo, "127.0.0.1", 0, {.tls = &client}); })
                  .find("start_server: tls: this is a client's context") == 0);
        auto [near, far] = unix_pair();
        weft::stream ours(std::move(near)), theirs(std::move(far));
        CHECK_THROWS_AS(ours.start_tls(client), std::invalid_argument);
        CHECK_THROWS_AS(ours.start_tls(client, std::string("a\0b", 3)), std::invalid_argument);
        // Of these nothing would be left to compare, or anything below would do.
        for (const char* name : {".", "%eth0", ".%eth0", ".example.org", ".."})
            CHECK(message_of<std::invalid_argument>([&] { ours.start_tls(client, name); })
                      .find("stream::start_tls: server_name: it is not the name of a host") == 0);
        CHECK_THROWS_AS(ours.get_tls_info(), weft::invalid_state);
        ours.write("still plain\n");
        CHECK(theirs.read_line() == "still plain\n");
    });
}

TEST_CASE("handshake: a client that does not speak TLS is no news to a server, but in debug mode") {
    const leak_check leaks;
    weft::run([] {
        reports said;
        tls_context tls = server_context();
        int handled = 0;
        weft::server server = weft::start_server([&](weft::stream) { ++handled; }, "127.0.0.1", 0, {.tls = &tls});
        const auto knock = [&] {
            weft::stream s = connect_to(server);
            s.write("hello?\r\n");
            try {
                s.read();   // an alert, then the end
            } catch (const std::system_error&) {}
        };
        knock();
        server.close_clients();
        CHECK(said.messages.empty());
        weft::get_running_loop().set_debug(true);
        knock();
        finish(server);
        weft::get_running_loop().set_debug(false);
        REQUIRE(said.messages.size() == 1);
        CHECK(said.messages.front().find("server::accept 127.0.0.1:") != std::string::npos);
        CHECK(handled == 0);
    });
}
