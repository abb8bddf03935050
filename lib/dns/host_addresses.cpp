#include "dns/host_addresses.hpp"

#include <algorithm>

#include "dns/resolver_state.hpp"

namespace weft::dns_layer {
namespace {

constexpr const char* call = "open_connection";

}  // namespace

host_addresses::host_addresses(resolver_state& state, std::string_view host, std::uint16_t port, int family)
    : state_(state), host_(host), port_(port), hints_{.family = family} {}

std::vector<endpoint> host_addresses::with_port(const std::vector<ip_address>& found) {
    std::vector<endpoint> fresh;
    for (const ip_address& address : found) {
        endpoint e = to_endpoint(address, port_);
        if (std::ranges::find(given_, e) != given_.end())
            continue;
        given_.push_back(e);
        fresh.push_back(std::move(e));
    }
    return fresh;
}

std::vector<endpoint> host_addresses::next() {
    if (begun_)
        return with_port(asked_->rest());
    resolver_state::check_caller(call);
    begun_ = true;
    std::string canonical_name;
    if (const auto known = state_.find_without_server(call, host_, hints_, canonical_name); !known.empty())
        return with_port(known);
    asked_.emplace(call, state_, check_host_name(call, host_), hints_);
    return with_port(asked_->first());
}

}  // namespace weft::dns_layer
