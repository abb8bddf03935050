#include "dns/error.hpp"

#include <stdexcept>

namespace weft {
namespace {

class category final : public std::error_category {
public:
    const char* name() const noexcept override { return "dns"; }

    std::string message(int value) const override {
        switch (static_cast<dns_errc>(value)) {
        case dns_errc::not_found:
            return "there is no such name";
        case dns_errc::no_data:
            return "the name has no record of that kind";
        case dns_errc::timeout:
            return "no name server answered in time";
        case dns_errc::server_failure:
            return "the name servers failed";
        case dns_errc::refused:
            return "the name servers refused to answer";
        case dns_errc::format_error:
            return "the name server did not understand the question";
        case dns_errc::not_implemented:
            return "the name servers do not answer such questions";
        case dns_errc::bad_response:
            return "the name server's answer is malformed";
        case dns_errc::connection_refused:
            return "no name server could be reached";
        case dns_errc::cancelled:
            return "the resolver was destroyed before the answer came";
        case dns_errc::unknown_service:
            return "there is no such service";
        case dns_errc::no_memory:
            return "no memory for the question";
        case dns_errc::other:
            return "name resolution failed";
        }
        return "unknown error " + std::to_string(value);
    }

    std::error_condition default_error_condition(int value) const noexcept override {
        switch (static_cast<dns_errc>(value)) {
        case dns_errc::timeout:
            return std::errc::timed_out;
        case dns_errc::connection_refused:
            return std::errc::connection_refused;
        case dns_errc::no_memory:
            return std::errc::not_enough_memory;
        default:
            return {value, *this};
        }
    }
};

/// What a server or a caller sent, fit for a terminal and a log.
std::string printable(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (out.size() > 300)
            return out += "...";
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte < 0x7f) {
            out += c;
        } else {
            constexpr char digits[] = "0123456789abcdef";
            out += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
        }
    }
    return out;
}

}  // namespace

const std::error_category& dns_category() noexcept {
    static const category instance;
    return instance;
}

namespace dns_layer {

void throw_dns_error(dns_errc code, std::string_view call, std::string_view what) {
    throw std::system_error(make_error_code(code), std::string(call) + ": " + printable(what));
}

void throw_invalid(std::string_view call, std::string_view value, std::string_view why) {
    throw std::invalid_argument(std::string(call) + ": \"" + printable(value) + "\" " + std::string(why));
}

}  // namespace dns_layer
}  // namespace weft
