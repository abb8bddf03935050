#include "fixture.hpp"

using namespace tls_test;
using weft::tls_context;
using weft::verify_mode;

namespace {

tls_context server_with(const signed_certificate& c) { return tls_context::server(c.certificate, c.key); }

/// What a client that trusts root() says to a server with such a certificate.
failure client_says(const wanted_certificate& wanted, const std::string& name = "localhost") {
    return shake(client_context(), server_with(root().issue(wanted)), name).client;
}

}  // namespace

TEST_CASE("verify: a certificate for the host, signed by a trusted authority, is accepted") {
    const leak_check leaks;
    weft::run([] {
        const auto ended = shake(client_context(), server_context());
        CHECK(ended.client.text == "nothing was thrown");
        CHECK(ended.server.text == "nothing was thrown");
    });
}

TEST_CASE("verify: an expired certificate is refused with the day on which it expired, and the server is told") {
    const leak_check leaks;
    weft::run([] {
        const auto ended = shake(client_context(), server_with(root().issue({.valid_from_days = -20, .valid_to_days = -10})));
        CHECK(ended.client == tls_errc::certificate_expired);
        CHECK(ended.client.says("stream::start_tls"));
        CHECK(ended.client.says("(localhost)"));
        CHECK(ended.client.says("certificate has expired on "));
        CHECK(ended.client.says("CN=somebody"));
        CHECK(ended.server == tls_errc::refused_by_peer);
        CHECK(ended.server.says("certificate expired"));
    });
}

TEST_CASE("verify: a certificate of the future is refused") {
    const leak_check leaks;
    weft::run([] { CHECK(client_says({.valid_from_days = 5}) == tls_errc::certificate_not_yet_valid); });
}

TEST_CASE("verify: a certificate for another host is refused, naming both") {
    const leak_check leaks;
    weft::run([] {
        const failure f = client_says({.names = {"DNS:right.example", "DNS:*.sub.example", "IP:192.0.2.1"}}, "wrong.example");
        CHECK(f == tls_errc::host_mismatch);
        CHECK(f.says("it is for right.example, *.sub.example, 192.0.2.1, not for wrong.example"));
    });
}

TEST_CASE("verify: names match by RFC 6125, addresses by the addresses in the certificate") {
    const leak_check leaks;
    weft::run([] {
        const std::vector<std::string> names = {"DNS:*.example.org", "DNS:exact.example", "IP:127.0.0.1", "IP:::1"};
        for (const char* good : {"www.example.org", "WWW.EXAMPLE.ORG", "exact.example", "exact.example.", "127.0.0.1", "::1"}) {
            INFO(good);
            CHECK(client_says({.names = names}, good).text == "nothing was thrown");
        }
        for (const char* bad : {"example.org", "a.b.example.org", "exact.example.org.evil.example", "127.0.0.2", "::2"}) {
            INFO(bad);
            CHECK(client_says({.names = names}, bad) == tls_errc::host_mismatch);
        }
        // An address written as a name does not stand for the address, and the subject stands for no host.
        CHECK(client_says({.names = {"DNS:127.0.0.1"}}, "127.0.0.1") == tls_errc::host_mismatch);
        CHECK(client_says({.common_name = "localhost", .names = {}}) == tls_errc::host_mismatch);
        CHECK(client_says({.common_name = "localhost", .names = {"DNS:other.example"}}) == tls_errc::host_mismatch);
    });
}

TEST_CASE("verify: what no trusted authority signed is refused") {
    const leak_check leaks;
    weft::run([] {
        const authority stranger("a stranger");
        CHECK(shake(client_context(), server_with(stranger.issue())).client == tls_errc::unknown_authority);
        CHECK(shake(client_context(), server_with(self_signed())).client == tls_errc::unknown_authority);
        const signed_certificate somebody = root().issue({.common_name = "no authority"});
        const weft::pem chain{somebody.certificate.text + somebody.certificate.text};
        CHECK(shake(client_context(), tls_context::server(chain, somebody.key)).client.text == "nothing was thrown");
        const auto ended = shake(tls_context::client(), server_context());
        CHECK(ended.client == tls_errc::unknown_authority);
        CHECK(ended.server == tls_errc::refused_by_peer);
        CHECK(ended.server.says("unknown ca"));
    });
}

