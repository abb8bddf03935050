#include <string>

#include <weft/tls.hpp>

#include "tls/openssl.hpp"

namespace weft {
namespace {

class category final : public std::error_category {
public:
    const char* name() const noexcept override { return "tls"; }

    std::string message(int value) const override {
        switch (static_cast<tls_errc>(value)) {
            case tls_errc::certificate_expired: return "the certificate has expired";
            case tls_errc::certificate_not_yet_valid: return "the certificate is not valid yet";
            case tls_errc::unknown_authority: return "the certificate does not come from a trusted authority";
            case tls_errc::host_mismatch: return "the certificate is for another host";
            case tls_errc::certificate_revoked: return "the certificate has been revoked";
            case tls_errc::certificate_invalid: return "the certificate is not acceptable";
            case tls_errc::certificate_required: return "the client showed no certificate";
            case tls_errc::refused_by_peer: return "the peer refused";
            case tls_errc::no_common_parameters: return "both sides allow no common version, cipher or protocol";
            case tls_errc::truncated: return "the connection ended before TLS's end of it: it may be cut short";
            case tls_errc::protocol_error: return "what came is not proper TLS";
            case tls_errc::unusable_certificate: return "unusable certificate or key";
            case tls_errc::other: return "TLS failed";
        }
        return "unknown error " + std::to_string(value);
    }
};

}  // namespace

const std::error_category& tls_category() noexcept {
    static const category instance;
    return instance;
}

tls_error::tls_error(tls_errc code, const std::string& what, std::string openssl_text)
    : std::system_error(code, what), text_(std::make_shared<const std::string>(std::move(openssl_text))) {}

namespace tls_layer {

error_report openssl_call::errors() const {
    error_report report;
    const char* data = nullptr;
    int flags = 0;
    while (const unsigned long code = ERR_get_error_all(nullptr, nullptr, nullptr, &data, &flags)) {
        const int library = ERR_GET_LIB(code);
        if (report.library == 0 || (library == ERR_LIB_SSL && report.library != ERR_LIB_SSL)) {
            report.library = library;
            report.reason = ERR_GET_REASON(code);
        }
        if (!report.text.empty()) report.text += "; ";
        const char* reason = ERR_reason_error_string(code);
        report.text += reason ? reason : "error " + std::to_string(code);
        if ((flags & ERR_TXT_STRING) && data && *data) report.text += std::string(" (") + data + ')';
    }
    return report;
}

std::string printable(std::string_view text) {
    std::string result;
    for (const char c : text) {
        if (result.size() > 300) return result += "...";
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte < 0x7f) {
            result += c;
        } else {
            constexpr char digits[] = "0123456789abcdef";
            result += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
        }
    }
    return result;
}

}  // namespace tls_layer
}  // namespace weft
