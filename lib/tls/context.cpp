#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <utility>

#include <weft/tls.hpp>

#include "tls/context_state.hpp"
#include "tls/protocol.hpp"

namespace weft {
namespace {

using tls_layer::context_state;
using tls_layer::identity;
using tls_layer::openssl_call;
using tls_layer::pem_source;
using tls_layer::printable;

std::string lower(std::string_view text) {
    std::string result(text);
    for (char& c : result)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return result;
}

pem_source in_memory(const pem& given, const char* argument) { return {given.text, std::string("the ") + argument + " given"}; }

std::shared_ptr<context_state> make_state(bool is_server) {
    const openssl_call guard;
    auto state = std::make_shared<context_state>();
    state->is_server = is_server;
    state->context.reset(SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method()));
    if (!state->context) throw tls_error(tls_errc::other, "tls_context: " + guard.errors().text, {});
    SSL_CTX* const context = state->context.get();
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    // Writing goes to memory that grows, so it is never cut short; the caller's piece may have moved all the same.
    SSL_CTX_set_mode(context, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_app_data(context, state.get());
    tls_layer::protocol::set_callbacks(*state);
    state->rules_changed();
    return state;
}

void show(context_state& state, const identity& shown, const char* call) {
    const openssl_call guard;
    state.rules_changed();   // a session goes on with what was shown when it began
    if (SSL_CTX_use_cert_and_key(state.context.get(), shown.certificate.get(), shown.key.get(), shown.chain.get(), 1) == 1)
        return;
    const auto report = guard.errors();   // "ee key too small"
    throw tls_error(tls_errc::unusable_certificate, std::string(call) + ": " + report.text, report.text);
}

void require(bool condition, const char* call, const std::string& what) {
    if (!condition) throw std::invalid_argument(std::string(call) + ": " + what);
}

void add(context_state& state, const std::string& name, identity shown, const char* call) {
    require(state.is_server, call, "this is a client's context, which shows one certificate: see load_cert_chain");
    require(!name.empty() && name.find('\0') == name.npos && (name.find('*') == name.npos || name.rfind("*.", 0) == 0), call,
            "host_name: \"" + printable(name) + "\" is no host name");
    // OpenSSL's own checks (of the key's size) are made here, not in the first handshake.
    const openssl_call guard;
    const auto trial = tls_layer::own<tls_layer::ssl_ptr>(SSL_new(state.context.get()));
    if (SSL_use_cert_and_key(trial.get(), shown.certificate.get(), shown.key.get(), shown.chain.get(), 1) != 1) {
        const auto report = guard.errors();
        throw tls_error(tls_errc::unusable_certificate, std::string(call) + " \"" + name + "\": " + report.text, report.text);
    }
    state.hosts.push_back({lower(name), std::move(shown)});
}

void trust(context_state& state, const pem_source& source, const char* call) {
    const auto lists = tls_layer::read_revocation_lists(source, call);
    const auto certificates = tls_layer::read_certificates(source, call, !lists.empty());
    const openssl_call guard;
    for (const auto& list : lists)
        if (X509_STORE_add_crl(SSL_CTX_get_cert_store(state.context.get()), list.get()) != 1) throw std::bad_alloc();
    for (int i = 0; i < sk_X509_num(certificates.get()); ++i) {
        X509* const one = sk_X509_value(certificates.get(), i);
        if (X509_STORE_add_cert(SSL_CTX_get_cert_store(state.context.get()), one) != 1) throw std::bad_alloc();
        // So that clients know which of their certificates is wanted.
        if (state.is_server && SSL_CTX_add_client_CA(state.context.get(), one) != 1) throw std::bad_alloc();
    }
}

int number_of(tls_version version) { return version == tls_version::tls_1_2 ? TLS1_2_VERSION : TLS1_3_VERSION; }

}  // namespace

namespace tls_layer {

void context_state::rules_changed() {
    sessions.clear();
    // A ticket carries this; with another one a server goes through the whole handshake.
    const std::string id = "weft " + std::to_string(++rules);
    if (is_server) SSL_CTX_set_session_id_context(context.get(), reinterpret_cast<const unsigned char*>(id.data()),
                                                  static_cast<unsigned>(id.size()));
}

const identity* context_state::identity_for(std::string_view server_name) const {
    std::string wanted = lower(server_name);
    if (wanted.ends_with('.')) wanted.pop_back();
    const auto named = [&](const std::string& name) {
        const auto found = std::find_if(hosts.begin(), hosts.end(), [&](const host& h) { return h.name == name; });
        return found == hosts.end() ? nullptr : &found->shown;
    };
    if (const identity* exact = named(wanted)) return exact;
    const std::size_t dot = wanted.find('.');
    return dot == wanted.npos || dot == 0 ? nullptr : named('*' + wanted.substr(dot));
}

}  // namespace tls_layer

tls_context::tls_context(std::shared_ptr<context_state> state) noexcept : state_(std::move(state)) {}

tls_context tls_context::client(trusted_roots roots) {
    tls_context result(make_state(false));
    const openssl_call guard;
    if (roots == trusted_roots::system) SSL_CTX_set_default_verify_paths(result.state_->context.get());
    result.set_verify_mode(verify_mode::required);
    return result;
}

tls_context tls_context::server(const std::string& certificate_chain_file, const std::string& key_file,
                                const std::string& password) {
    constexpr const char* call = "tls_context::server";
    tls_context result(make_state(true));
    const pem_source chain = tls_layer::read_pem_file(certificate_chain_file, call);
    show(*result.state_, read_identity(chain, tls_layer::read_pem_file(key_file, call), password, call), call);
    return result;
}

tls_context tls_context::server(const pem& certificate_chain, const pem& key, const std::string& password) {
    constexpr const char* call = "tls_context::server";
    tls_context result(make_state(true));
    show(*result.state_, read_identity(in_memory(certificate_chain, "certificate"), in_memory(key, "key"), password, call),
         call);
    return result;
}

void tls_context::load_cert_chain(const std::string& certificate_chain_file, const std::string& key_file,
                                  const std::string& password) {
    constexpr const char* call = "tls_context::load_cert_chain";
    const pem_source chain = tls_layer::read_pem_file(certificate_chain_file, call);
    show(*state_, read_identity(chain, tls_layer::read_pem_file(key_file, call), password, call), call);
}

void tls_context::load_cert_chain(const pem& certificate_chain, const pem& key, const std::string& password) {
    constexpr const char* call = "tls_context::load_cert_chain";
    show(*state_, read_identity(in_memory(certificate_chain, "certificate"), in_memory(key, "key"), password, call), call);
}

void tls_context::add_host(const std::string& host_name, const std::string& certificate_chain_file,
                           const std::string& key_file, const std::string& password) {
    constexpr const char* call = "tls_context::add_host";
    const pem_source chain = tls_layer::read_pem_file(certificate_chain_file, call);
    add(*state_, host_name, read_identity(chain, tls_layer::read_pem_file(key_file, call), password, call), call);
}

void tls_context::add_host(const std::string& host_name, const pem& certificate_chain, const pem& key,
                           const std::string& password) {
    constexpr const char* call = "tls_context::add_host";
    add(*state_, host_name, read_identity(in_memory(certificate_chain, "certificate"), in_memory(key, "key"), password, call),
        call);
}

void tls_context::load_verify_locations(const std::string& file_or_directory) {
    constexpr const char* call = "tls_context::load_verify_locations";
    tls_layer::require_path(file_or_directory, call);
    struct stat found{};
    if (::stat(file_or_directory.c_str(), &found) == 0 && S_ISDIR(found.st_mode)) {
        const openssl_call guard;
        if (SSL_CTX_load_verify_dir(state_->context.get(), file_or_directory.c_str()) != 1) throw std::bad_alloc();
    } else {
        trust(*state_, tls_layer::read_pem_file(file_or_directory, call), call);
    }
    state_->rules_changed();
}

void tls_context::load_verify_locations(const pem& certificates) {
    trust(*state_, in_memory(certificates, "certificates"), "tls_context::load_verify_locations");
    state_->rules_changed();
}

void tls_context::set_revocation_check(revocation_check which) {
    X509_VERIFY_PARAM* const rules = SSL_CTX_get0_param(state_->context.get());
    X509_VERIFY_PARAM_clear_flags(rules, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    if (which != revocation_check::none) X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_CRL_CHECK);
    if (which == revocation_check::chain) X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_CRL_CHECK_ALL);
    state_->rules_changed();
}

