#pragma once

/// What a server's message says: bytes in, records out. No c-ares here: its parsers drop the TTL of most
/// types, and the negative answer's TTL altogether.
///
/// The bytes are an attacker's. Invariants of the reader: it never reads outside the message; a compression
/// pointer must lead backwards, so every name ends; a record's data is read to its last byte, neither less
/// nor more. What does not fit makes the whole answer bad_response.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <weft/detail/waiter.hpp>
#include <weft/dns.hpp>

namespace weft::dns_layer {

/// The types that are asked for, by their numbers on the wire.
enum class record_type : std::uint16_t {
    a = 1,
    ns = 2,
    cname = 5,
    soa = 6,
    ptr = 12,
    mx = 15,
    txt = 16,
    aaaa = 28,
    srv = 33
};

using record = std::variant<address_record, mx_record, txt_record, srv_record, ns_record, cname_record,
                            ptr_record, soa_record>;

/// A final answer, positive or negative, as it is kept in the cache. Immutable once made.
struct answer {
    dns_errc error{};                  // 0: records has at least one, all of the type that was asked for
    std::vector<record> records{};     // ttl as it was when the answer came, the aliases' included
    std::string canonical_name{};      // lower case; after all aliases
    std::chrono::seconds lifetime{0};  // how long it may be kept; 0: it may not
    detail::time_point received{};     // on the loop's clock

    bool ok() const noexcept { return error == dns_errc{}; }
};

/// Reads a server's answer to a question for `name` (lower case, without the last dot). Throws nothing but
/// std::bad_alloc.
answer parse_answer(std::span<const std::uint8_t> message, std::string_view name, record_type type);

/// What a server says instead of an answer (SERVFAIL, NOTIMP, REFUSED), and to which question; nothing if it
/// says anything else.
struct refusal {
    dns_errc error;
    std::string name;
    record_type type;
};
std::optional<refusal> parse_refusal(std::span<const std::uint8_t> message);

/// Longest times that answers are kept, whatever their TTL.
inline constexpr std::chrono::seconds longest_lifetime = std::chrono::hours(24 * 7);
inline constexpr std::chrono::seconds longest_negative_lifetime = std::chrono::hours(3);  // RFC 2308, 5

}  // namespace weft::dns_layer
