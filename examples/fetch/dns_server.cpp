#include "dns_server.hpp"

#include <weft/task.hpp>
#include <weft/task_group.hpp>

#include <arpa/inet.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace fetch {
namespace {

// RFC 1035, 4.1: a header of 12 bytes, then the question: labels, each with its length in front, up to an
// empty one, then type and class.
constexpr std::size_t header_size = 12;
constexpr std::uint16_t type_a = 1, type_soa = 6;
constexpr std::uint16_t class_in = 1;
constexpr unsigned char no_error = 0, no_such_name = 3;

struct question {
    std::string name;  // in lower case, without the last dot
    std::uint16_t type = 0;
    std::string raw;  // as it came, to be sent back
};

unsigned char byte_at(std::string_view packet, std::size_t at) {
    return static_cast<unsigned char>(packet[at]);
}

std::uint16_t number_at(std::string_view packet, std::size_t at) {
    return static_cast<std::uint16_t>(byte_at(packet, at) << 8 | byte_at(packet, at + 1));
}

// Nothing for a packet that is no standard query with one question: rubbish is met with silence.
std::optional<question> parse_question(std::string_view packet) {
    if (packet.size() < header_size)
        return std::nullopt;
    const bool query = (byte_at(packet, 2) & 0xf8) == 0;  // QR and OPCODE
    if (!query || number_at(packet, 4) != 1)
        return std::nullopt;
    question asked;
    std::size_t at = header_size;
    for (;;) {
        if (at >= packet.size())
            return std::nullopt;
        const std::size_t length = byte_at(packet, at++);
        if (length == 0)
            break;
        if (length > 63 || at + length > packet.size())
            return std::nullopt;
        if (!asked.name.empty())
            asked.name += '.';
        for (char c : packet.substr(at, length)) {
            asked.name += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        }
        at += length;
    }
    if (at + 4 > packet.size() || number_at(packet, at + 2) != class_in)
        return std::nullopt;
    asked.type = number_at(packet, at);
    asked.raw = packet.substr(header_size, at + 4 - header_size);
    return asked;
}

void append_number(std::string& to, std::uint32_t value, int bytes) {
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
        to += static_cast<char>(value >> shift & 0xff);
}

// One resource record. `owner` is in the wire's form.
void append_record(std::string& to, const std::string& owner, std::uint16_t type, const std::string& data) {
    constexpr std::uint32_t seconds_to_keep = 60;
    to += owner;
    append_number(to, type, 2);
    append_number(to, class_in, 2);
    append_number(to, seconds_to_keep, 4);
    append_number(to, static_cast<std::uint32_t>(data.size()), 2);
    to += data;
}

std::string address_data(const std::string& address) {
    in_addr number{};
    inet_pton(AF_INET, address.c_str(), &number);
    std::string data;
    append_number(data, ntohl(number.s_addr), 4);
    return data;
}

// Goes with every "there is none": its last number says how long that may be remembered (RFC 2308).
std::string authority_data() {
    std::string data(2, '\0');  // the root, for the server and for its master
    for (std::uint32_t number : {1U, 60U, 60U, 60U, 60U})
        append_number(data, number, 4);
    return data;
}

// `entry` null: there is no such name. With an entry, any type but A has no data.
std::string make_answer(std::string_view packet, const question& asked, const dns_entry* entry) {
    const bool answered = entry != nullptr && asked.type == type_a;
    std::string answer(packet.substr(0, 2));  // the question's number
    answer +=
        static_cast<char>(0x84 | (byte_at(packet, 2) & 0x01));  // an answer, authoritative; RD as it came
    answer += static_cast<char>(0x80 | (entry != nullptr ? no_error : no_such_name));
    for (std::uint32_t count : {1U, answered ? 1U : 0U, answered ? 0U : 1U, 0U})
        append_number(answer, count, 2);
    answer += asked.raw;
    if (answered) {
        append_record(answer, "\xc0\x0c", type_a,
                      address_data(entry->address));  // owner: the name at byte 12
    } else {
        append_record(answer, std::string(1, '\0'), type_soa, authority_data());
    }
    return answer;
}

}  // namespace

dns_server::dns_server(dns_zone zone) : zone_(std::move(zone)), socket_(AF_INET, SOCK_DGRAM) {
    socket_.bind(weft::endpoint::parse("127.0.0.1:0"));
}

std::string dns_server::address() const {
    return socket_.local_endpoint().to_string();
}

// Slow answers wait in tasks of their own, so that nobody else's question waits behind them.
void dns_server::serve() {
    weft::with_task_group([this](weft::task_group& late_answers) {
        std::array<std::byte, 1500> buffer;
        for (;;) {
            const auto [size, client] = socket_.recv_from(buffer);
            const std::string_view packet(reinterpret_cast<const char*>(buffer.data()), size);
            const std::optional<question> asked = parse_question(packet);
            if (!asked)
                continue;
            ++questions_;
            const auto found = zone_.find(asked->name);
            const dns_entry* entry = found == zone_.end() ? nullptr : &found->second;
            if (entry != nullptr && entry->lose_first && lost_.insert(asked->name).second)
                continue;
            const auto send = [this, client = client, answer = make_answer(packet, *asked, entry)] {
                socket_.send_to(std::as_bytes(std::span(answer)), client);
            };
            if (entry == nullptr || entry->delay.count() == 0) {
                send();
            } else {
                late_answers.create_task([delay = entry->delay, send] {
                    weft::sleep(delay);
                    send();
                });
            }
        }
    });
}

}  // namespace fetch
