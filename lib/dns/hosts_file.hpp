#pragma once

/// The hosts file (hosts(5)): read when it is first asked for, and again when it has changed.
///
/// A name may stand in any number of lines, and has all their addresses. Lines that make no sense are passed
/// over. The table is immutable; who looks things up holds on to the one it found.

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dns/address.hpp"
#include "dns/file_stamp.hpp"

namespace weft::dns_layer {

class hosts_table {
public:
    explicit hosts_table(const std::string& path);

    const file_stamp& stamp() const noexcept { return stamp_; }

    struct host {
        std::string canonical_name;  // the first of its line
        std::vector<ip_address> addresses;
    };
    /// Null if the name is in no line. \param name lower case, without the last dot
    const host* find(const std::string& name) const noexcept;

    /// The first name that has this address; null if none has.
    const std::string* name_of(const ip_address& address) const noexcept;

private:
    void add_line(std::string_view line);

    file_stamp stamp_;
    std::unordered_map<std::string, host> hosts_;
    std::unordered_map<std::string, std::string> names_;  // by the address's text
};

using hosts_ptr = std::shared_ptr<const hosts_table>;

}  // namespace weft::dns_layer
