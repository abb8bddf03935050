// Look-ups of names that nobody has cached, 64 at a time: weft's resolver in one thread beside the C library's getaddrinfo in 64.
// Both ask the same server, a thread of this program on the loopback that answers at once, for A and AAAA, and both read the
// hosts file. Nothing says a port to getaddrinfo, but it heeds what a thread has changed in its own _res: the servers.

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <stdexcept>
#include <string>

#include <weft/dns.hpp>
#include <weft/task.hpp>

#include "engines.hpp"

namespace {

constexpr std::size_t look_ups = 4096;
constexpr std::size_t in_flight = 64;

void must(bool ok, const char* what) {
    if (!ok) throw std::runtime_error(what);
}

/// Answers every question for A or AAAA with one address, on UDP.
class name_server {
public:
    name_server() : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        must(socket_ >= 0, "socket");
        address_.sin_family = AF_INET;
        address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address_;
        must(::bind(socket_, generic(), size) == 0 && ::getsockname(socket_, generic(), &size) == 0, "bind");
        const int room = 4 << 20;   // 64 threads may all ask before it runs
        ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
        thread_ = std::thread([this] { serve(); });
    }
    ~name_server() {
        over_ = true;
        const int ends_it = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        ::sendto(ends_it, "", 0, 0, generic(), sizeof address_);
        thread_.join();
        ::close(ends_it);
        ::close(socket_);
    }
    name_server(const name_server&) = delete;
    name_server& operator=(const name_server&) = delete;

    const sockaddr_in& address() const { return address_; }
    std::string text() const { return "127.0.0.1:" + std::to_string(ntohs(address_.sin_port)); }

private:
    sockaddr* generic() { return reinterpret_cast<sockaddr*>(&address_); }

    /// The length of the answer, made of the question in place; 0: it is no question.
    static std::size_t answer(unsigned char* m, std::size_t size) {
        std::size_t at = 12;
        while (at < size && m[at] != 0) at += m[at] + 1u;
        at += 5;   // the name's end, type and class
        if (at > size) return 0;
        const unsigned type = static_cast<unsigned>(m[at - 4] << 8 | m[at - 3]);
        const std::size_t length = type == ns_t_a ? 4 : type == ns_t_aaaa ? 16 : 0;
        m[2] = 0x81, m[3] = 0x80;                                      // an answer, recursion and all
        m[6] = 0, m[7] = length > 0, m[8] = m[9] = m[10] = m[11] = 0;   // one record, and no other sections
        if (length == 0) return at;
        const unsigned char record[] = {0xc0, 12, 0, static_cast<unsigned char>(type), 0, 1, 0, 0, 0, 60, 0,
                                        static_cast<unsigned char>(length)};
        std::memcpy(m + at, record, sizeof record);
        at += sizeof record;
        std::memset(m + at, 0, length);
        m[at] = type == ns_t_a ? 10 : 0xfd;   // 10.0.0.1, fd00::1
        m[at + length - 1] = 1;
        return at + length;
    }

    void serve() {
        unsigned char message[2048];
        while (!over_) {
            sockaddr_in from;
            socklen_t size = sizeof from;
            auto* const asker = reinterpret_cast<sockaddr*>(&from);
            const ssize_t count = ::recvfrom(socket_, message, 512, 0, asker, &size);
            const std::size_t reply = count < 12 ? 0 : answer(message, static_cast<std::size_t>(count));
            if (reply > 0) ::sendto(socket_, message, reply, 0, asker, size);
        }
    }

    int socket_;
    sockaddr_in address_{};
    std::atomic<bool> over_{false};
    std::thread thread_;
};

/// A name that was not asked for before.
std::string fresh_name() {
    static std::atomic<unsigned> last{0};
    return "host" + std::to_string(++last) + ".bench.test";
}

void resolver_weft(benchmark::State& state, weft::engine engine) {
    name_server server;
    weft::resolver resolver({.servers = {server.text()}, .cache_size = 0});
    weft::run({.io_engine = engine}, [&] {
        bench::timed(state, look_ups, [&] {
            std::vector<weft::task<>> tasks;
            for (std::size_t i = 0; i < in_flight; ++i)
                tasks.push_back(weft::create_task([&] {
                    for (std::size_t n = 0; n < look_ups / in_flight; ++n)
                        must(resolver.resolve(fresh_name(), "80").size() == 2, "a name was not resolved");
                }));
            for (auto& t : tasks) t.get();
        });
    });
}

void threads_glibc(benchmark::State& state) {
    name_server server;
    std::atomic<bool> failed{false};
    bench::timed(state, look_ups, [&] {
        std::vector<std::thread> threads;
        for (std::size_t i = 0; i < in_flight; ++i)
            threads.emplace_back([&] {
                ::res_init();
                _res.nscount = 1;
                _res.nsaddr_list[0] = server.address();
                addrinfo hints{};
                hints.ai_socktype = SOCK_STREAM;
                for (std::size_t n = 0; n < look_ups / in_flight; ++n) {
                    addrinfo* found = nullptr;
                    if (::getaddrinfo(fresh_name().c_str(), "80", &hints, &found) != 0 || !found->ai_next) failed = true;
                    if (found) ::freeaddrinfo(found);
                }
                ::res_nclose(&_res);
            });
        for (auto& t : threads) t.join();
    });
    if (failed) state.SkipWithError("a name was not resolved");
}

[[maybe_unused]] const bool entered[] = {
    bench::enter_on_engines("DNS, names, 64 at a time", resolver_weft),
    bench::enter("DNS, names, 64 at a time", "getaddrinfo_in_64_threads", threads_glibc),
};

}  // namespace
