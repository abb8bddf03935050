#include "certificates.hpp"

#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <stdexcept>
#include <utility>

#include "tls/openssl.hpp"

namespace tls_test {
namespace {

using weft::tls_layer::bio_ptr;
using weft::tls_layer::certificate_ptr;
using weft::tls_layer::key_ptr;

void must(bool ok) {
    if (!ok) throw std::runtime_error("OpenSSL made no certificate: " + weft::tls_layer::openssl_call().errors().text);
}

template <class Write>
std::string text_of(Write write) {
    const bio_ptr bio(BIO_new(BIO_s_mem()));
    must(write(bio.get()) == 1);
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

weft::pem pem_of(X509* certificate) {
    return {text_of([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate); })};
}
weft::pem pem_of(EVP_PKEY* key) {
    return {text_of([&](BIO* bio) { return PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr); })};
}

void extend(X509* certificate, X509* issuer, int kind, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* const made = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
    must(made);
    X509_add_ext(certificate, made, -1);
    X509_EXTENSION_free(made);
}

/// Null for the issuer: it signs itself.
certificate_ptr make(const wanted_certificate& wanted, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key) {
    static long serial = 0x1234567800;
    certificate_ptr result(X509_new());
    X509* const c = result.get();
    X509_set_version(c, X509_VERSION_3);
    ASN1_INTEGER_set_int64(X509_get_serialNumber(c), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(c), wanted.valid_from_days * 86400L);
    X509_gmtime_adj(X509_getm_notAfter(c), wanted.valid_to_days * 86400L);
    X509_set_pubkey(c, key);
    const auto* const name = reinterpret_cast<const unsigned char*>(wanted.common_name.c_str());
    must(X509_NAME_add_entry_by_txt(X509_get_subject_name(c), "CN", MBSTRING_UTF8, name, -1, -1, 0) == 1);
    X509_set_issuer_name(c, X509_get_subject_name(issuer ? issuer : c));
    extend(c, issuer ? issuer : c, NID_basic_constraints, wanted.authority ? "critical,CA:TRUE" : "CA:FALSE");
    std::string names;
    for (const std::string& one : wanted.names) names += (names.empty() ? "" : ",") + one;
    if (!names.empty()) extend(c, issuer ? issuer : c, NID_subject_alt_name, names);
    must(X509_sign(c, issuer ? issuer_key : key, EVP_sha256()) > 0);
    return result;
}

key_ptr new_key() {
    key_ptr result(EVP_EC_gen("P-256"));
    must(result != nullptr);
    return result;
}

}  // namespace

struct authority::state {
    key_ptr key;
    certificate_ptr certificate;
};

authority::authority(const std::string& name) : state_(new state{new_key(), nullptr}) {
    state_->certificate = make({.common_name = name, .names = {}, .authority = true}, state_->key.get(), nullptr, nullptr);
}
authority::authority(std::unique_ptr<state> made) : state_(std::move(made)) {}
authority::~authority() = default;
authority::authority(authority&&) noexcept = default;

weft::pem authority::certificate() const { return pem_of(state_->certificate.get()); }

signed_certificate authority::issue(const wanted_certificate& wanted) const {
    const key_ptr key = new_key();
    const certificate_ptr made = make(wanted, key.get(), state_->certificate.get(), state_->key.get());
    return {pem_of(made.get()), pem_of(key.get())};
}

authority authority::intermediate(const std::string& name) const {
    std::unique_ptr<state> made(new state{new_key(), nullptr});
    made->certificate = make({.common_name = name, .names = {}, .authority = true}, made->key.get(), state_->certificate.get(),
                             state_->key.get());
    return authority(std::move(made));
}

weft::pem authority::revocation_list(const std::vector<weft::pem>& revoked, int valid_to_days) const {
    const weft::tls_layer::crl_ptr list(X509_CRL_new());
    const std::unique_ptr<ASN1_TIME, decltype(&ASN1_TIME_free)> time(X509_gmtime_adj(nullptr, -20 * 86400L), ASN1_TIME_free);
    X509_CRL_set_version(list.get(), X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(state_->certificate.get()));
    X509_CRL_set1_lastUpdate(list.get(), time.get());
    for (const weft::pem& one : revoked) {
        const bio_ptr in(BIO_new_mem_buf(one.text.data(), static_cast<int>(one.text.size())));
        const certificate_ptr read(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
        must(read != nullptr);
        X509_REVOKED* const entry = X509_REVOKED_new();
        X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(read.get()));
        X509_REVOKED_set_revocationDate(entry, time.get());
        must(X509_CRL_add0_revoked(list.get(), entry) == 1);
    }
    X509_gmtime_adj(time.get(), valid_to_days * 86400L);
    X509_CRL_set1_nextUpdate(list.get(), time.get());
    must(X509_CRL_sort(list.get()) == 1 && X509_CRL_sign(list.get(), state_->key.get(), EVP_sha256()) > 0);
    return {text_of([&](BIO* bio) { return PEM_write_bio_X509_CRL(bio, list.get()); })};
}

signed_certificate self_signed(const wanted_certificate& wanted) {
    const key_ptr key = new_key();
    return {pem_of(make(wanted, key.get(), nullptr, nullptr).get()), pem_of(key.get())};
}

weft::pem encrypted(const weft::pem& key, const std::string& password) {
    const bio_ptr in(BIO_new_mem_buf(key.text.data(), static_cast<int>(key.text.size())));
    const key_ptr read(PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr));
    must(read != nullptr);
    return {text_of([&](BIO* bio) {
        return PEM_write_bio_PKCS8PrivateKey(bio, read.get(), EVP_aes_128_cbc(), password.data(),
                                             static_cast<int>(password.size()), nullptr, nullptr);
    })};
}

signed_certificate short_key() {
    const key_ptr key(EVP_RSA_gen(512));
    must(key != nullptr);
    return {pem_of(make({}, key.get(), nullptr, nullptr).get()), pem_of(key.get())};
}

const authority& root() {
    static const authority only;
    return only;
}

const signed_certificate& localhost() {
    static const signed_certificate only = root().issue({.common_name = "weft test server"});
    return only;
}

weft::tls_context server_context() { return weft::tls_context::server(localhost().certificate, localhost().key); }

weft::tls_context client_context() {
    weft::tls_context result = weft::tls_context::client(weft::trusted_roots::none);
    result.load_verify_locations(root().certificate());
    return result;
}

}  // namespace tls_test
