#include "dns/hosts_file.hpp"

#include <algorithm>
#include <fstream>

#include "dns/name.hpp"

namespace weft::dns_layer {
namespace {

std::string_view next_word(std::string_view& line) noexcept {
    constexpr std::string_view blank = " \t\r\v\f";
    line.remove_prefix(std::min(line.find_first_not_of(blank), line.size()));
    const std::string_view word = line.substr(0, line.find_first_of(blank));
    line.remove_prefix(word.size());
    return word;
}

}  // namespace

hosts_table::hosts_table(const std::string& path) : stamp_(file_stamp::of(path)) {
    if (stamp_.size < 0)
        return;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);)
        add_line(std::string_view(line).substr(0, line.find('#')));
}

void hosts_table::add_line(std::string_view line) {
    const auto address = parse_address(next_word(line));
    if (!address)
        return;
    std::string canonical_name;
    for (std::string_view word = next_word(line); !word.empty(); word = next_word(line)) {
        if (word.back() == '.')
            word.remove_suffix(1);
        if (!is_host_name(word))
            continue;
        std::string name = lower_case(word);
        if (canonical_name.empty()) {
            canonical_name = name;
            names_.try_emplace(to_text(*address), name);
        }
        host& entry = hosts_[std::move(name)];
        if (entry.canonical_name.empty())
            entry.canonical_name = canonical_name;
        if (std::ranges::find(entry.addresses, *address) == entry.addresses.end())
            entry.addresses.push_back(*address);
    }
}

const hosts_table::host* hosts_table::find(const std::string& name) const noexcept {
    const auto found = hosts_.find(name);
    return found == hosts_.end() ? nullptr : &found->second;
}

const std::string* hosts_table::name_of(const ip_address& address) const noexcept {
    const auto found = names_.find(to_text(address));
    return found == names_.end() ? nullptr : &found->second;
}

}  // namespace weft::dns_layer
