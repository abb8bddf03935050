// From a name to addresses by asking servers: the names that the search list makes of it, both families at once, and
// RFC 8305's rule of when to begin with one.

#include "dns/address_lookup.hpp"

#include <algorithm>
#include <utility>

#include <weft/task_group.hpp>

#include "dns/address_order.hpp"
#include "dns/error.hpp"
#include "dns/resolver_state.hpp"

namespace weft::dns_layer {
namespace {

/// Which records are asked for: mapped addresses are made of IPv4 ones.
struct wanted_families {
    bool four;
    bool six;

    explicit wanted_families(const address_hints& hints)
        : four(hints.family != AF_INET6 || hints.flags & AI_V4MAPPED), six(hints.family != AF_INET) {
        if (!(hints.flags & AI_ADDRCONFIG) || !(four && six))
            return;
        const configured_families configured = find_configured_families();
        if (configured.four != configured.six) {
            four = configured.four;
            six = configured.six;
        }
    }
};

/// The names to ask for, in this order: completed by the search list, or first as it is if it has ndots dots.
std::vector<std::string> candidates(const domain_name& name, const channel::search_rules& rules) {
    std::vector<std::string> names;
    if (name.absolute)
        return {name.text};
    const bool as_it_is_first = std::ranges::count(name.text, '.') >= rules.ndots;
    if (as_it_is_first)
        names.push_back(name.text);
    for (std::string_view domain : rules.domains) {
        if (domain.ends_with('.'))
            domain.remove_suffix(1);
        if (!is_host_name(domain) || name.text.size() + 1 + domain.size() > 253)
            continue;
        names.push_back(name.text + '.' + std::string(domain));
    }
    if (!as_it_is_first)
        names.push_back(name.text);
    return names;
}

void append_addresses(std::vector<ip_address>& to, const answer& from) {
    for (const record& r : from.records)
        if (const auto address = parse_address(std::get<address_record>(r).address))
            to.push_back(*address);
}

/// Whether other names may be better off after this error.
bool concerns_one_name(dns_errc error) noexcept {
    switch (error) {
    case dns_errc::timeout:
    case dns_errc::connection_refused:
    case dns_errc::cancelled:
    case dns_errc::no_memory:
    case dns_errc::other:
        return false;
    default:
        return true;
    }
}

/// How much an error says: a failure more than "no data", and that more than "not found".
int gravity(dns_errc e) noexcept {
    return e == dns_errc{} ? 0 : e == dns_errc::not_found ? 1 : e == dns_errc::no_data ? 2 : 3;
}
bool is_failure(dns_errc e) noexcept {
    return gravity(e) == 3;
}
dns_errc graver(dns_errc a, dns_errc b) noexcept {
    return gravity(b) > gravity(a) ? b : a;
}

}  // namespace

std::vector<ip_address> fitting(const std::vector<ip_address>& all, const address_hints& hints) {
    std::vector<ip_address> result;
    for (const ip_address& address : all)
        if (hints.family == AF_UNSPEC || address.family == hints.family)
            result.push_back(address);
    const bool map = hints.family == AF_INET6 && hints.flags & AI_V4MAPPED;
    if (!map || (!result.empty() && !(hints.flags & AI_ALL)))
        return result;
    for (const ip_address& address : all)
        if (address.family == AF_INET)
            result.push_back(mapped(address));
    return result;
}

address_lookup::address_lookup(const char* call, resolver_state& state, domain_name name, const address_hints& hints)
    : call_(call), state_(state), name_(std::move(name)), hints_(hints) {}

void address_lookup::ask(const std::string& name) {
    const wanted_families wanted(hints_);
    six_.reset();
    four_.reset();
    if (wanted.four)
        four_.emplace(call_, state_, name, record_type::a);
    if (wanted.six)
        six_.emplace(call_, state_, name, record_type::aaaa);
}

/// Asks for one name after the other, until collect() finds addresses in the answers.
template <class Collect>
std::vector<ip_address> address_lookup::search(Collect collect) {
    for (const std::string& candidate : candidates(name_, state_.channel_here(call_).search())) {
        ask(candidate);
        std::vector<ip_address> found = collect();
        if (!found.empty()) {
            sort_addresses(found, state_.channel_here(call_).sources());
            return found;
        }
        if (!concerns_one_name(error_))
            break;
    }
    throw_dns_error(error_ == dns_errc{} ? dns_errc::no_data : error_, call_, name_.text);
}

std::vector<ip_address> address_lookup::all(std::string& canonical_name) {
    return search([&] {
        std::vector<ip_address> found;
        for (auto* asked : {&six_, &four_}) {
            if (!*asked)
                continue;
            const answer_ptr result = (*asked)->wait(call_);
            error_ = graver(error_, result->error);
            if (!result->ok())
                continue;
            append_addresses(found, *result);
            if (is_host_name(result->canonical_name))
                canonical_name = result->canonical_name;
        }
        return fitting(found, hints_);
    });
}

void address_lookup::wait_for_either() {
    with_task_group([this](task_group& group) {
        for (inquiry* asked : {&*six_, &*four_})
            group.create_task([&group, asked, this] {
                asked->wait(call_);
                group.cancel();
            });
    });
}

void address_lookup::wait_for_first() {
    if (!six_ || !four_) {
        (six_ ? *six_ : *four_).wait(call_);
        return;
    }
    if (!six_->ended() && !four_->ended())
        wait_for_either();
    if (!six_->ended() && four_->wait(call_)->ok())
        six_->wait_until(call_, detail::deadline_after(resolution_delay));
    else if (!six_->wait(call_)->ok())
        four_->wait(call_);
}

std::vector<ip_address> address_lookup::first() {
    return search([&] {
        wait_for_first();
        std::vector<ip_address> found;
        for (auto* asked : {&six_, &four_}) {
            if (!*asked || !(*asked)->ended())
                continue;
            const answer_ptr result = (*asked)->wait(call_);
            error_ = graver(error_, result->error);
            if (result->ok())
                append_addresses(found, *result);
            if (!is_failure(result->error))
                asked->reset();   // given out; a failure is told by rest()
        }
        return found;
    });
}

std::vector<ip_address> address_lookup::rest() {
    std::vector<ip_address> found;
    for (auto* asked : {&six_, &four_}) {
        if (!*asked)
            continue;
        const answer_ptr result = (*asked)->wait(call_);
        asked->reset();
        if (is_failure(result->error))
            throw_dns_error(result->error, asked == &six_ ? "resolver::query_aaaa" : "resolver::query_a", name_.text);
        if (result->ok())
            append_addresses(found, *result);
    }
    sort_addresses(found, state_.channel_here(call_).sources());
    return found;
}

}  // namespace weft::dns_layer
