#include "dialer.hpp"

#include "outcome.hpp"

#include <exception>
#include <system_error>
#include <utility>

namespace fetch {

dialer::dialer(weft::tls_context tls) : tls_(std::move(tls)) {}

dialer::dialer(const std::string& server, std::chrono::milliseconds retry_after, weft::tls_context tls)
    : tls_(std::move(tls)) {
    weft::resolver_options settings;
    settings.servers = {server};
    settings.timeout = retry_after;
    resolver_.emplace(settings);
}

// open_connection would begin TLS itself, with {.tls = &tls_}; here a failure of TLS is to be told from one of the
// connection.
weft::stream dialer::connect(const std::string& host, std::uint16_t port, bool secure) {
    weft::stream connected = connect_plain(host, port);
    if (!secure)
        return connected;
    try {
        connected.start_tls(tls_, host);
    } catch (const std::system_error& error) {
        const failure judged = current_failure();
        if (judged.kind == outcome::untrusted)
            throw;
        throw fetch_error(outcome::no_tls, error.what());
    }
    return connected;
}

weft::stream dialer::connect_plain(const std::string& host, std::uint16_t port) {
    if (!resolver_)
        return weft::open_connection(host, port);
    std::exception_ptr last;
    for (const weft::address_info& found : resolver_->resolve(host)) {
        try {
            return weft::open_connection(found.address.host(), port);
        } catch (const std::system_error&) {
            last = std::current_exception();
        }
    }
    if (last)
        std::rethrow_exception(last);
    throw std::system_error(weft::dns_errc::no_data, host);
}

}  // namespace fetch
