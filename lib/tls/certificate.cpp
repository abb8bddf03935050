#include "tls/certificate.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <stdexcept>

namespace weft::tls_layer {
namespace {

bio_ptr memory(const std::string& text) {
    return own<bio_ptr>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string text_in(BIO* bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

[[noreturn]] void unusable(const char* call, const pem_source& source, const char* what, const error_report& report) {
    std::string text = std::string(call) + ": " + source.name + ": " + what;
    if (!report.text.empty()) text += " (" + report.text + ')';
    throw tls_error(tls_errc::unusable_certificate, text, report.text);
}

// Without this OpenSSL would ask the terminal.
int give_password(char* to, int room, int, void* password) noexcept {
    const std::string& given = *static_cast<const std::string*>(password);
    if (given.empty() || given.size() > static_cast<std::size_t>(room)) return -1;
    std::memcpy(to, given.data(), given.size());
    return static_cast<int>(given.size());
}

std::string hexadecimal(const unsigned char* bytes, std::size_t size) {
    constexpr char digits[] = "0123456789abcdef";
    std::string result;
    for (std::size_t i = 0; i < size; ++i) result += {digits[bytes[i] >> 4], digits[bytes[i] & 15]};
    return result;
}

std::string name_text(const X509_NAME* name) {
    const bio_ptr bio = own<bio_ptr>(BIO_new(BIO_s_mem()));
    X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253);   // escapes what is not printable
    return text_in(bio.get());
}

std::chrono::system_clock::time_point time_of(const ASN1_TIME* time) {
    std::tm parts{};
    if (!time || ASN1_TIME_to_tm(time, &parts) != 1) return {};
    using time_point = std::chrono::system_clock::time_point;
    using std::chrono::seconds;
    const seconds since(::timegm(&parts));
    // Many certificates are valid to the end of 9999 (RFC 5280, 4.1.2.5), which the clock's nanoseconds do not reach.
    if (since >= std::chrono::floor<seconds>(time_point::max().time_since_epoch())) return time_point::max();
    if (since <= std::chrono::ceil<seconds>(time_point::min().time_since_epoch())) return time_point::min();
    return time_point(since);
}

}  // namespace

void require_path(const std::string& path, const char* call) {
    if (path.find('\0') != path.npos)
        throw std::invalid_argument(std::string(call) + ": path: a zero byte in \"" + printable(path) + '"');
}

pem_source read_pem_file(const std::string& path, const char* call) {
    require_path(path, call);
    const auto failure = [&] {
        return std::system_error(errno, std::generic_category(), std::string(call) + ": \"" + printable(path) + '"');
    };
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) throw failure();
    const struct closing {
        int fd;
        ~closing() { ::close(fd); }
    } guard{fd};
    pem_source result{{}, '"' + printable(path) + '"'};
    std::array<char, 16 * 1024> part;
    constexpr std::size_t most = 64 * 1024 * 1024;   // beyond this it is something else, /dev/zero perhaps
    while (result.text.size() < most) {
        const ssize_t count = ::read(fd, part.data(), part.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) throw failure();
        if (count == 0) return result;
        result.text.append(part.data(), static_cast<std::size_t>(count));
    }
    errno = EFBIG;
    throw failure();
}

std::vector<crl_ptr> read_revocation_lists(const pem_source& source, const char* call) {
    const openssl_call guard;
    const bio_ptr bio = memory(source.text);
    std::vector<crl_ptr> result;
    while (crl_ptr next{PEM_read_bio_X509_CRL(bio.get(), nullptr, nullptr, nullptr)}) result.push_back(std::move(next));
    const unsigned long last = ERR_peek_last_error();
    const bool at_end = ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
    if (!at_end) unusable(call, source, "a revocation list cannot be read", guard.errors());
    return result;
}

certificates_ptr read_certificates(const pem_source& source, const char* call, bool may_be_none) {
    const openssl_call guard;
    const bio_ptr bio = memory(source.text);
    certificates_ptr result = own<certificates_ptr>(sk_X509_new_null());
    while (certificate_ptr next{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
        if (sk_X509_push(result.get(), next.get()) <= 0) throw std::bad_alloc();
        static_cast<void>(next.release());
    }
    const unsigned long last = ERR_peek_last_error();
    const bool at_end = ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
    if (!at_end) unusable(call, source, "a certificate cannot be read", guard.errors());
    if (sk_X509_num(result.get()) == 0 && !may_be_none) unusable(call, source, "there is no certificate in PEM form", {});
    return result;
}

identity read_identity(const pem_source& certificates, const pem_source& key, const std::string& password,
                       const char* call) {
    identity result;
    result.chain = read_certificates(certificates, call);
    result.certificate.reset(sk_X509_shift(result.chain.get()));
    const openssl_call guard;
    const bio_ptr bio = memory(key.text);
    result.key.reset(PEM_read_bio_PrivateKey(bio.get(), nullptr, give_password, const_cast<std::string*>(&password)));
    if (!result.key) {
        const bool encrypted = key.text.find("ENCRYPTED") != std::string::npos;
        unusable(call, key,
                 !encrypted         ? "there is no private key in PEM form"
                 : password.empty() ? "the private key is encrypted, and no password was given"
                                    : "the private key cannot be decrypted: is it another password?",
                 guard.errors());
    }
    if (X509_check_private_key(result.certificate.get(), result.key.get()) != 1)
        unusable(call, key, ("the private key does not belong to the certificate in " + certificates.name).c_str(),
                 guard.errors());
    return result;
}

std::string subject_of(const X509& certificate) { return name_text(X509_get_subject_name(&certificate)); }

std::vector<std::string> names_of(const X509& certificate) {
    std::vector<std::string> result;
    const std::unique_ptr<GENERAL_NAMES, freed_by<GENERAL_NAMES_free>> names(static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr)));
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
        const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
        if (name->type != GEN_DNS && name->type != GEN_IPADD) continue;
        const ASN1_STRING* const value = name->type == GEN_DNS ? name->d.dNSName : name->d.iPAddress;
        const unsigned char* const data = ASN1_STRING_get0_data(value);
        const auto size = static_cast<std::size_t>(ASN1_STRING_length(value));
        char address[INET6_ADDRSTRLEN] = {};
        if (name->type == GEN_DNS) result.push_back(printable({reinterpret_cast<const char*>(data), size}));
        else if ((size == 4 && ::inet_ntop(AF_INET, data, address, sizeof address)) ||
                 (size == 16 && ::inet_ntop(AF_INET6, data, address, sizeof address)))
            result.emplace_back(address);
    }
    return result;
}

