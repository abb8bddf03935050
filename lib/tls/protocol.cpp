#include "tls/protocol.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <utility>

namespace weft::tls_layer {
namespace {

constexpr std::size_t record_size = SSL3_RT_MAX_PLAIN_LENGTH;

protocol& protocol_of(const SSL* ssl) noexcept { return *static_cast<protocol*>(SSL_get_app_data(ssl)); }

bool is_address(const std::string& name) noexcept {
    unsigned char bytes[16];
    return ::inet_pton(AF_INET, name.c_str(), bytes) == 1 || ::inet_pton(AF_INET6, name.c_str(), bytes) == 1;
}

tls_errc classify_certificate(long fault) noexcept {
    switch (fault) {
        case X509_V_ERR_CERT_HAS_EXPIRED:
            return tls_errc::certificate_expired;
        case X509_V_ERR_CERT_REVOKED:
            return tls_errc::certificate_revoked;
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return tls_errc::certificate_not_yet_valid;
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        case X509_V_ERR_CERT_UNTRUSTED:
            return tls_errc::unknown_authority;
        case X509_V_ERR_HOSTNAME_MISMATCH:
        case X509_V_ERR_IP_ADDRESS_MISMATCH:
            return tls_errc::host_mismatch;
        default:
            return tls_errc::certificate_invalid;
    }
}

std::string joined(const std::vector<std::string>& names) {
    std::string result;
    for (const std::string& name : names) result += (result.empty() ? "" : ", ") + name;
    return result.empty() ? "no host" : result;
}

}  // namespace

// What OpenSSL calls.

int protocol::on_bio_write(BIO* bio, const char* data, std::size_t size, std::size_t* written) noexcept {
    protocol& self = *static_cast<protocol*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    try {
        self.output.append(data, size);
    } catch (...) {
        self.out_of_memory_ = true;
        return 0;
    }
    *written = size;
    return 1;
}

int protocol::on_bio_read(BIO* bio, char* to, std::size_t size, std::size_t* count) noexcept {
    protocol& self = *static_cast<protocol*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    *count = std::min(size, self.input.size());
    if (*count == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    std::memcpy(to, self.input.view().data(), *count);
    self.input.consume(*count);
    return 1;
}

long protocol::on_bio_control(BIO*, int command, long, void*) noexcept { return command == BIO_CTRL_FLUSH; }

const BIO_METHOD* protocol::bio_method() {
    static BIO_METHOD* const method = [] {
        BIO_METHOD* const made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "weft");
        if (!made) throw std::bad_alloc();
        BIO_meth_set_write_ex(made, on_bio_write);
        BIO_meth_set_read_ex(made, on_bio_read);
        BIO_meth_set_ctrl(made, on_bio_control);
        return made;
    }();
    return method;
}

int protocol::on_session(SSL* ssl, SSL_SESSION* session) noexcept {
    protocol& self = protocol_of(ssl);
    self.ticket_came_ = true;
    if (self.session_key_.empty() || SSL_SESSION_is_resumable(session) != 1) return 0;
    try {
        self.context_->sessions.put(self.session_key_, session_ptr(session), self.session_generation_);
    } catch (...) {
        // Without memory it is freed, and the next connection begins anew.
    }
    return 1;   // it is ours now
}

int protocol::on_certificate(SSL* ssl, void*) noexcept {
    protocol& self = protocol_of(ssl);
    const char* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (!name) return 1;
    try {
        const identity* const shown = self.context_->identity_for(name);
        if (!shown) return 1;
        return SSL_use_cert_and_key(ssl, shown->certificate.get(), shown->key.get(), shown->chain.get(), 1);
    } catch (...) {
        self.out_of_memory_ = true;
        return 0;
    }
}

int protocol::on_alpn(SSL* ssl, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
                      unsigned offered_size, void*) noexcept {
    const std::string& ours = protocol_of(ssl).context_->alpn;
    if (ours.empty()) return SSL_TLSEXT_ERR_NOACK;
    unsigned char* found = nullptr;
    const int outcome = SSL_select_next_proto(&found, size, reinterpret_cast<const unsigned char*>(ours.data()),
                                              static_cast<unsigned>(ours.size()), offered, offered_size);
    *chosen = found;
    return outcome == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

int protocol::on_verify(int good, X509_STORE_CTX* verified) noexcept {
    if (good) return good;
    const auto* const ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(verified, SSL_get_ex_data_X509_STORE_CTX_idx()));
    protocol& self = protocol_of(ssl);
    try {
        const int fault = X509_STORE_CTX_get_error(verified);
        const X509* const certificate = X509_STORE_CTX_get_current_cert(verified);
        std::string text = certificate ? "certificate of \"" + subject_of(*certificate) + "\": " : std::string();
        text += X509_verify_cert_error_string(fault);
        if (certificate && classify_certificate(fault) == tls_errc::host_mismatch)
            text += ", it is for " + joined(names_of(*certificate)) + ", not for " + self.expected_host_;
        if (certificate && fault == X509_V_ERR_CERT_HAS_EXPIRED)
            text += " on " + time_text(X509_get0_notAfter(certificate));
        if (certificate && fault == X509_V_ERR_CERT_NOT_YET_VALID)
            text += ", but from " + time_text(X509_get0_notBefore(certificate));
        self.certificate_fault_ = std::move(text);
    } catch (...) {
        self.out_of_memory_ = true;
    }
    return good;
}

void protocol::set_callbacks(context_state& state) {
    SSL_CTX* const context = state.context.get();
    if (state.is_server) {
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);   // tickets are all that is needed
        SSL_CTX_set_cert_cb(context, on_certificate, nullptr);
        SSL_CTX_set_alpn_select_cb(context, on_alpn, nullptr);
    } else {
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(context, on_session);
    }
}