TEST_CASE("verify: who trusts a certificate itself accepts it") {
    const leak_check leaks;
    weft::run([] {
        const signed_certificate own = self_signed();
        tls_context client = tls_context::client(weft::trusted_roots::none);
        client.load_verify_locations(own.certificate);
        CHECK(shake(client, server_with(own)).client.text == "nothing was thrown");
    });
}

TEST_CASE("verify: a server sends the authorities between its certificate and the root") {
    const leak_check leaks;
    weft::run([] {
        const authority middle = root().intermediate("in between");
        const signed_certificate own = middle.issue();
        CHECK(shake(client_context(), server_with(own)).client == tls_errc::unknown_authority);
        const weft::pem chain{own.certificate.text + middle.certificate().text};
        CHECK(shake(client_context(), tls_context::server(chain, own.key)).client.text == "nothing was thrown");
    });
}

TEST_CASE("verify: an authority that only has the name of a trusted one signs nobody") {
    const leak_check leaks;
    weft::run([] {
        const authority pretender("weft test root");
        const failure f = shake(client_context(), server_with(pretender.issue())).client;
        CHECK(f == tls_errc::certificate_invalid);
        CHECK(f.says("certificate signature failure"));
    });
}

TEST_CASE("verify: verify(false) takes every certificate; set_check_hostname(false) any name") {
    const leak_check leaks;
    weft::run([] {
        tls_context careless = tls_context::client();
        careless.verify(false);
        CHECK(shake(careless, server_with(self_signed({.names = {}}))).client.text == "nothing was thrown");
        const signed_certificate expired = root().issue({.valid_from_days = -9, .valid_to_days = -3});
        CHECK(shake(careless, server_with(expired)).client.text == "nothing was thrown");
        CHECK(shake(careless, server_context(), "").client.text == "nothing was thrown");

        tls_context any_name = client_context();
        any_name.set_check_hostname(false);
        CHECK(shake(any_name, server_context(), "other.example").client.text == "nothing was thrown");
        CHECK(shake(any_name, server_with(self_signed())).client == tls_errc::unknown_authority);

        careless.verify(true);
        CHECK(shake(careless, server_with(self_signed())).client == tls_errc::unknown_authority);
    });
}

TEST_CASE("verify: a server that requires a client's certificate refuses clients without one") {
    const leak_check leaks;
    weft::run([] {
        tls_context server = server_context();
        server.load_verify_locations(root().certificate());
        server.set_verify_mode(verify_mode::required);
        for (const auto version : {weft::tls_version::tls_1_2, weft::tls_version::tls_1_3}) {
            tls_context client = client_context();
            client.set_maximum_version(version);
            const auto ended = shake(client, server);
            CHECK(ended.server == tls_errc::certificate_required);
            CHECK(ended.client == tls_errc::refused_by_peer);
        }
    });
}

TEST_CASE("verify: a client's certificate is verified, and the server learns whose it is") {
    const leak_check leaks;
    weft::run([] {
        const signed_certificate own = root().issue({.common_name = "client one", .names = {}});
        tls_context client = client_context();
        client.load_cert_chain(own.certificate, own.key);
        tls_context server = server_context();
        server.load_verify_locations(root().certificate());
        for (const auto mode : {verify_mode::optional, verify_mode::required}) {
            server.set_verify_mode(mode);
            tls_pair pair(client, server);
            const auto seen = pair.server.get_tls_info().peer;
            REQUIRE(seen);
            CHECK(seen->subject == "CN=client one");
            CHECK(seen->issuer == "CN=weft test root");
            CHECK(seen->pem == own.certificate.text);
        }
        tls_pair without(client_context(), [&] { server.set_verify_mode(verify_mode::optional); return server; }());
        CHECK_FALSE(without.server.get_tls_info().peer);

        const signed_certificate strange = authority("a stranger").issue();
        tls_context stranger = client_context();
        stranger.load_cert_chain(strange.certificate, strange.key);
        for (const auto mode : {verify_mode::optional, verify_mode::required}) {
            server.set_verify_mode(mode);
            const auto ended = shake(stranger, server);
            CHECK(ended.server == tls_errc::unknown_authority);
            CHECK(ended.client == tls_errc::refused_by_peer);
            CHECK(ended.client.says("unknown ca"));
        }
    });
}

