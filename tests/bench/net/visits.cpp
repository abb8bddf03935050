// The load of those who come and go: `visits SERVER PORT CLIENTS SECONDS` has that many clients of 127.0.0.1:PORT at once. Each
// connects, sends one byte, waits for it to come back, closes, and begins anew. Prints one line of JSON as `load` does; a
// request is a whole visit there.
//
// The closed connections wait out their time on this side, so the clients come from many addresses: one alone would run out of
// ports within seconds.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <vector>

#include "measure.hpp"

namespace {

constexpr std::uint32_t addresses = 200;

struct client {
    int fd = -1;
    bool greeted = false;   // the byte is under way
    clock_type::time_point begun;
};

void begin(client& c, int epoll, int port) {
    static std::uint32_t count = 0;
    c.begun = clock_type::now();
    c.greeted = false;
    c.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c.fd < 0) fail("socket");
    const int on = 1;
    ::setsockopt(c.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    sockaddr_in from{};
    from.sin_family = AF_INET;
    from.sin_addr.s_addr = htonl(0x7f010001 + count++ % addresses);
    if (::bind(c.fd, reinterpret_cast<sockaddr*>(&from), sizeof from) < 0) fail("bind");
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(c.fd, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0 && errno != EINPROGRESS) fail("connect");
    epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLET, .data = {.ptr = &c}};
    if (::epoll_ctl(epoll, EPOLL_CTL_ADD, c.fd, &event) < 0) fail("epoll_ctl");
}

/// True: the visit is over.
bool go_on(client& c) {
    char byte = 0;
    if (!c.greeted) {
        if (::send(c.fd, &byte, 1, MSG_NOSIGNAL) != 1) {
            if (errno == EAGAIN) return false;   // not connected yet
            fail("send");
        }
        c.greeted = true;
    }
    const ssize_t size = ::recv(c.fd, &byte, 1, 0);
    if (size < 0 && errno == EAGAIN) return false;
    if (size != 1) fail(size == 0 ? "the server closed a connection" : "recv");
    ::close(c.fd);
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    const load_arguments arguments = read_arguments(argc, argv);
    allow_many_files();
    std::vector<client> clients(arguments.count);
    const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
    for (client& c : clients) begin(c, epoll, arguments.port);

    measurement result(arguments);
    while (!result.over()) {
        epoll_event events[512];
        const int count = ::epoll_wait(epoll, events, 512, 1000);
        for (int i = 0; i < count; ++i) {
            client& c = *static_cast<client*>(events[i].data.ptr);
            if (!go_on(c)) continue;
            result.add(c.begun);
            begin(c, epoll, arguments.port);
        }
    }
    result.report(0);
}
