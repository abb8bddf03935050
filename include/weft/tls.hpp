#pragma once

/// TLS for streams: tls_context (ssl.SSLContext), what it negotiated, and its errors.
///
///     weft::tls_context tls = weft::tls_context::client();
///     weft::stream s = weft::open_connection("example.org", 443, {.tls = &tls});
///
/// A connection that is told to use TLS either has a peer whose certificate was verified, or is closed and an error thrown;
/// to take any peer must be asked for by verify(false).

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <vector>

#include <weft/detail/config.hpp>
#include <weft/stream.hpp>

namespace weft {

namespace tls_layer {
struct context_state;
}

/// Why TLS failed.
enum class tls_errc {
    certificate_expired = 1,     ///< the peer's certificate, or one above it, is no longer valid
    certificate_not_yet_valid,
    unknown_authority,           ///< no chain from the peer's certificate to one that is trusted; self-signed ones, too
    host_mismatch,               ///< the peer's certificate is for other names than the one that was connected to
    certificate_invalid,         ///< the peer's certificate is unusable in another way
    certificate_revoked,         ///< its authority's revocation list names the peer's certificate, or one above it
    certificate_required,        ///< the client sent no certificate, and the server requires one
    refused_by_peer,             ///< the peer ended the connection with an alert, which the text names
    no_common_parameters,        ///< no protocol version, cipher or ALPN protocol that both sides allow
    truncated,                   ///< the connection ended without TLS's own end: what came may not be all
    protocol_error,              ///< what came is not TLS, or breaks its rules
    unusable_certificate,        ///< a certificate, key or authority that a context was given
    other,
};

WEFT_API const std::error_category& tls_category() noexcept;
inline std::error_code make_error_code(tls_errc code) noexcept { return {static_cast<int>(code), tls_category()}; }

/// A failure of TLS, with a code in tls_category(); what() names the call, the peer and what OpenSSL says.
class WEFT_API tls_error : public std::system_error {
public:
    tls_error(tls_errc code, const std::string& what, std::string openssl_text);
    /// OpenSSL's own words: "certificate verify failed". May be empty.
    const std::string& openssl_text() const noexcept { return *text_; }

private:
    std::shared_ptr<const std::string> text_;
};

/// A certificate, a chain of them, or a key in PEM form, in memory where others are given as a file's path.
struct pem {
    std::string text;
};

enum class tls_version { tls_1_2, tls_1_3 };

/// Which certificate a peer must show (ssl.CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED).
enum class verify_mode {
    none,      // a client takes any, a server asks for none
    optional,  // a server: the client may show one, which then must be good; a client: as required
    required,
};

/// Which of the peer's certificates are looked for in their authorities' revocation lists (ssl.VERIFY_CRL_CHECK_LEAF,
/// VERIFY_CRL_CHECK_CHAIN).
enum class revocation_check { none, leaf, chain };

/// Which authorities a new context trusts.
enum class trusted_roots {
    system,  // those of the system (or of SSL_CERT_FILE and SSL_CERT_DIR)
    none,    // only those given to load_verify_locations
};

/// How connections use TLS, for any number of them (ssl.SSLContext).
///
/// Copies share one context. Set it up first, then use it: setting up while a handshake is under way is a data race.
/// Used, it may be shared by loops and threads. It must live while a call or a server was given its address; streams
/// that stand need it no longer.
///
/// Verification of the certificate, and of the host's name or address, is on for clients. TLS 1.2 is the oldest version spoken.
/// Compression and renegotiation are off. Sessions are resumed: a client's context keeps them for each host and port, a
/// server's hands them to its clients as tickets.
///
/// Errors:        std::system_error naming a file that cannot be read, tls_error(unusable_certificate) for what is in it,
///                std::invalid_argument. Files are read by the calling thread, which blocks.
class WEFT_API tls_context {
public:
    static tls_context client(trusted_roots roots = trusted_roots::system);
    /// \param certificate_chain  the server's own certificate, then those of the authorities between it and the root
    /// \param password           of an encrypted key
    static tls_context server(const std::string& certificate_chain_file, const std::string& key_file,
                              const std::string& password = {});
    static tls_context server(const pem& certificate_chain, const pem& key, const std::string& password = {});

    /// The certificate to show: a client's, for servers that ask for one; or in place of the server's.
    void load_cert_chain(const std::string& certificate_chain_file, const std::string& key_file,
                         const std::string& password = {});
    void load_cert_chain(const pem& certificate_chain, const pem& key, const std::string& password = {});
    /// A server's certificate for clients that ask for this host name ("www.example.org", "*.example.org").
    void add_host(const std::string& host_name, const std::string& certificate_chain_file, const std::string& key_file,
                  const std::string& password = {});
    void add_host(const std::string& host_name, const pem& certificate_chain, const pem& key,
                  const std::string& password = {});

    /// Trusts further authorities: a file of certificates, or a directory as c_rehash makes it. Both may hold revocation lists
    /// (CRLs), too, or alone.
    void load_verify_locations(const std::string& file_or_directory);
    void load_verify_locations(const pem& certificates);
    /// Default: none. Otherwise each authority concerned must have given a list that is valid now; a certificate without one is
    /// refused as certificate_invalid.
    void set_revocation_check(revocation_check which);

    /// Default: required for a client, none for a server.
    void set_verify_mode(verify_mode mode);
    /// false: takes every peer, so that whoever is in between can read and change everything.
    void verify(bool on) { set_verify_mode(on ? verify_mode::required : verify_mode::none); }
    /// false: a certificate may be for any name, but still must come from a trusted authority. A client's; default: true.
    void set_check_hostname(bool on);

    /// The application's protocols ("h2", "http/1.1"), best first. A server takes its first that the client offers too, and
    /// refuses a client that offers others only.
    void set_alpn_protocols(const std::vector<std::string>& protocols);
    void set_minimum_version(tls_version version);
    void set_maximum_version(tls_version version);
    /// Of TLS 1.2, in OpenSSL's notation; those of TLS 1.3 are all good.
    void set_ciphers(const std::string& list);
    /// How long a handshake may take until timeout_error; default: 60 s. Errors: std::invalid_argument if it is not above 0.
    void set_handshake_timeout(std::chrono::nanoseconds time);

    /// For weft itself.
    const std::shared_ptr<tls_layer::context_state>& state() const noexcept { return state_; }

private:
    explicit tls_context(std::shared_ptr<tls_layer::context_state> state) noexcept;
    std::shared_ptr<tls_layer::context_state> state_;
};

/// The certificate that a peer showed.
struct tls_certificate {
    std::string subject, issuer;         // as RFC 2253 writes them: "CN=example.org,O=Example"
    std::string serial_number;           // hexadecimal
    std::string sha256;                  // its fingerprint: 64 hexadecimal digits
    std::vector<std::string> names;      // the hosts it is for: names and addresses
    std::chrono::system_clock::time_point not_before, not_after;   // beyond the clock's (9999, say): its first, its last
    std::string pem;
};

/// What a handshake led to.
struct tls_info {
    std::string version;                     // "TLSv1.3"
    std::string cipher;                      // "TLS_AES_256_GCM_SHA384"
    std::string alpn_protocol;               // empty: none
    std::string server_name;                 // the host name that the client asked for; empty: none
    bool resumed = false;                    // an earlier session was gone on with
    std::optional<tls_certificate> peer;     // a client without a certificate has none
};

}  // namespace weft

template <>
struct std::is_error_code_enum<weft::tls_errc> : std::true_type {};