TEST_CASE("verify: a revoked certificate is refused if revocation is checked, others are taken") {
    const leak_check leaks;
    weft::run([] {
        const signed_certificate bad = root().issue(), good = root().issue();
        const weft::pem list = root().revocation_list({bad.certificate});
        for (const auto which : {weft::revocation_check::leaf, weft::revocation_check::chain}) {
            tls_context client = client_context();
            client.load_verify_locations(list);   // alone in its file
            CHECK(shake(client, server_with(bad)).client.text == "nothing was thrown");
            client.set_revocation_check(which);
            const auto refused = shake(client, server_with(bad));
            CHECK(refused.client == tls_errc::certificate_revoked);
            CHECK(refused.client.says("revoked"));
            CHECK(refused.server == tls_errc::refused_by_peer);
            CHECK(shake(client, server_with(good)).client.text == "nothing was thrown");
            client.set_revocation_check(weft::revocation_check::none);
            CHECK(shake(client, server_with(bad)).client.text == "nothing was thrown");
        }
    });
}

TEST_CASE("verify: without a list that is valid now nobody passes the check of revocation") {
    const leak_check leaks;
    weft::run([] {
        tls_context client = client_context();
        client.set_revocation_check(weft::revocation_check::leaf);
        CHECK(shake(client, server_context()).client == tls_errc::certificate_invalid);
        client.load_verify_locations(root().revocation_list({}, -10));
        CHECK(shake(client, server_context()).client == tls_errc::certificate_invalid);
        client.load_verify_locations(weft::pem{root().certificate().text + root().revocation_list({}).text});
        CHECK(shake(client, server_context()).client.text == "nothing was thrown");
    });
}

TEST_CASE("verify: the certificates above the peer's are looked for only if the chain is to be checked") {
    const leak_check leaks;
    weft::run([] {
        const authority between = root().intermediate("between");
        const signed_certificate leaf = between.issue();
        const weft::pem chain{leaf.certificate.text + between.certificate().text};
        const tls_context server = tls_context::server(chain, leaf.key);
        tls_context client = client_context();
        client.load_verify_locations(root().revocation_list({between.certificate()}));
        client.load_verify_locations(between.revocation_list({}));
        client.set_revocation_check(weft::revocation_check::leaf);
        CHECK(shake(client, server).client.text == "nothing was thrown");
        client.set_revocation_check(weft::revocation_check::chain);
        CHECK(shake(client, server).client == tls_errc::certificate_revoked);
    });
}

TEST_CASE("verify: a server looks for its clients' certificates in the list, too") {
    const leak_check leaks;
    weft::run([] {
        const signed_certificate bad = root().issue();
        tls_context server = server_context();
        server.load_verify_locations(weft::pem{root().certificate().text + root().revocation_list({bad.certificate}).text});
        server.set_verify_mode(verify_mode::required);
        server.set_revocation_check(weft::revocation_check::leaf);
        tls_context client = client_context();
        client.load_cert_chain(bad.certificate, bad.key);
        CHECK(shake(client, server).server == tls_errc::certificate_revoked);
    });
}

TEST_CASE("verify: a damaged revocation list is an error that names it") {
    tls_context client = client_context();
    weft::pem list = root().revocation_list({});
    list.text[100] = '!';
    CHECK_THROWS_AS(client.load_verify_locations(list), weft::tls_error);
}
