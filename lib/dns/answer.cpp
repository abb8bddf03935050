#include "dns/answer.hpp"

#include <algorithm>

#include "dns/address.hpp"
#include "dns/name.hpp"

namespace weft::dns_layer {
namespace {

using std::chrono::seconds;

/// The message does not fit the rules of RFC 1035.
struct malformed {};

/// A place in a message, and how to read on from it. Every read is checked.
class reader {
public:
    reader(std::span<const std::uint8_t> message, std::size_t at, std::size_t end) noexcept
        : message_(message), at_(at), end_(end) {}

    std::size_t at() const noexcept { return at_; }
    bool at_end() const noexcept { return at_ == end_; }

    std::span<const std::uint8_t> bytes(std::size_t count) {
        if (count > end_ - at_)
            throw malformed{};
        const auto result = message_.subspan(at_, count);
        at_ += count;
        return result;
    }
    std::uint8_t u8() { return bytes(1)[0]; }
    std::uint16_t u16() {
        const auto b = bytes(2);
        return static_cast<std::uint16_t>(b[0] << 8 | b[1]);
    }
    std::uint32_t u32() {
        const std::uint32_t high = u16();
        return high << 16 | u16();
    }
    seconds duration() { return seconds(u32()); }

    /// The next `size` bytes as a place of their own; names in it may point to anywhere before.
    reader part(std::size_t size) {
        const std::size_t start = at_;
        bytes(size);
        return reader(message_, start, at_);
    }

    /// A name in lower case, without the last dot; characters that are no part of a plain name are written as
    /// in zone files.
    std::string name() {
        std::string text;
        std::size_t wire_length = 1;  // of the whole name, at most 255
        std::size_t from = at_;       // of the run of labels being read; pointers must lead below it
        std::size_t end = end_;
        std::size_t here = at_;
        unsigned jumps = 0;
        for (;;) {
            if (here >= end)
                throw malformed{};
            const std::uint8_t length = message_[here++];
            if ((length & 0xc0) == 0xc0) {
                if (here >= end)
                    throw malformed{};
                const std::size_t target = static_cast<std::size_t>(length & 0x3f) << 8 | message_[here++];
                if (target >= from || jumps > most_jumps)
                    throw malformed{};
                if (jumps++ == 0)
                    at_ = here;
                end = from;  // what is pointed to ends before the run that points
                here = from = target;
                continue;
            }
            if (length & 0xc0)
                throw malformed{};
            if (length == 0)
                break;
            wire_length += length + 1u;
            if (length > end - here || wire_length > 255)
                throw malformed{};
            if (!text.empty())
                text += '.';
            for (std::size_t i = 0; i < length; ++i)
                append_escaped(text, message_[here + i]);
            here += length;
        }
        if (jumps == 0)
            at_ = here;
        return text;
    }

private:
    static constexpr unsigned most_jumps =
        127;  // no name has more labels; keeps hostile chains of pointers short

    static void append_escaped(std::string& text, std::uint8_t byte) {
        if (byte == '.' || byte == '\\') {
            text += '\\';
            text += static_cast<char>(byte);
        } else if (byte > ' ' && byte < 0x7f) {
            text += static_cast<char>(byte >= 'A' && byte <= 'Z' ? byte - 'A' + 'a' : byte);
        } else {
            text += '\\';
            text += static_cast<char>('0' + byte / 100);
            text += static_cast<char>('0' + byte / 10 % 10);
            text += static_cast<char>('0' + byte % 10);
        }
    }