// Set-up.

protocol::protocol(std::shared_ptr<context_state> context, const std::string& server_name, std::string peer,
                   const std::string& session_key)
    : context_(std::move(context)), peer_(std::move(peer)), session_key_(context_->is_server ? std::string() : session_key),
      session_generation_(context_->sessions.generation()) {
    const openssl_call guard;
    ssl_ = own<ssl_ptr>(SSL_new(context_->context.get()));
    SSL_set_app_data(ssl_.get(), this);
    bio_ptr bio = own<bio_ptr>(BIO_new(bio_method()));
    BIO_set_data(bio.get(), this);
    BIO_set_init(bio.get(), 1);
    BIO* const both = bio.release();
    SSL_set_bio(ssl_.get(), both, both);
    if (context_->is_server) {
        SSL_set_accept_state(ssl_.get());
        return;
    }
    SSL_set_connect_state(ssl_.get());
    expect_host(server_name);
    if (!context_->alpn.empty() &&
        SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(context_->alpn.data()),
                            static_cast<unsigned>(context_->alpn.size())) != 0)
        throw std::bad_alloc();
    if (const session_ptr session = context_->sessions.take(session_key_)) SSL_set_session(ssl_.get(), session.get());
}

void protocol::expect_host(const std::string& server_name) {
    expected_host_ = server_name.substr(0, server_name.find('%'));   // an address's scope is nobody else's matter
    if (expected_host_.ends_with('.')) expected_host_.pop_back();
    if (expected_host_.empty()) return;
    X509_VERIFY_PARAM* const rules = SSL_get0_param(ssl_.get());
    const bool address = is_address(expected_host_);
    if (!address && SSL_set_tlsext_host_name(ssl_.get(), expected_host_.c_str()) != 1) throw std::bad_alloc();
    if (!context_->check_host) return;
    // The subject was the place for the name before there was one for several; who reads both can be told two stories.
    X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    const int set = address ? X509_VERIFY_PARAM_set1_ip_asc(rules, expected_host_.c_str())
                            : X509_VERIFY_PARAM_set1_host(rules, expected_host_.data(), expected_host_.size());
    if (set != 1) throw std::bad_alloc();
}

// The steps.

protocol::step protocol::handshake(const char* call) {
    const openssl_call guard;
    const int result = SSL_do_handshake(ssl_.get());
    return result == 1 ? step::done : judge(result, guard, call);
}

protocol::step protocol::read(std::span<std::byte> to, std::size_t& count, const char* call) {
    count = 0;
    const openssl_call guard;
    const int result = SSL_read_ex(ssl_.get(), to.data(), to.size(), &count);
    return result == 1 ? step::done : judge(result, guard, call);
}

