#pragma once

/// How the layer fails: always the same sentence, "getaddrinfo: mail.example: there is no such name".

#include <string>
#include <string_view>

#include <weft/dns.hpp>

namespace weft::dns_layer {

/// Throws std::system_error in dns_category(). \param call and `what` (a name, a service) stand before the
/// reason.
[[noreturn]] void throw_dns_error(dns_errc code, std::string_view call, std::string_view what);

/// Throws std::invalid_argument. \param why follows the value, which is quoted: `"a..b" has an empty label`.
[[noreturn]] void throw_invalid(std::string_view call, std::string_view value, std::string_view why);

}  // namespace weft::dns_layer
