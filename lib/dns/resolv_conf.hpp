#pragma once

/// What /etc/resolv.conf says that c-ares 1.18 does not read, or not under the C library's names: servers with a port, and how
/// servers are to be asked. Search list, ndots and plain servers are c-ares's business.

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft::dns_layer {

struct resolv_conf {
    std::vector<std::string> servers{};                  // nameserver ADDRESS, [ADDRESS]:PORT, ADDRESS:PORT
    std::optional<std::chrono::milliseconds> timeout{};  // options timeout:SECONDS
    std::optional<int> tries{};                          // options attempts:N
    bool rotate = false;                                 // options rotate
    bool tcp_only = false;                               // options use-vc

    /// Reads a file; one that is not there says nothing. What the C library does not know is passed over, what
    /// is beyond its bounds is brought within them.
    static resolv_conf read(const std::string& path);

    void add_line(std::string_view line);
};

}  // namespace weft::dns_layer