std::string time_text(const ASN1_TIME* time) {
    const bio_ptr bio = own<bio_ptr>(BIO_new(BIO_s_mem()));
    return time && ASN1_TIME_print(bio.get(), time) == 1 ? text_in(bio.get()) : "a time that cannot be read";
}

tls_certificate describe(const X509& certificate) {
    const openssl_call guard;
    const X509* const c = &certificate;
    tls_certificate result;
    result.subject = subject_of(certificate);
    result.issuer = name_text(X509_get_issuer_name(c));
    result.names = names_of(certificate);
    result.not_before = time_of(X509_get0_notBefore(c));
    result.not_after = time_of(X509_get0_notAfter(c));
    const std::unique_ptr<BIGNUM, freed_by<BN_free>> serial(ASN1_INTEGER_to_BN(X509_get0_serialNumber(c), nullptr));
    if (serial) {
        std::string bytes(static_cast<std::size_t>(std::max(1, BN_num_bytes(serial.get()))), '\0');
        BN_bn2binpad(serial.get(), reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
        result.serial_number = hexadecimal(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    }
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (X509_digest(c, EVP_sha256(), digest, &size) == 1) result.sha256 = hexadecimal(digest, size);
    const bio_ptr bio = own<bio_ptr>(BIO_new(BIO_s_mem()));
    if (PEM_write_bio_X509(bio.get(), c) == 1) result.pem = text_in(bio.get());
    return result;
}

}  // namespace weft::tls_layer
