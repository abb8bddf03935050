// Echo on io_uring and nothing else: a receive and a send for each message, a turn's submissions in one system call.

#include <arpa/inet.h>
#include <liburing.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

namespace {

struct connection {
    int fd;
    bool sending = false;
    char buffer[4096];
};

io_uring ring;

io_uring_sqe* next_sqe() {
    io_uring_sqe* sqe = ::io_uring_get_sqe(&ring);
    if (sqe) return sqe;
    ::io_uring_submit(&ring);
    return ::io_uring_get_sqe(&ring);
}

void receive(connection* c) {
    io_uring_sqe* sqe = next_sqe();
    ::io_uring_prep_recv(sqe, c->fd, c->buffer, sizeof c->buffer, 0);
    sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;   // the answer has not come yet: do not try in vain
    ::io_uring_sqe_set_data(sqe, c);
    c->sending = false;
}

void send(connection* c, int size) {
    io_uring_sqe* sqe = next_sqe();
    ::io_uring_prep_send(sqe, c->fd, c->buffer, static_cast<std::size_t>(size), MSG_NOSIGNAL);
    ::io_uring_sqe_set_data(sqe, c);
    c->sending = true;
}

}  // namespace

int main() {
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in here{};
    here.sin_family = AF_INET;
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof here;
    if (::bind(listener, reinterpret_cast<sockaddr*>(&here), length) < 0 || ::listen(listener, 4096) < 0) return 1;
    ::getsockname(listener, reinterpret_cast<sockaddr*>(&here), &length);

    io_uring_params parameters{};
    parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_CQSIZE;
    parameters.cq_entries = 32768;
    if (::io_uring_queue_init_params(4096, &ring, &parameters) < 0) return 1;
    std::printf("%d\n", ntohs(here.sin_port));
    std::fflush(stdout);
    ::io_uring_prep_multishot_accept(next_sqe(), listener, nullptr, nullptr, 0);
    for (;;) {
        ::io_uring_submit_and_wait(&ring, 1);
        io_uring_cqe* cqe;
        unsigned head;
        unsigned seen = 0;
        io_uring_for_each_cqe(&ring, head, cqe) {
            ++seen;
            auto* c = static_cast<connection*>(::io_uring_cqe_get_data(cqe));
            if (!c) {
                if (cqe->res >= 0) receive(new connection{.fd = cqe->res, .buffer = {}});
                if (!(cqe->flags & IORING_CQE_F_MORE)) ::io_uring_prep_multishot_accept(next_sqe(), listener, nullptr, nullptr, 0);
            } else if (cqe->res <= 0) {
                ::close(c->fd);
                delete c;
            } else if (c->sending) {
                receive(c);
            } else {
                send(c, cqe->res);
            }
        }
        ::io_uring_cq_advance(&ring, seen);
    }
}
