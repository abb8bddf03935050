#include "url.hpp"

#include "format.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <tuple>
#include <vector>

namespace fetch {
namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::string lower(std::string_view text) {
    std::string result(text);
    for (char& c : result) {
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c - 'A' + 'a');
    }
    return result;
}

bool is_address(int family, std::string_view text) {
    std::array<unsigned char, 16> address{};
    return inet_pton(family, std::string(text).c_str(), address.data()) == 1;
}

std::uint16_t default_port(std::string_view scheme) {
    return scheme == "https" ? 443 : 80;
}

// Blanks, control characters and bytes above ASCII must be percent-encoded; the others here end a URL in
// running text. Braces, bars and the like are as illegal by the letter, but stand in many a query that works.
void check_characters(std::string_view text) {
    for (char c : text) {
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '<' || c == '>' || c == '\\') {
            throw url_error("illegal character " + quoted(std::string_view(&c, 1)) + " in " + quoted(text));
        }
    }
}

struct reference_parts {
    std::string_view path, query;  // query: with its '?'
};

reference_parts split(std::string_view reference) {
    reference = reference.substr(0, reference.find('#'));
    const std::size_t query = std::min(reference.find('?'), reference.size());
    return {reference.substr(0, query), reference.substr(query)};
}

// RFC 3986, 5.2.4: "/a/./b/../c" is "/a/c", and nothing climbs above the root.
std::string remove_dot_segments(std::string_view path) {
    std::vector<std::string_view> kept;
    bool ends_with_slash = false;
    while (!path.empty()) {
        path.remove_prefix(1);  // the '/' in front of each segment
        const std::size_t end = std::min(path.find('/'), path.size());
        const std::string_view segment = path.substr(0, end);
        path.remove_prefix(end);
        ends_with_slash = segment == "." || segment == "..";
        if (segment == ".." && !kept.empty())
            kept.pop_back();
        if (!ends_with_slash)
            kept.push_back(segment);
    }
    std::string result;
    for (std::string_view segment : kept)
        result.append("/").append(segment);
    if (ends_with_slash || result.empty())
        result += '/';
    return result;
}

// "host", "host:port", "[address]", "[address]:port"
std::pair<std::string, std::string_view> split_authority(std::string_view authority, std::string_view text) {
    if (authority.find('@') != authority.npos)
        throw url_error("user names are not supported: " + quoted(text));
    std::size_t end = authority.find(':');
    std::string_view host = authority.substr(0, end);
    if (authority.starts_with('[')) {
        const std::size_t bracket = authority.find(']');
        if (bracket == authority.npos)
            throw url_error("']' is missing in " + quoted(text));
        host = authority.substr(1, bracket - 1);
        if (!is_address(AF_INET6, host))
            throw url_error(quoted(host) + " is not an IPv6 address in " + quoted(text));
        end = bracket + 1;
        if (end < authority.size() && authority[end] != ':') {
            throw url_error("only a port may follow the ']' in " + quoted(text));
        }
    }
    const std::string_view port = end < authority.size() ? authority.substr(end + 1) : std::string_view{};
    return {lower(host), port};
}

bool has_scheme(std::string_view reference) {
    const std::size_t colon = reference.find(':');
    return colon != reference.npos && is_letter(reference[0]) &&
           std::all_of(reference.begin(), reference.begin() + static_cast<std::ptrdiff_t>(colon), [](char c) {
               return is_letter(c) || is_digit(c) || c == '+' || c == '-' || c == '.';
           });
}

}  // namespace

std::string url::authority() const {
    std::string result = host;
    if (host.find(':') != host.npos)
        result = std::string("[").append(host).append("]");
    if (port != default_port(scheme))
        result.append(":").append(std::to_string(port));
    return result;
}

std::string url::to_string() const {
    return scheme + "://" + authority() + target;
}

void check_host(std::string_view host) {
    if (is_address(AF_INET, host) || is_address(AF_INET6, host))
        return;
    const std::string named = "host name " + quoted(host);
    if (host.empty())
        throw url_error("the host name is missing");
    std::string_view rest = host;
    if (rest.ends_with('.'))
        rest.remove_suffix(1);  // a name that is complete as it stands
    if (rest.size() > 253)
        throw url_error(named + " is longer than 253 characters");
    std::string_view label;
    for (bool more = true; more;) {
        const std::size_t dot = rest.find('.');
        label = rest.substr(0, dot);
        more = dot != rest.npos;
        if (more)
            rest.remove_prefix(dot + 1);
        if (label.empty())
            throw url_error(named + " has an empty part");
        if (label.size() > 63)
            throw url_error(named + " has a part longer than 63 characters");
        for (const char& c : label) {
            if (!is_letter(c) && !is_digit(c) && c != '-' && c != '_') {
                throw url_error("illegal character " + quoted(std::string_view(&c, 1)) + " in " + named);
            }
        }
        if (label.front() == '-' || label.back() == '-')
            throw url_error(named + " has a part that begins or ends with '-'");
    }
    // No top-level domain is a number: this is a mistyped address, not a name to ask a server for.
    if (std::all_of(label.begin(), label.end(), is_digit))
        throw url_error(quoted(host) + " is not an IPv4 address");
}

std::uint16_t parse_port(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    const bool number = !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
    if (!number)
        throw url_error("port " + quoted(text) + " is not a number");
    if (error != std::errc{} || end != text.data() + text.size() || port == 0) {
        throw url_error("port " + std::string(text) + " is out of range (1 to 65535)");
    }
    return port;
}

url parse_url(std::string_view text) {
    check_characters(text);
    const std::size_t colon = text.find("://");
    if (colon == text.npos)
        throw url_error(quoted(text) + " is not an absolute URL (http://HOST/...)");
    url result;
    result.scheme = lower(text.substr(0, colon));
    if (result.scheme != "http" && result.scheme != "https") {
        throw url_error("unknown scheme " + quoted(result.scheme) + " in " + quoted(text));
    }
    std::string_view rest = text.substr(colon + 3);
    const std::size_t end = std::min(rest.find_first_of("/?#"), rest.size());
    std::string_view port;
    std::tie(result.host, port) = split_authority(rest.substr(0, end), text);
    try {
        check_host(result.host);
        result.port = port.empty() ? default_port(result.scheme) : parse_port(port);
    } catch (const url_error& error) {
        throw url_error(std::string(error.what()) + " in " + quoted(text));
    }
    const reference_parts parts = split(rest.substr(end));
    result.target = remove_dot_segments(parts.path).append(parts.query);
    return result;
}

url resolve(const url& base, std::string_view reference) {
    if (has_scheme(reference))
        return parse_url(reference);
    if (reference.starts_with("//"))
        return parse_url(base.scheme + ":" + std::string(reference));
    const reference_parts wanted = split(reference);
    const reference_parts here = split(base.target);
    std::string target;
    if (wanted.path.starts_with('/')) {
        target.append(wanted.path).append(wanted.query);
    } else if (!wanted.path.empty()) {
        const std::string_view folder = here.path.substr(0, here.path.rfind('/') + 1);
        target.append(folder).append(wanted.path).append(wanted.query);
    } else {
        target.append(here.path).append(wanted.query.empty() ? here.query : wanted.query);
    }
    return parse_url(base.scheme + "://" + base.authority() + target);
}

}  // namespace fetch
