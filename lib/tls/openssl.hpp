#pragma once

/// OpenSSL's objects as owners that free them, and the rule for calling it.
///
/// OpenSSL keeps a queue of errors for each thread, and so for all fibers of one. Every call that can fail is made as
///
///     openssl_call call;              // empties the queue
///     if (SSL_...(...) != 1) ... call.errors() ...
///
/// and no fiber is switched before the openssl_call is gone: it leaves the queue empty. BIOs here are memory, so nothing
/// suspends inside OpenSSL.

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

namespace weft::tls_layer {

template <auto Free>
struct freed_by {
    template <class T>
    void operator()(T* object) const noexcept {
        Free(object);
    }
};
inline void free_certificates(STACK_OF(X509) * all) noexcept { sk_X509_pop_free(all, X509_free); }
inline void free_openssl_text(char* text) noexcept { OPENSSL_free(text); }

using bio_ptr = std::unique_ptr<BIO, freed_by<BIO_free>>;
using certificate_ptr = std::unique_ptr<X509, freed_by<X509_free>>;
using crl_ptr = std::unique_ptr<X509_CRL, freed_by<X509_CRL_free>>;
using certificates_ptr = std::unique_ptr<STACK_OF(X509), freed_by<free_certificates>>;
using key_ptr = std::unique_ptr<EVP_PKEY, freed_by<EVP_PKEY_free>>;
using session_ptr = std::unique_ptr<SSL_SESSION, freed_by<SSL_SESSION_free>>;
using ssl_ptr = std::unique_ptr<SSL, freed_by<SSL_free>>;
using ssl_ctx_ptr = std::unique_ptr<SSL_CTX, freed_by<SSL_CTX_free>>;
using text_ptr = std::unique_ptr<char, freed_by<free_openssl_text>>;

/// What OpenSSL had to say about a call that failed.
struct error_report {
    int library = 0;        // with the reason: of TLS's first error, which says what that means for it; else of the first
    int reason = 0;
    std::string text;       // of all
};

class openssl_call {
public:
    openssl_call() noexcept { ERR_clear_error(); }
    ~openssl_call() { ERR_clear_error(); }
    openssl_call(const openssl_call&) = delete;
    openssl_call& operator=(const openssl_call&) = delete;

    /// Takes what is in the queue.
    error_report errors() const;
};

/// Fit for a terminal and a log.
std::string printable(std::string_view text);

/// Throws bad_alloc for the null that OpenSSL returns without memory.
template <class Owner, class T>
Owner own(T* object) {
    if (!object) throw std::bad_alloc();
    return Owner(object);
}

}  // namespace weft::tls_layer
