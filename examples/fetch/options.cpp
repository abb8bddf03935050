#include "options.hpp"

#include "format.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <map>

namespace fetch {
namespace {

// The whole of `text` as a number, and nothing else.
template <class Number> std::optional<Number> parse_number(std::string_view text) {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size())
        return std::nullopt;
    return value;
}

[[noreturn]] void refuse(std::string_view option, std::string_view value, const std::string& expected) {
    throw usage_error(std::string(option) + ": " + quoted(value) + " is not " + expected);
}

std::size_t parse_count(std::string_view option, std::string_view value) {
    constexpr std::size_t most = 100'000;
    const auto count = parse_number<std::size_t>(value);
    if (!count || *count < 1 || *count > most)
        refuse(option, value, "a whole number from 1 to " + std::to_string(most));
    return *count;
}

std::chrono::nanoseconds parse_seconds(std::string_view option, std::string_view value) {
    constexpr double most = 1e9;
    const auto seconds = parse_number<double>(value);
    const std::string expected = "a number of seconds above 0, such as 2.5";
    if (!seconds || !std::isfinite(*seconds) || *seconds < 1e-9 || *seconds > most)
        refuse(option, value, expected);
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(*seconds));
}

std::uint64_t parse_size(std::string_view option, std::string_view value) {
    static const std::map<char, std::uint64_t> units{{'k', 1'000}, {'M', 1'000'000}, {'G', 1'000'000'000}};
    std::string_view digits = value;
    std::uint64_t unit = 1;
    if (!value.empty()) {
        if (const auto found = units.find(value.back()); found != units.end()) {
            unit = found->second;
            digits.remove_suffix(1);
        }
    }
    const auto size = parse_number<std::uint64_t>(digits);
    if (!size || *size == 0 || *size > 1'000'000'000'000'000 / unit) {
        refuse(option, value, "a size in bytes, such as 500000, 500k, 20M or 1G");
    }
    return *size * unit;
}

host_and_port parse_host_and_port(std::string_view option, std::string_view value) {
    const std::size_t colon = value.rfind(':');
    const std::string_view host = value.substr(0, colon);
    // An IPv6 address without brackets has a ':' too, but none that separates a port.
    const bool bracketed = host.starts_with('[') && host.ends_with(']') && host.find(':') != host.npos;
    if (colon == value.npos || (!bracketed && host.find(':') != host.npos)) {
        refuse(option, value, "HOST:PORT, such as 127.0.0.1:53 or [::1]:53");
    }
    try {
        const std::string_view bare = bracketed ? host.substr(1, host.size() - 2) : host;
        check_host(bare);
        return {std::string(bare), parse_port(value.substr(colon + 1))};
    } catch (const url_error& error) {
        throw usage_error(std::string(option) + ": " + quoted(value) + ": " + error.what());
    }
}

std::string parse_path(std::string_view option, std::string_view value) {
    if (value.empty())
        refuse(option, value, "a path");
    return std::string(value);
}

url parse_argument(std::string_view text) {
    try {
        return parse_url(text);
    } catch (const url_error& error) {
        throw usage_error(error.what());
    }
}

using setter = std::function<void(options&, std::string_view option, std::string_view value)>;

const std::map<std::string_view, setter>& setters() {
    static const std::map<std::string_view, setter> table{
        {"--concurrency",
         [](options& to, auto name, auto value) { to.concurrency = parse_count(name, value); }},
        {"--timeout", [](options& to, auto name, auto value) { to.timeout = parse_seconds(name, value); }},
        {"--total-timeout",
         [](options& to, auto name, auto value) { to.total_timeout = parse_seconds(name, value); }},
        {"--max-body", [](options& to, auto name, auto value) { to.max_body = parse_size(name, value); }},
        {"--output", [](options& to, auto name, auto value) { to.output = parse_path(name, value); }},
        {"--dns", [](options& to, auto name, auto value) { to.dns = parse_host_and_port(name, value); }},
        {"--input", [](options& to, auto name, auto value) { to.input = parse_path(name, value); }},
        {"--cacert", [](options& to, auto name, auto value) { to.cacert = parse_path(name, value); }},
    };
    return table;
}

}  // namespace

options parse_options(const std::vector<std::string_view>& arguments) {
    options result;
    bool only_urls = false;  // after "--"
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string_view argument = arguments[i];
        if (only_urls || !argument.starts_with('-')) {
            result.urls.push_back(parse_argument(argument));
        } else if (argument == "--") {
            only_urls = true;
        } else if (argument == "--help" || argument == "-h") {
            result.help = true;
            return result;
        } else if (argument == "--insecure") {
            result.insecure = true;
        } else {
            const std::size_t equals = argument.find('=');
            const std::string_view name = argument.substr(0, equals);
            const auto found = setters().find(name);
            if (name == "--insecure")
                throw usage_error("--insecure takes no value");
            if (found == setters().end())
                throw usage_error("unknown option " + quoted(name));
            if (equals != argument.npos) {
                found->second(result, name, argument.substr(equals + 1));
            } else if (++i < arguments.size()) {
                found->second(result, name, arguments[i]);
            } else {
                throw usage_error(std::string(name) + " needs a value");
            }
        }
    }
    if (result.demonstration() && result.dns) {
        throw usage_error("--dns needs a URL: the built-in site has a name server of its own");
    }
    return result;
}

std::vector<url> parse_url_list(std::string_view text, const std::string& source) {
    constexpr std::string_view blanks = " \t\r";
    std::vector<url> urls;
    for (std::size_t line = 1; !text.empty(); ++line) {
        const std::size_t end = text.find('\n');
        std::string_view entry = text.substr(0, end);
        text.remove_prefix(end == text.npos ? text.size() : end + 1);
        entry.remove_prefix(std::min(entry.find_first_not_of(blanks), entry.size()));
        entry = entry.substr(0, entry.find_last_not_of(blanks) + 1);
        if (entry.empty() || entry.starts_with('#'))
            continue;
        try {
            urls.push_back(parse_url(entry));
        } catch (const url_error& error) {
            throw usage_error(source + ", line " + std::to_string(line) + ": " + error.what());
        }
    }
    return urls;
}

std::string_view help_text() {
    return R"(usage: fetch [options] [URL...]

Fetches all URLs at the same time over HTTP/1.1, http and https, and prints for each its status, size and time,
or what went wrong, and at the end a summary. Redirects are followed, at most 10 for a URL.

Without URLs it serves a site of its own on the loopback interface, fetches its pages one after
another and then concurrently, and says whether every page, the broken ones too, ended as it should.

  --concurrency N      at most N fetches at the same time (64)
  --timeout S          give a URL up after S seconds (30)
  --total-timeout S    stop everything after S seconds
  --max-body BYTES     give a URL up whose body is longer; 500k, 20M, 1G (1G)
  --output DIR         write the bodies into files in DIR, which is made if need be; no file is overwritten
  --dns HOST:PORT      ask this name server instead of the system's
  --cacert FILE        trust the authorities in FILE (PEM), too
  --insecure           take every https server for who it says it is
  --input FILE         read URLs from FILE, one a line; - is standard input
  --help               print this

Ctrl-C stops the fetches that are under way and prints the summary of what is finished.

exit status: 0  every URL was fetched, with a status below 400
             1  a URL failed
             2  the call is wrong: an option, a URL, a file that cannot be read
           130  stopped by Ctrl-C
)";
}

}  // namespace fetch