    std::span<const std::uint8_t> message_;
    std::size_t at_;
    std::size_t end_;
};

constexpr std::uint16_t class_internet = 1;

struct resource {
    std::string owner;
    std::uint16_t type;
    std::uint16_t record_class;
    seconds ttl;
    reader data;
};

resource read_resource(reader& in) {
    std::string owner = in.name();
    const std::uint16_t type = in.u16();
    const std::uint16_t record_class = in.u16();
    const std::uint32_t ttl = in.u32();
    const std::uint16_t size = in.u16();
    // A TTL with its highest bit set counts as zero (RFC 2181, 8).
    return {std::move(owner), type, record_class, seconds(ttl >> 31 ? 0 : ttl), in.part(size)};
}

std::string read_address(reader& in, int family, std::size_t size) {
    ip_address address{.family = family};
    std::ranges::copy(in.bytes(size), address.bytes.begin());
    return to_text(address);
}

std::string read_strings(reader& in) {
    std::string text;
    do {
        const auto piece = in.bytes(in.u8());
        text.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    } while (!in.at_end());
    return text;
}

soa_record read_soa(reader& in, seconds ttl) {
    soa_record soa{.primary = in.name(),
                   .hostmaster = in.name(),
                   .serial = in.u32(),
                   .refresh = in.duration(),
                   .retry = in.duration(),
                   .expire = in.duration(),
                   .minimum = in.duration(),
                   .ttl = ttl};
    return soa;
}

record read_record(record_type type, reader in, seconds ttl) {
    std::optional<record> result;
    switch (type) {
    case record_type::a:
        result = address_record{read_address(in, AF_INET, 4), ttl};
        break;
    case record_type::aaaa:
        result = address_record{read_address(in, AF_INET6, 16), ttl};
        break;
    case record_type::ns:
        result = ns_record{in.name(), ttl};
        break;
    case record_type::cname:
        result = cname_record{in.name(), ttl};
        break;
    case record_type::ptr:
        result = ptr_record{in.name(), ttl};
        break;
    case record_type::mx: {
        const std::uint16_t priority = in.u16();
        result = mx_record{in.name(), priority, ttl};
        break;
    }
    case record_type::srv: {
        const std::uint16_t priority = in.u16(), weight = in.u16(), port = in.u16();
        result = srv_record{in.name(), port, priority, weight, ttl};
        break;
    }
    case record_type::txt:
        result = txt_record{read_strings(in), ttl};
        break;
    case record_type::soa:
        result = read_soa(in, ttl);
        break;
    }
    if (!result || !in.at_end())
        throw malformed{};
    return std::move(*result);
}

/// Why a server gives no records, by its response code.
dns_errc error_of(unsigned code) noexcept {
    switch (code) {
    case 0:
        return {};
    case 1:
        return dns_errc::format_error;
    case 2:
        return dns_errc::server_failure;
    case 3:
        return dns_errc::not_found;
    case 4:
        return dns_errc::not_implemented;
    case 5:
        return dns_errc::refused;
    default:
        return dns_errc::bad_response;
    }
}

answer parse(std::span<const std::uint8_t> message, std::string_view name, record_type type) {
    reader in(message, 0, message.size());
    in.u16();  // the identifier; c-ares has compared it
    const std::uint16_t flags = in.u16();
    const unsigned questions = in.u16(), answers = in.u16(), authorities = in.u16();
    in.u16();  // additional records are not looked at
    if ((flags & 0x8000) == 0)
        throw malformed{};  // a question, not an answer

    answer result;
    result.error = error_of(flags & 0xf);
    if (result.error != dns_errc{} && result.error != dns_errc::not_found)
        return result;  // nothing else in it counts

    for (unsigned i = 0; i < questions; ++i) {
        in.name();
        in.u32();
    }

    // Follow the aliases from the question's name, then take the records of the name they lead to. Aliases
    // come in order from every server worth the name, but need not.
    std::vector<resource> found;
    for (unsigned i = 0; i < answers; ++i)
        found.push_back(read_resource(in));
    seconds lifetime = longest_lifetime;
    std::string owner(name);
    if (type != record_type::cname) {
        for (std::size_t hops = 0; hops <= 16; ++hops) {
            const auto alias = std::ranges::find_if(found, [&](const resource& r) {
                return r.type == static_cast<std::uint16_t>(record_type::cname) &&
                       r.record_class == class_internet && r.owner == owner;
            });
            if (alias == found.end())
                break;
            if (hops == 16)
                throw malformed{};  // a circle
            reader data = alias->data;
            owner = data.name();
            lifetime = std::min(lifetime, alias->ttl);
        }
    }
    result.canonical_name = owner;
    if (result.error == dns_errc{}) {
        const seconds aliases = lifetime;
        for (const resource& r : found) {
            if (r.type != static_cast<std::uint16_t>(type) || r.record_class != class_internet ||
                r.owner != owner)
                continue;
            result.records.push_back(read_record(type, r.data, std::min(r.ttl, aliases)));
            lifetime = std::min(lifetime, r.ttl);
        }
    }
    if (!result.records.empty()) {
        result.lifetime = lifetime;
        return result;
    }

    // There is none. How long that holds, the zone's SOA says (RFC 2308, 5); without one it is not kept.
    if (result.error == dns_errc{})
        result.error = dns_errc::no_data;
    for (unsigned i = 0; i < authorities; ++i) {
        resource r = read_resource(in);
        if (r.type != static_cast<std::uint16_t>(record_type::soa) || r.record_class != class_internet)
            continue;
        const soa_record soa = read_soa(r.data, r.ttl);
        if (!r.data.at_end())
            throw malformed{};
        result.lifetime = std::min({lifetime, soa.ttl, soa.minimum, longest_negative_lifetime});
        break;
    }
    return result;
}

}  // namespace

answer parse_answer(std::span<const std::uint8_t> message, std::string_view name, record_type type) {
    try {
        return parse(message, name, type);
    } catch (const malformed&) {
        answer bad;
        bad.error = dns_errc::bad_response;
        return bad;
    }
}

std::optional<refusal> parse_refusal(std::span<const std::uint8_t> message) {
    try {
        reader in(message, 0, message.size());
        in.u16();
        const std::uint16_t flags = in.u16();
        const unsigned questions = in.u16();
        const dns_errc error = error_of(flags & 0xf);
        const bool refused = error == dns_errc::server_failure || error == dns_errc::not_implemented ||
                             error == dns_errc::refused;
        if ((flags & 0x8000) == 0 || !refused || questions != 1)
            return {};
        in.bytes(6);
        std::string name = in.name();
        return refusal{error, std::move(name), static_cast<record_type>(in.u16())};
    } catch (const malformed&) {
        return {};
    }
}

}  // namespace weft::dns_layer
