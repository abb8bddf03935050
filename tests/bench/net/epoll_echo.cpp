// Echo on epoll and nothing else: the least that a loop of readiness can do. Level-triggered, one recv and one send for each
// message.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>

int main() {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    sockaddr_in here{};
    here.sin_family = AF_INET;
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof here;
    if (::bind(listener, reinterpret_cast<sockaddr*>(&here), size) < 0 || ::listen(listener, 4096) < 0) return 1;
    ::getsockname(listener, reinterpret_cast<sockaddr*>(&here), &size);
    std::printf("%d\n", ntohs(here.sin_port));
    std::fflush(stdout);

    const int epoll = ::epoll_create1(0);
    epoll_event add{.events = EPOLLIN, .data = {.fd = listener}};
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &add);
    for (;;) {
        epoll_event events[256];
        const int count = ::epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < count; ++i) {
            const int fd = events[i].data.fd;
            if (fd == listener) {
                for (int made; (made = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK)) >= 0;) {
                    add = {.events = EPOLLIN, .data = {.fd = made}};
                    ::epoll_ctl(epoll, EPOLL_CTL_ADD, made, &add);
                }
                continue;
            }
            char buffer[4096];
            const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
            if (got <= 0) ::close(fd);
            else if (::send(fd, buffer, static_cast<std::size_t>(got), MSG_NOSIGNAL) != got) ::close(fd);
        }
    }
}
