// getnameinfo: from an address and a port to names.

#include "dns/error.hpp"
#include "dns/inquiry.hpp"
#include "dns/resolver_state.hpp"
#include "dns/service.hpp"

namespace weft::dns_layer {
namespace {

constexpr int known_flags = NI_NUMERICHOST | NI_NUMERICSERV | NI_NAMEREQD | NI_DGRAM | NI_NOFQDN;

bool is_loopback(const ip_address& address) noexcept {
    return address.family == AF_INET ? address.bytes[0] == 127 : address == loopback(AF_INET6);
}

}  // namespace

std::string resolver_state::find_name(const char* call, const ip_address& address) {
    const hosts_ptr table = hosts();
    if (const std::string* name = table->name_of(address))
        return *name;
    if (is_loopback(address))
        return "localhost";  // RFC 6761: nobody's server is asked

    inquiry asked(call, *this, reverse_name(address), record_type::ptr);
    const answer_ptr result = asked.wait(call);
    if (result->error == dns_errc::not_found || result->error == dns_errc::no_data)
        return {};
    if (!result->ok())
        throw_dns_error(result->error, call, to_text(address));
    for (const record& r : result->records)
        if (const std::string& name = std::get<ptr_record>(r).name; is_host_name(name))
            return name;
    return {};
}

std::pair<std::string, std::string> resolver_state::reverse(const char* call, const endpoint& where,
                                                            int flags) {
    check_caller(call);
    const auto address = from_sockaddr(*where.data());
    if (!address)
        throw_invalid(call, where.to_string(), "is no IPv4 or IPv6 endpoint");
    if (flags & ~known_flags)
        throw_invalid(call, std::to_string(flags), "has a flag that getnameinfo does not know");

    std::string host;
    if (!(flags & NI_NUMERICHOST))
        host = find_name(call, unmapped(*address));
    if (host.empty() && flags & NI_NAMEREQD)
        throw_dns_error(dns_errc::not_found, call, where.host());
    if (host.empty()) {
        host = where.host();
    } else if (flags & NI_NOFQDN) {
        const auto& domains = channel_here(call).search().domains;
        if (!domains.empty() && host.ends_with('.' + domains.front()))
            host.resize(host.size() - domains.front().size() - 1);
    }
    const bool numeric_service = flags & NI_NUMERICSERV;
    return {host,
            numeric_service ? std::to_string(where.port()) : service_name(where.port(), flags & NI_DGRAM)};
}

}  // namespace weft::dns_layer
