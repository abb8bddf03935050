#pragma once

/// address_lookup: a host's addresses from servers: A and AAAA are asked together, and given out together (getaddrinfo) or
/// as they come (open_connection).
///
/// Invariants
///  - An inquiry is held until its answer was given out; what is still held when the lookup dies is left.
///  - first() decides for one of the names that the search list makes of the host; rest() is about that one.
///
/// A lookup belongs to the loop it is used on, and is in use by one fiber at a time.

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <weft/dns.hpp>

#include "dns/address.hpp"
#include "dns/inquiry.hpp"
#include "dns/name.hpp"

namespace weft::dns_layer {

/// How long RFC 8305, section 3, waits for AAAA once A is there.
constexpr std::chrono::milliseconds resolution_delay{50};

/// Those of the family that the hints ask for, in the form they ask for.
std::vector<ip_address> fitting(const std::vector<ip_address>& all, const address_hints& hints);

class address_lookup {
public:
    /// Asks nothing yet.
    address_lookup(const char* call, resolver_state& state, domain_name name, const address_hints& hints);

    /// All addresses, once both answers are there.
    ///
    /// Errors: the one that says most of both families and all names.
    std::vector<ip_address> all(std::string& canonical_name);

    /// The first addresses there are: at AAAA's answer, or resolution_delay after A's; at the second answer if the first one
    /// brought no address. Not for hints that map addresses, which need both answers.
    ///
    /// Errors: as all(): neither family has an address.
    std::vector<ip_address> first();
    /// After first(): whether rest() has something to tell.
    bool more() const noexcept { return four_ || six_; }
    /// What has not been given out: waits for the other answer; empty if there are no more.
    ///
    /// Errors: how the other family's question failed; that it has no addresses is no failure.
    std::vector<ip_address> rest();

private:
    template <class Collect>
    std::vector<ip_address> search(Collect collect);
    void ask(const std::string& name);
    void wait_for_either();
    void wait_for_first();

    const char* const call_;
    resolver_state& state_;
    const domain_name name_;
    const address_hints hints_;
    std::optional<inquiry> six_, four_;   // both are asked before either is waited for
    dns_errc error_{};                    // what says most so far
};

}  // namespace weft::dns_layer
