#pragma once

/// Certificates for tests, made when they are needed: an authority, and what it signs.

#include <memory>
#include <string>
#include <vector>

#include <weft/tls.hpp>

namespace tls_test {

/// A certificate and its key, in PEM form.
struct signed_certificate {
    weft::pem certificate, key;
};

struct wanted_certificate {
    std::string common_name = "somebody";
    std::vector<std::string> names = {"DNS:localhost", "IP:127.0.0.1", "IP:::1"};   // as subjectAltName is written
    int valid_from_days = -1;   // from now
    int valid_to_days = 30;
    bool authority = false;
};

class authority {
public:
    explicit authority(const std::string& name = "weft test root");
    ~authority();
    authority(authority&&) noexcept;

    weft::pem certificate() const;
    signed_certificate issue(const wanted_certificate& wanted = {}) const;
    /// An authority below this one.
    authority intermediate(const std::string& name) const;
    /// Its list of what it has revoked. \param valid_to_days from now
    weft::pem revocation_list(const std::vector<weft::pem>& revoked, int valid_to_days = 30) const;

private:
    struct state;
    explicit authority(std::unique_ptr<state> made);
    std::unique_ptr<state> state_;
};

signed_certificate self_signed(const wanted_certificate& wanted = {});
/// The key, encrypted.
weft::pem encrypted(const weft::pem& key, const std::string& password);
/// A key and its certificate that are too short for these times (RSA, 512 bits).
signed_certificate short_key();

/// One authority for all tests, and one server's certificate of it for localhost, 127.0.0.1 and ::1.
const authority& root();
const signed_certificate& localhost();

weft::tls_context server_context();
/// Trusts root() alone.
weft::tls_context client_context();

}  // namespace tls_test
