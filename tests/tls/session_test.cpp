#include "fixture.hpp"

#include "io/server_fixture.hpp"

using namespace tls_test;
using weft::tls_context;
using weft::tls_version;

namespace {

/// A server that says what it saw of the client, and connections to it.
class counting_server {
public:
    explicit counting_server(tls_context context) : tls(std::move(context)) {
        server = weft::start_server(
            [](weft::stream s) {
                const weft::tls_info info = s.get_tls_info();
                s.read_line();
                s.write(info.peer ? info.peer->subject + '\n' : "nobody\n");
                s.read();
            },
            "127.0.0.1", 0, {.tls = &tls});
    }
    ~counting_server() {
        server.close();
        server.wait_closed();
    }

    weft::tls_info connect(tls_context& client, const std::string& name = "localhost", std::string* whom = nullptr) {
        weft::stream s = weft::open_connection("127.0.0.1", server.endpoints().front().port(),
                                               {.tls = &client, .server_name = name});
        const std::string seen = ask(s, "who am I?");   // tickets come before the answer
        if (whom) *whom = seen;
        const weft::tls_info info = s.get_tls_info();
        s.write_eof();
        s.read();
        return info;
    }

    tls_context tls;
    weft::server server;
};

}  // namespace

TEST_CASE("session: the second connection to a host goes on with the first one's session, and verifies the same") {
    const leak_check leaks;
    weft::run([] {
        counting_server server(server_context());
        for (const auto version : {tls_version::tls_1_2, tls_version::tls_1_3}) {
            tls_context client = client_context();
            client.set_maximum_version(version);
            CHECK_FALSE(server.connect(client).resumed);
            for (int i = 0; i < 5; ++i) {
                const weft::tls_info again = server.connect(client);
                CHECK(again.resumed);
                REQUIRE(again.peer);
                CHECK(again.peer->subject == "CN=weft test server");
            }
        }
    });
}

TEST_CASE("session: a session belongs to its host, its port and its context") {
    const leak_check leaks;
    weft::run([] {
        counting_server server(server_context()), other(server_context());
        tls_context client = client_context();
        CHECK_FALSE(server.connect(client).resumed);
        CHECK_FALSE(server.connect(client, "127.0.0.1").resumed);
        CHECK_FALSE(other.connect(client).resumed);
        CHECK(failure_of([&] { server.connect(client, "other.example"); }) == tls_errc::host_mismatch);
        tls_context another = client_context();
        CHECK_FALSE(server.connect(another).resumed);
        tls_context copy = client;
        CHECK(server.connect(copy).resumed);
    });
}

TEST_CASE("session: one that the server does not know any more is no failure") {
    const leak_check leaks;
    weft::run([] {
        tls_context client = client_context();
        tls_context first = server_context(), second = server_context();
        for (int i = 0; i < 2; ++i) {
            for (tls_context* server : {&first, &second}) {
                auto [near, far] = unix_pair();
                weft::stream ours(std::move(near)), theirs(std::move(far));
                start_both(ours, client, theirs, *server);
                CHECK_FALSE(ours.get_tls_info().resumed);
                theirs.write("x");
                CHECK(ours.read(1) == "x");   // the tickets came before it
            }
        }
    });
}

TEST_CASE("session: one that was begun without verifying is not gone on with by a context that verifies") {
    const leak_check leaks;
    weft::run([] {
        counting_server server(server_context());
        tls_context client = tls_context::client();
        client.verify(false);
        CHECK_FALSE(server.connect(client).resumed);
        CHECK(server.connect(client).resumed);
        client.verify(true);
        CHECK(failure_of([&] { server.connect(client); }) == tls_errc::unknown_authority);
    });
}

TEST_CASE("session: one that comes after the context's rules have changed is not kept") {
    const leak_check leaks;
    weft::run([] {
        counting_server server(server_context());
        tls_context client = tls_context::client();
        client.verify(false);
        weft::stream s = weft::open_connection("127.0.0.1", server.server.endpoints().front().port(),
                                               {.tls = &client, .server_name = "localhost"});
        client.verify(true);
        ask(s, "who am I?");   // the tickets come now
        s.close();
        CHECK(failure_of([&] { server.connect(client); }) == tls_errc::unknown_authority);
    });
}

TEST_CASE("session: a ticket of a server that asked for no certificate is not good for one when it is required") {
    const leak_check leaks;
    weft::run([] {
        for (const auto version : {tls_version::tls_1_2, tls_version::tls_1_3}) {
            counting_server server(server_context());
            tls_context client = client_context();
            client.set_maximum_version(version);
            CHECK_FALSE(server.connect(client).resumed);
            CHECK(server.connect(client).resumed);
            server.tls.load_verify_locations(root().certificate());
            server.tls.set_verify_mode(weft::verify_mode::required);
            CHECK(failure_of([&] { server.connect(client); }) == tls_errc::refused_by_peer);
        }
    });
}

TEST_CASE("session: a client that is given another certificate shows it, whatever session it has") {
    const leak_check leaks;
    weft::run([] {
        tls_context asking = server_context();
        asking.load_verify_locations(root().certificate());
        asking.set_verify_mode(weft::verify_mode::optional);
        counting_server server(asking);
        tls_context client = client_context();
        std::string whom;
        server.connect(client);
        CHECK(server.connect(client, "localhost", &whom).resumed);
        CHECK(whom == "nobody\n");
        const signed_certificate own = root().issue({.common_name = "client one", .names = {}});
        client.load_cert_chain(own.certificate, own.key);
        CHECK_FALSE(server.connect(client, "localhost", &whom).resumed);
        CHECK(whom == "CN=client one\n");
    });
}

TEST_CASE("session: a client's certificate is part of it") {
    const leak_check leaks;
    weft::run([] {
        tls_context asking = server_context();
        asking.load_verify_locations(root().certificate());
        asking.set_verify_mode(weft::verify_mode::required);
        counting_server server(asking);
        const signed_certificate own = root().issue({.common_name = "client one", .names = {}});
        for (const auto version : {tls_version::tls_1_2, tls_version::tls_1_3}) {
            tls_context client = client_context();
            client.set_maximum_version(version);
            client.load_cert_chain(own.certificate, own.key);
            std::string whom;
            CHECK_FALSE(server.connect(client, "localhost", &whom).resumed);
            CHECK(server.connect(client, "localhost", &whom).resumed);
            CHECK(whom == "CN=client one\n");
        }
    });
}
