#pragma once

/// host_addresses: what open_connection connects to: a host's addresses with a port, as RFC 8305, section 3, lets them come.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dns/address_lookup.hpp"
#include "io/connect.hpp"

namespace weft::dns_layer {

class host_addresses final : public detail::address_source {
public:
    /// Asks nothing yet. \param family  of the addresses, or AF_UNSPEC
    host_addresses(resolver_state& state, std::string_view host, std::uint16_t port, int family);

    std::vector<endpoint> next() override;
    bool more() const noexcept override { return !begun_ || (asked_ && asked_->more()); }

private:
    std::vector<endpoint> with_port(const std::vector<ip_address>& found);

    resolver_state& state_;
    const std::string host_;
    const std::uint16_t port_;
    const address_hints hints_;
    bool begun_ = false;
    std::optional<address_lookup> asked_;   // where a server has to be
    std::vector<endpoint> given_;           // servers may say a thing twice
};

}  // namespace weft::dns_layer
