// Arbitrary bytes as a name server's answer. The first byte chooses the type that was asked for, the rest is
// the message.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <variant>

#include "dns/answer.hpp"

namespace {

void require(bool holds) {
    if (!holds)
        std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace weft::dns_layer;
    constexpr record_type types[] = {record_type::a,   record_type::ns,   record_type::cname,
                                     record_type::soa, record_type::ptr,  record_type::mx,
                                     record_type::txt, record_type::aaaa, record_type::srv};
    if (size == 0)
        return 0;
    const record_type type = types[data[0] % std::size(types)];
    const std::span<const std::uint8_t> message(data + 1, size - 1);

    const answer result = parse_answer(message, "www.test", type);
    require(result.ok() == !result.records.empty());
    require(result.lifetime >= std::chrono::seconds(0) && result.lifetime <= longest_lifetime);
    for (const record& r : result.records) {
        require(r.index() == result.records.front().index());
        require(std::visit(
            [](const auto& fields) { return fields.ttl.count() >= 0 && fields.ttl <= longest_lifetime; }, r));
    }
    parse_refusal(message);
    return 0;
}
