#pragma once

/// What may be asked for: the rules of names, and their canonical form.
///
/// A host name consists of letters, digits, hyphens and, since many have them, underscores; a name in a query
/// may have any printable character but the backslash (classless reverse zones have a slash, wildcards an
/// asterisk). Names beyond ASCII come in their xn-- form.

#include <string>
#include <string_view>

namespace weft::dns_layer {

struct domain_name {
    std::string text;       // lower case, without the last dot
    bool absolute = false;  // it had a last dot: not to be completed by the search list
};

/// Throws std::invalid_argument naming the value and what is wrong with it.
domain_name check_host_name(std::string_view call, std::string_view name);
domain_name check_query_name(std::string_view call, std::string_view name);

/// Whether a name that a server sent is a host name: none other is handed out as one.
bool is_host_name(std::string_view name) noexcept;

/// localhost or *.localhost. \param name lower case, without the last dot
bool is_localhost(std::string_view name) noexcept;

std::string lower_case(std::string_view text);

}  // namespace weft::dns_layer
