#include "dns/name.hpp"

#include <algorithm>

#include "dns/error.hpp"

namespace weft::dns_layer {
namespace {

constexpr std::size_t longest_name = 253;
constexpr std::size_t longest_label = 63;

bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}
bool host_character(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '-' || c == '_';
}
bool query_character(char c) noexcept {
    return c > ' ' && c < '\x7f' && c != '\\';
}

/// Null if the name is well formed, else what is wrong with it. \param name without the last dot
const char* flaw(std::string_view name, bool (*allowed)(char) noexcept) noexcept {
    if (name.empty())
        return "is no name";
    std::size_t label = 0;
    for (const char c : name) {
        if (c == '.') {
            if (label == 0)
                return "has an empty label";
            label = 0;
        } else if (!allowed(c)) {
            return "has a character that no such name may have";
        } else if (++label > longest_label) {
            return "has a label of more than 63 characters";
        }
    }
    if (label == 0)
        return "has an empty label";
    if (name.size() > longest_name)
        return "is longer than 253 characters";
    return nullptr;
}

const char* host_flaw(std::string_view name) noexcept {
    if (const char* why = flaw(name, host_character))
        return why;
    if (name.front() == '-')
        return "begins with a hyphen";
    // "127.1", "10.0.0.256": the C library reads some of these as addresses. No host's last label is a number
    // (RFC 1123, 2.1).
    const std::string_view last = name.substr(name.rfind('.') + 1);
    if (std::all_of(last.begin(), last.end(), is_digit))
        return "is neither an address nor a name";
    return nullptr;
}

domain_name checked(std::string_view call, std::string_view name,
                    const char* (*flaw_of)(std::string_view) noexcept) {
    domain_name result;
    std::string_view text = name;
    if (text.size() > 1 && text.back() == '.') {
        text.remove_suffix(1);
        result.absolute = true;
    }
    if (const char* why = flaw_of(text))
        throw_invalid(call, name, why);
    result.text = lower_case(text);
    return result;
}

}  // namespace

domain_name check_host_name(std::string_view call, std::string_view name) {
    return checked(call, name, host_flaw);
}

domain_name check_query_name(std::string_view call, std::string_view name) {
    return checked(call, name, [](std::string_view text) noexcept { return flaw(text, query_character); });
}

bool is_host_name(std::string_view name) noexcept {
    return flaw(name, host_character) == nullptr;
}

bool is_localhost(std::string_view name) noexcept {
    return name == "localhost" || name.ends_with(".localhost");
}

std::string lower_case(std::string_view text) {
    std::string lower(text);
    for (char& c : lower)
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c - 'A' + 'a');
    return lower;
}

}  // namespace weft::dns_layer
