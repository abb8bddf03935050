// The load: `load SERVER PORT CONNECTIONS SECONDS` keeps that many connections to 127.0.0.1:PORT busy, each with one message of
// 64 bytes under way, and prints one line of JSON. SERVER is the server's process, whose processor time is read.
//
// One thread on epoll, a closed loop: a connection sends its next message when the answer to the last one has come. It counts
// for SECONDS, after half a second to get warm.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <vector>

#include "measure.hpp"

namespace {

constexpr std::size_t message_size = 64;

struct connection {
    int fd = -1;
    std::size_t received = 0;   // of the answer that is under way
    clock_type::time_point sent;
};

int connect_to(int port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("socket");
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0) fail("connect");
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

void send_message(connection& c) {
    static const char message[message_size] = {};
    c.sent = clock_type::now();
    if (::send(c.fd, message, message_size, MSG_NOSIGNAL | MSG_DONTWAIT) != static_cast<ssize_t>(message_size)) fail("send");
}

}  // namespace

int main(int argc, char** argv) {
    const load_arguments arguments = read_arguments(argc, argv);
    allow_many_files();
    std::vector<connection> connections(arguments.count);
    const double idle = resident_kib(arguments.server);
    const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
    for (connection& c : connections) {
        c.fd = connect_to(arguments.port);
        epoll_event event{.events = EPOLLIN, .data = {.ptr = &c}};
        if (::epoll_ctl(epoll, EPOLL_CTL_ADD, c.fd, &event) < 0) fail("epoll_ctl");
    }
    for (connection& c : connections) send_message(c);

    measurement result(arguments);
    while (!result.over()) {
        epoll_event events[512];
        const int count = ::epoll_wait(epoll, events, 512, 1000);
        for (int i = 0; i < count; ++i) {
            connection& c = *static_cast<connection*>(events[i].data.ptr);
            char answer[message_size];
            const ssize_t size = ::recv(c.fd, answer, message_size - c.received, MSG_DONTWAIT);
            if (size <= 0) fail(size == 0 ? "the server closed a connection" : "recv");
            c.received += static_cast<std::size_t>(size);
            if (c.received < message_size) continue;
            c.received = 0;
            result.add(c.sent);
            send_message(c);
        }
    }
    result.report((resident_kib(arguments.server) - idle) / static_cast<double>(connections.size()));
}
