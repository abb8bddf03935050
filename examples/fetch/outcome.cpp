#include "outcome.hpp"

#include <weft/dns.hpp>
#include <weft/error.hpp>
#include <weft/tls.hpp>

#include <exception>
#include <system_error>

namespace fetch {
namespace {

outcome classify(const std::error_code& code) {
    if (code == weft::dns_errc::not_found || code == weft::dns_errc::no_data)
        return outcome::no_such_name;
    if (code.category() == weft::dns_category())
        return outcome::name_unresolved;
    if (code == weft::tls_errc::truncated)
        return outcome::truncated;
    if (code == weft::tls_errc::certificate_expired || code == weft::tls_errc::certificate_not_yet_valid ||
        code == weft::tls_errc::unknown_authority || code == weft::tls_errc::host_mismatch ||
        code == weft::tls_errc::certificate_invalid)
        return outcome::untrusted;
    if (code.category() == weft::tls_category())
        return outcome::no_tls;
    if (code == std::errc::connection_refused)
        return outcome::refused;
    if (code == std::errc::network_unreachable || code == std::errc::host_unreachable)
        return outcome::unreachable;
    if (code == std::errc::connection_reset || code == std::errc::broken_pipe)
        return outcome::connection_lost;
    if (code == std::errc::timed_out)
        return outcome::timed_out;
    return outcome::failed;
}

}  // namespace

const char* to_string(outcome value) {
    switch (value) {
    case outcome::ok:
        return "ok";
    case outcome::http_error:
        return "HTTP error";
    case outcome::no_such_name:
        return "no such name";
    case outcome::name_unresolved:
        return "name not resolved";
    case outcome::refused:
        return "connection refused";
    case outcome::unreachable:
        return "unreachable";
    case outcome::connection_lost:
        return "connection lost";
    case outcome::no_answer:
        return "closed without an answer";
    case outcome::truncated:
        return "truncated answer";
    case outcome::malformed:
        return "malformed answer";
    case outcome::too_large:
        return "too large";
    case outcome::too_many_redirects:
        return "too many redirects";
    case outcome::untrusted:
        return "not trusted";
    case outcome::no_tls:
        return "TLS failed";
    case outcome::timed_out:
        return "timed out";
    case outcome::not_written:
        return "not written";
    case outcome::unfinished:
        return "not finished";
    case outcome::failed:
        return "failed";
    }
    return "failed";
}

failure current_failure() {
    try {
        throw;
    } catch (const fetch_error& error) {
        return {error.kind(), error.what()};
    } catch (const weft::timeout_error&) {
        return {outcome::timed_out, {}};
    } catch (const std::system_error& error) {
        return {classify(error.code()), error.what()};
    } catch (const std::exception& error) {
        return {outcome::failed, error.what()};
    }
}

}  // namespace fetch