void tls_context::set_verify_mode(verify_mode mode) {
    if (mode == verify_mode::optional && !state_->is_server) mode = verify_mode::required;
    state_->mode = mode;
    const int flags = mode == verify_mode::none       ? SSL_VERIFY_NONE
                      : mode == verify_mode::optional ? SSL_VERIFY_PEER
                                                      : SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(state_->context.get(), flags, tls_layer::protocol::on_verify);
    state_->rules_changed();
}

void tls_context::set_check_hostname(bool on) {
    state_->check_host = on;
    state_->rules_changed();
}

void tls_context::set_alpn_protocols(const std::vector<std::string>& protocols) {
    constexpr const char* call = "tls_context::set_alpn_protocols";
    std::string wire;
    for (const std::string& one : protocols) {
        require(!one.empty() && one.size() <= 255, call, "protocols: \"" + printable(one) + "\" is not 1 to 255 bytes long");
        wire += static_cast<char>(one.size());
        wire += one;
    }
    require(wire.size() <= 65535, call, "protocols: they are too many");
    state_->alpn = std::move(wire);
}

void tls_context::set_minimum_version(tls_version version) {
    SSL_CTX_set_min_proto_version(state_->context.get(), number_of(version));
}

void tls_context::set_maximum_version(tls_version version) {
    SSL_CTX_set_max_proto_version(state_->context.get(), number_of(version));
}

void tls_context::set_ciphers(const std::string& list) {
    const openssl_call guard;
    require(SSL_CTX_set_cipher_list(state_->context.get(), list.c_str()) == 1, "tls_context::set_ciphers",
            "list: \"" + printable(list) + "\" names no cipher");
}

void tls_context::set_handshake_timeout(std::chrono::nanoseconds time) {
    require(time > std::chrono::nanoseconds::zero(), "tls_context::set_handshake_timeout", "time: it must be greater than 0");
    state_->handshake_timeout = time;
}

}  // namespace weft
