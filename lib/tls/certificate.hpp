#pragma once

/// Certificates and keys: read from PEM, and told about.

#include <string>
#include <string_view>
#include <vector>

#include <weft/tls.hpp>

#include "tls/openssl.hpp"

namespace weft::tls_layer {

/// What a side shows of itself.
struct identity {
    certificate_ptr certificate;
    certificates_ptr chain;   // the authorities between it and the root; never null
    key_ptr key;
};

/// A PEM text and where it is from, for messages.
struct pem_source {
    std::string text;
    std::string name;
};

/// Throws std::invalid_argument for a path with a zero byte: the system would read another file.
void require_path(const std::string& path, const char* call);
/// The whole file. Errors: std::system_error naming the call and the path; of require_path.
pem_source read_pem_file(const std::string& path, const char* call);

/// Errors of these: tls_error(unusable_certificate) naming the call and the source.
identity read_identity(const pem_source& certificates, const pem_source& key, const std::string& password, const char* call);
certificates_ptr read_certificates(const pem_source& certificates, const char* call, bool may_be_none = false);
/// The revocation lists in it; there need be none.
std::vector<crl_ptr> read_revocation_lists(const pem_source& source, const char* call);

tls_certificate describe(const X509& certificate);
std::string subject_of(const X509& certificate);
/// Names and addresses of hosts.
std::vector<std::string> names_of(const X509& certificate);
std::string time_text(const ASN1_TIME* time);

}  // namespace weft::tls_layer
