#include "fixture.hpp"

#include <fstream>

using namespace tls_test;
using weft::pem;
using weft::tls_context;

namespace {

std::string write_file(const std::string& path, const pem& content) {
    std::ofstream(path) << content.text;
    return path;
}

}  // namespace

TEST_CASE("context: certificates, keys and authorities come from files as well") {
    const leak_check leaks;
    const temporary_folder folder;
    const std::string certificate = write_file(folder / "cert.pem", localhost().certificate);
    const std::string key = write_file(folder / "key.pem", localhost().key);
    const std::string ca = write_file(folder / "ca.pem", root().certificate());
    weft::run([&] {
        tls_context client = tls_context::client(weft::trusted_roots::none);
        client.load_verify_locations(ca);
        client.load_cert_chain(certificate, key);
        tls_context server = tls_context::server(certificate, key);
        server.add_host("a.example", certificate, key);
        CHECK(shake(client, server).client.text == "nothing was thrown");
    });
    // One file may hold both.
    const std::string both = write_file(folder / "both.pem", {localhost().key.text + localhost().certificate.text});
    CHECK_NOTHROW(tls_context::server(both, both));
}

TEST_CASE("context: a file that cannot be read is named, with the reason") {
    const leak_check leaks;
    const temporary_folder folder;
    const std::string certificate = write_file(folder / "cert.pem", localhost().certificate);
    const failure absent = failure_of([&] { tls_context::server(certificate, folder / "absent"); });
    CHECK(absent.code == std::errc::no_such_file_or_directory);
    CHECK(absent.says("tls_context::server: \"" + (folder / "absent") + '"'));
    tls_context client = tls_context::client();
    CHECK(failure_of([&] { client.load_verify_locations(folder / "absent"); }).code == std::errc::no_such_file_or_directory);
    CHECK(failure_of([&] { client.load_cert_chain(folder / "", certificate); }).code == std::errc::is_a_directory);
    CHECK(failure_of([&] { client.load_verify_locations("/dev/zero"); }).code == std::errc::file_too_large);
    const std::string cut = certificate + '\0' + ".old";   // to the system it ends at the zero byte
    CHECK(message_of<std::invalid_argument>([&] { tls_context::server(cut, certificate); })
              .find("tls_context::server: path: a zero byte in \"" + certificate + "\\x00.old\"") == 0);
    CHECK_THROWS_AS(client.load_verify_locations(cut), std::invalid_argument);
    CHECK_THROWS_AS(client.load_verify_locations((folder / "") + '\0'), std::invalid_argument);
}

TEST_CASE("context: what is no certificate or key is named") {
    const leak_check leaks;
    const signed_certificate other = root().issue();
    const auto refused = [](const pem& certificate, const pem& key, const std::string& password = {}) {
        const failure f = failure_of([&] { tls_context::server(certificate, key, password); });
        CHECK(f == tls_errc::unusable_certificate);
        CHECK(f.says("tls_context::server: the "));
        return f;
    };
    CHECK(refused({"rubbish"}, localhost().key).says("the certificate given: there is no certificate in PEM form"));
    CHECK(refused({""}, localhost().key).says("there is no certificate in PEM form"));
    CHECK(refused(localhost().key, localhost().key).says("there is no certificate in PEM form"));
    std::string damaged = localhost().certificate.text;
    damaged.erase(100, 4);
    CHECK(refused({damaged}, localhost().key).says("the certificate given"));
    CHECK(refused(localhost().certificate, {"rubbish"}).says("the key given: there is no private key in PEM form"));
    CHECK(refused(localhost().certificate, localhost().certificate).says("there is no private key in PEM form"));
    CHECK(refused(localhost().certificate, other.key)
              .says("the private key does not belong to the certificate in the certificate given"));
    const pem locked = encrypted(localhost().key, "secret");
    CHECK(refused(localhost().certificate, locked).says("the private key is encrypted, and no password was given"));
    CHECK(refused(localhost().certificate, locked, "wrong").says("cannot be decrypted"));
    CHECK_NOTHROW(tls_context::server(localhost().certificate, locked, "secret"));
    const signed_certificate weak = short_key();
    CHECK(failure_of([&] { tls_context::server(weak.certificate, weak.key); }).says("key too small"));
    tls_context server = server_context();
    CHECK(failure_of([&] { server.add_host("weak.example", weak.certificate, weak.key); }).says("key too small"));
}

TEST_CASE("context: unusable settings are refused by name") {
    const leak_check leaks;
    tls_context client = client_context(), server = server_context();
    CHECK_THROWS_AS(client.set_ciphers("NONSENSE"), std::invalid_argument);
    CHECK_THROWS_AS(client.set_alpn_protocols({""}), std::invalid_argument);
    CHECK_THROWS_AS(client.set_alpn_protocols({std::string(256, 'x')}), std::invalid_argument);
    CHECK_THROWS_AS(client.set_handshake_timeout(0s), std::invalid_argument);
    CHECK_THROWS_AS(client.add_host("a.example", localhost().certificate, localhost().key), std::invalid_argument);
    CHECK_THROWS_AS(server.add_host("", localhost().certificate, localhost().key), std::invalid_argument);
    CHECK_THROWS_AS(server.add_host("a.*.example", localhost().certificate, localhost().key), std::invalid_argument);
}

TEST_CASE("context: streams that stand outlive it") {
    const leak_check leaks;
    weft::run([] {
        auto [near, far] = unix_pair();
        weft::stream client(std::move(near)), server(std::move(far));
        {
            tls_context client_tls = client_context(), server_tls = server_context();
            start_both(client, client_tls, server, server_tls);
        }
        server.write("still here\n");
        CHECK(client.read_line() == "still here\n");
    });
}

TEST_CASE("context: an error is a system_error in its own category, and keeps OpenSSL's words") {
    try {
        tls_context::server(localhost().certificate, encrypted(localhost().key, "secret"), "wrong");
        FAIL("nothing was thrown");
    } catch (const weft::tls_error& error) {
        CHECK(error.code() == tls_errc::unusable_certificate);
        CHECK(error.code().category() == weft::tls_category());
        CHECK(std::string(weft::tls_category().name()) == "tls");
        CHECK_FALSE(error.openssl_text().empty());
        CHECK(std::string(error.what()).find("unusable certificate or key") != std::string::npos);
    }
}
