#include "dns/resolv_conf.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>

namespace weft::dns_layer {
namespace {

constexpr int longest_timeout = 30, most_attempts = 5;  // the C library's bounds, resolv.conf(5)

std::string_view next_word(std::string_view& line) noexcept {
    constexpr std::string_view blank = " \t\r\v\f";
    line.remove_prefix(std::min(line.find_first_not_of(blank), line.size()));
    const std::string_view word = line.substr(0, line.find_first_of(blank));
    line.remove_prefix(word.size());
    return word;
}

/// The number behind "name:"; nothing if the word is another one, or no number follows.
std::optional<int> number_of(std::string_view word, std::string_view name, int most) noexcept {
    if (!word.starts_with(name))
        return {};
    word.remove_prefix(name.size());
    int value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error == std::errc::result_out_of_range)
        return most;
    if (error != std::errc{} || end != word.data() + word.size() || value < 0)
        return {};
    return std::clamp(value, 1, most);
}

}  // namespace

resolv_conf resolv_conf::read(const std::string& path) {
    resolv_conf found;
    if (path.empty())
        return found;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);)
        found.add_line(line);
    return found;
}

void resolv_conf::add_line(std::string_view line) {
    const std::string_view keyword = next_word(line);
    if (keyword == "nameserver")
        servers.emplace_back(next_word(line));
    if (keyword != "options")
        return;
    for (std::string_view word = next_word(line); !word.empty(); word = next_word(line)) {
        if (word.front() == '#' || word.front() == ';')
            return;
        if (const auto seconds = number_of(word, "timeout:", longest_timeout))
            timeout = std::chrono::seconds(*seconds);
        else if (const auto count = number_of(word, "attempts:", most_attempts))
            tries = *count;
        else if (word == "rotate")
            rotate = true;
        else if (word == "use-vc")
            tcp_only = true;
    }
}

}  // namespace weft::dns_layer
