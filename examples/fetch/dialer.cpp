#include "dialer.hpp"

#include <exception>
#include <system_error>

namespace fetch {

dialer::dialer(const std::string& server, std::chrono::milliseconds retry_after) {
    weft::resolver_options settings;
    settings.servers = {server};
    settings.timeout = retry_after;
    resolver_.emplace(settings);
}

weft::stream dialer::connect(const std::string& host, std::uint16_t port) {
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
