#pragma once

/// resolver_answers: a resolver whose name server says arbitrary things, by UDP and by TCP, in answer to what it was asked. The
/// resolver must end every question with records, or with an error of its own. Made and used inside one loop.

#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <weft/dns.hpp>
#include <weft/server.hpp>
#include <weft/socket.hpp>
#include <weft/stream.hpp>
#include <weft/task.hpp>

#include "fuzz_input.hpp"

namespace fuzz {

class resolver_answers {
public:
    resolver_answers()
        : tcp_(open()),
          resolver_({.servers = {udp_.local_endpoint().to_string()},
                     .timeout = std::chrono::milliseconds(5),
                     .tries = 1,
                     .cache_size = 8,
                     .hosts_file = "",
                     .resolv_conf = "/dev/null"}) {}

    void run(std::span<const std::uint8_t> bytes) {
        fuzz_input input(bytes);
        const std::size_t kind = input.below(11);
        keeps_question_ = input.below(4) != 0;
        // A name of its own for each run: else the answers kept would be those of former ones.
        const std::string name = "n" + std::to_string(++runs_) + ".test";
        said_ = input.rest();
        auto serving = weft::create_task([this] { serve(); });
        try {
            ask(kind, name);
        } catch (const std::system_error& e) {
            require(e.code().category() == weft::dns_category(), "a failed question fails as DNS does");
        }
        serving.cancel();
        serving.join();
        if (!serving.cancelled()) serving.get();
    }

private:
    /// Opens udp_, and the server for TCP on the same port.
    weft::server open() {
        for (int tries_left = 100;; --tries_left) {
            weft::server made = weft::start_server([this](weft::stream s) { serve(std::move(s)); }, "127.0.0.1", 0);
            try {
                udp_ = weft::socket(AF_INET, SOCK_DGRAM);
                udp_.bind(made.endpoints().front());
                return made;
            } catch (const std::system_error&) {   // somebody else's, for datagrams
                if (tries_left == 0) throw;
            }
        }
    }

    void ask(std::size_t kind, const std::string& name) {
        switch (kind) {
            case 0: resolver_.query_a(name); break;
            case 1: resolver_.query_aaaa(name); break;
            case 2: resolver_.query_mx(name); break;
            case 3: resolver_.query_txt(name); break;
            case 4: resolver_.query_srv(name); break;
            case 5: resolver_.query_ns(name); break;
            case 6: resolver_.query_cname(name); break;
            case 7: resolver_.query_ptr(name); break;
            case 8: resolver_.query_soa(name); break;
            case 9: resolver_.reverse(weft::endpoint("192.0.2." + std::to_string(runs_ % 256), 80)); break;
            default: require(!resolver_.resolve(name, "80").empty(), "resolve gives at least one address"); break;
        }
    }

    /// With the question's number, so that it is taken for its answer; the rest is as it may be.
    std::string answer_to(std::string_view question) const {
        std::string answer(question.substr(0, 2));
        answer += said_.substr(0, 10);
        answer.resize(12);
        answer[2] = static_cast<char>(answer[2] | 0x80);
        if (keeps_question_) {
            answer[4] = 0, answer[5] = 1;
            answer += question.substr(std::min<std::size_t>(12, question.size()));
        }
        if (said_.size() > 10) answer += said_.substr(10);
        return answer;
    }

    void serve() {
        for (;;) {
            char room[1500];
            const auto [size, from] = udp_.recv_from(std::as_writable_bytes(std::span(room)));
            const std::string answer = answer_to({room, size});
            udp_.send_to(std::as_bytes(std::span(answer)), from);
        }
    }

    void serve(weft::stream s) {
        try {
            const std::string size = s.read_exactly(2);
            const auto length = static_cast<std::size_t>(static_cast<unsigned char>(size[0])) << 8 | static_cast<unsigned char>(size[1]);
            const std::string answer = answer_to(s.read_exactly(length));
            s.write(std::string{static_cast<char>(answer.size() >> 8), static_cast<char>(answer.size() & 0xff)} + answer);
        } catch (const std::exception&) {   // it went away
        }
    }

    weft::socket udp_;
    weft::server tcp_;
    weft::resolver resolver_;
    std::string_view said_;
    bool keeps_question_ = true;
    unsigned long runs_ = 0;
};

}  // namespace fuzz