std::size_t protocol::write(std::span<const iovec> pieces, std::size_t most, const char* call) {
    if (SSL_in_init(ssl_.get()) && handshake(call) == step::needs_input) return 0;
    const auto text = [](const iovec& piece) {
        return std::string_view(static_cast<const char*>(piece.iov_base), piece.iov_len);
    };
    std::unique_ptr<char[]> record;   // where small pieces become one record
    std::size_t gathered = 0, total = 0;
    const auto write_gathered = [&] {
        if (gathered) write_piece({record.get(), std::exchange(gathered, 0)}, call);
    };
    for (std::size_t i = 0; i < pieces.size() && total < most; ++i) {
        std::string_view rest = text(pieces[i]).substr(0, most - total);
        total += rest.size();
        const bool alone = pieces.size() == 1;
        while (!rest.empty()) {
            if (gathered == 0 && (alone || rest.size() >= record_size)) {
                write_piece(rest, call);
                break;
            }
            if (!record) record.reset(new char[record_size]);
            const std::size_t count = std::min(rest.size(), record_size - gathered);
            std::memcpy(record.get() + gathered, rest.data(), count);
            gathered += count;
            rest.remove_prefix(count);
            if (gathered == record_size) write_gathered();
        }
    }
    write_gathered();
    return total;
}

void protocol::write_piece(std::string_view piece, const char* call) {
    const openssl_call guard;
    std::size_t written = 0;
    if (SSL_write_ex(ssl_.get(), piece.data(), piece.size(), &written) != 1) fail(guard, call);
}

void protocol::end() noexcept {
    if (failed_ || SSL_is_init_finished(ssl_.get()) != 1 || (SSL_get_shutdown(ssl_.get()) & SSL_SENT_SHUTDOWN)) return;
    const openssl_call guard;
    SSL_shutdown(ssl_.get());
}

// What went wrong.

protocol::step protocol::judge(int result, const openssl_call& guard, const char* call) {
    if (out_of_memory_) throw std::bad_alloc();
    switch (SSL_get_error(ssl_.get(), result)) {
        case SSL_ERROR_WANT_READ: return step::needs_input;
        case SSL_ERROR_ZERO_RETURN: return step::ended;
        default: fail(guard, call);
    }
}

tls_errc protocol::classify(const error_report& report) const {
    if (report.library != ERR_LIB_SSL) return tls_errc::protocol_error;
    if (report.reason > SSL_AD_REASON_OFFSET && report.reason <= SSL_AD_REASON_OFFSET + 255) return tls_errc::refused_by_peer;
    switch (report.reason) {
        case SSL_R_CERTIFICATE_VERIFY_FAILED:
            return classify_certificate(SSL_get_verify_result(ssl_.get()));
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
            return tls_errc::certificate_required;
        case SSL_R_NO_SHARED_CIPHER:
        case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
        case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
        case SSL_R_NO_SUITABLE_KEY_SHARE:
        case SSL_R_NO_APPLICATION_PROTOCOL:
        case SSL_R_NO_PROTOCOLS_AVAILABLE:
        case SSL_R_UNSUPPORTED_PROTOCOL:
        case SSL_R_VERSION_TOO_LOW:
            return tls_errc::no_common_parameters;
        default:
            return tls_errc::protocol_error;
    }
}

void protocol::fail(const openssl_call& guard, const char* call) {
    failed_ = true;
    if (out_of_memory_) throw std::bad_alloc();
    const error_report report = guard.errors();
    std::string detail = report.text;
    if (report.library == ERR_LIB_SSL && report.reason == SSL_R_CERTIFICATE_VERIFY_FAILED && !certificate_fault_.empty())
        detail = certificate_fault_;
    raise(classify(report), detail, report.text, call);
}

void protocol::raise(tls_errc code, const std::string& detail, const std::string& openssl_text, const char* call) const {
    std::string text = std::string(call) + ' ' + peer_;
    if (!detail.empty()) text += ": " + detail;
    throw tls_error(code, text, openssl_text);
}

void protocol::throw_truncated(const char* call) const {
    raise(tls_errc::truncated, SSL_is_init_finished(ssl_.get()) ? "" : "in the handshake", {}, call);
}

void protocol::throw_flooded(const char* call) {
    failed_ = true;
    raise(tls_errc::protocol_error, "the peer asks for answers (new keys, say) and does not read them", {}, call);
}

bool protocol::awaits_tickets() const noexcept {
    return !context_->is_server && !ticket_came_ && SSL_version(ssl_.get()) == TLS1_3_VERSION;
}

tls_info protocol::info() const {
    const openssl_call guard;
    SSL* const ssl = ssl_.get();
    tls_info result;
    result.version = SSL_get_version(ssl);
    result.cipher = SSL_get_cipher_name(ssl);
    result.resumed = SSL_session_reused(ssl) == 1;
    const unsigned char* alpn = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl, &alpn, &size);
    if (alpn) result.alpn_protocol.assign(reinterpret_cast<const char*>(alpn), size);
    if (const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)) result.server_name = name;
    if (const X509* const shown = SSL_get0_peer_certificate(ssl)) result.peer = describe(*shown);
    return result;
}

}  // namespace weft::tls_layer
