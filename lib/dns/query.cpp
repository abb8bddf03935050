// The query_ functions: one question each, its records copied out with what is left of their TTL.

#include <algorithm>

#include <weft/dns.hpp>

#include "dns/error.hpp"
#include "dns/inquiry.hpp"
#include "dns/resolver_state.hpp"

namespace weft {
namespace dns_layer {

answer_ptr resolver_state::query(const char* call, const domain_name& name, record_type type) {
    inquiry asked(call, *this, name.text, type);
    answer_ptr result = asked.wait(call);
    if (!result->ok())
        throw_dns_error(result->error, call, name.text);
    return result;
}

namespace {

template <class Record> std::vector<Record> records_of(const answer& from) {
    const auto age = std::chrono::floor<std::chrono::seconds>(detail::now() - from.received);
    std::vector<Record> records;
    for (const record& r : from.records) {
        records.push_back(std::get<Record>(r));
        records.back().ttl = std::max(records.back().ttl - age, std::chrono::seconds(0));
    }
    return records;
}

template <class Record>
std::vector<Record> query_records(std::shared_ptr<resolver_state> state, const char* call,
                                  std::string_view name, record_type type) {
    resolver_state::check_caller(call);
    return records_of<Record>(*state->query(call, check_query_name(call, name), type));
}

std::vector<address_record> query_addresses(std::shared_ptr<resolver_state> state, const char* call,
                                            std::string_view name, int family) {
    resolver_state::check_caller(call);
    const domain_name checked = check_query_name(call, name);
    if (is_localhost(checked.text))
        return {{to_text(loopback(family)), std::chrono::seconds(0)}};
    return records_of<address_record>(
        *state->query(call, checked, family == AF_INET ? record_type::a : record_type::aaaa));
}

template <class Record> void lowest_priority_first(std::vector<Record>& records) {
    std::ranges::stable_sort(records, {}, &Record::priority);
}

}  // namespace
}  // namespace dns_layer

using dns_layer::record_type;

std::vector<address_record> resolver::query_a(std::string_view name) {
    return dns_layer::query_addresses(state_, "resolver::query_a", name, AF_INET);
}

std::vector<address_record> resolver::query_aaaa(std::string_view name) {
    return dns_layer::query_addresses(state_, "resolver::query_aaaa", name, AF_INET6);
}

std::vector<mx_record> resolver::query_mx(std::string_view name) {
    auto records = dns_layer::query_records<mx_record>(state_, "resolver::query_mx", name, record_type::mx);
    dns_layer::lowest_priority_first(records);
    return records;
}

std::vector<txt_record> resolver::query_txt(std::string_view name) {
    return dns_layer::query_records<txt_record>(state_, "resolver::query_txt", name, record_type::txt);
}

std::vector<srv_record> resolver::query_srv(std::string_view name) {
    auto records =
        dns_layer::query_records<srv_record>(state_, "resolver::query_srv", name, record_type::srv);
    dns_layer::lowest_priority_first(records);
    return records;
}

std::vector<ns_record> resolver::query_ns(std::string_view name) {
    return dns_layer::query_records<ns_record>(state_, "resolver::query_ns", name, record_type::ns);
}

cname_record resolver::query_cname(std::string_view name) {
    return dns_layer::query_records<cname_record>(state_, "resolver::query_cname", name, record_type::cname)
        .front();
}

std::vector<ptr_record> resolver::query_ptr(std::string_view name) {
    const auto address = dns_layer::parse_address(name);
    const std::string reversed = address ? dns_layer::reverse_name(*address) : std::string(name);
    return dns_layer::query_records<ptr_record>(state_, "resolver::query_ptr", reversed, record_type::ptr);
}

soa_record resolver::query_soa(std::string_view name) {
    return dns_layer::query_records<soa_record>(state_, "resolver::query_soa", name, record_type::soa)
        .front();
}

}  // namespace weft
