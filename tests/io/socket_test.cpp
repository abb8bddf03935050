#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <optional>

#include <weft/timeout.hpp>

#include "fixture.hpp"

using namespace io_test;
using weft::endpoint;

TEST_CASE("socket: two connect, accept, talk and see each other's address") {
    leak_check leaks;
    weft::run([] {
        weft::socket listener = listening();
        weft::socket client(AF_INET, SOCK_STREAM);
        client.connect(listener.local_endpoint());
        endpoint peer;
        weft::socket server = listener.accept(&peer);
        CHECK(peer == client.local_endpoint());
        CHECK(server.remote_endpoint() == peer);
        CHECK(client.remote_endpoint() == listener.local_endpoint());
        CHECK(server.local_endpoint() == listener.local_endpoint());
        CHECK(client.send(bytes("hello")) == 5);
        CHECK(receive(server) == "hello");
        CHECK(server.send(bytes("well")) == 4);
        CHECK(receive(client) == "well");
        client.close();
        CHECK(receive(server).empty());
    });
}

TEST_CASE("socket: IPv6 and Unix sockets do the same") {
    leak_check leaks;
    temporary_folder folder;
    weft::run([&] {
        for (const std::string& where : {std::string("[::1]:0"), "unix:" + (folder / "s"), std::string("unix:@weft-io-test")}) {
            INFO(where);
            weft::socket listener = listening(where.c_str());
            weft::socket client(listener.local_endpoint().family(), SOCK_STREAM);
            client.connect(listener.local_endpoint());
            weft::socket server = listener.accept();
            client.send(bytes("hello"));
            CHECK(receive(server) == "hello");
            CHECK(client.remote_endpoint() == listener.local_endpoint());
        }
    });
}

TEST_CASE("socket: a receiver, an acceptor and a sender wait for their turn") {
    leak_check leaks;
    weft::run([] {
        weft::socket listener = listening();
        std::optional<weft::socket> server;
        auto accepting = start([&] { server = listener.accept(); });
        CHECK_FALSE(accepting.done());
        weft::socket client(AF_INET, SOCK_STREAM);
        client.connect(listener.local_endpoint());
        accepting.get();
        auto receiving = start([&] { return receive(*server); });
        CHECK_FALSE(receiving.done());
        client.send(bytes("x"));
        CHECK(receiving.get() == "x");

        const std::string much = long_text(8 << 20);
        auto sending = start([&] {
            std::size_t sent = 0;
            while (sent < much.size()) sent += client.send(bytes(std::string_view(much).substr(sent)));
        });
        CHECK_FALSE(sending.done());
        std::string got;
        while (got.size() < much.size()) got += receive(*server);
        sending.get();
        CHECK(got == much);
    });
}

TEST_CASE("socket: datagrams go to and come from where they say") {
    leak_check leaks;
    weft::run([] {
        weft::socket echo(AF_INET, SOCK_DGRAM), client(AF_INET, SOCK_DGRAM);
        echo.bind(endpoint::parse("127.0.0.1:0"));
        client.bind(endpoint::parse("127.0.0.1:0"));
        auto echoing = start([&] {
            std::byte buffer[1500];
            for (int i = 0; i < 100; ++i) {
                const auto [size, from] = echo.recv_from(buffer);
                CHECK(from == client.local_endpoint());
                CHECK(echo.send_to(std::span(buffer, size), from) == size);
            }
        });
        for (int i = 0; i < 100; ++i) {
            const std::string text = "datagram " + std::to_string(i);
            client.send_to(bytes(text), echo.local_endpoint());
            std::byte buffer[1500];
            const auto [size, from] = client.recv_from(buffer);
            CHECK(std::string(reinterpret_cast<char*>(buffer), size) == text);
            CHECK(from == echo.local_endpoint());
        }
        echoing.get();
        client.send_to({}, echo.local_endpoint());   // an empty datagram is one, too
        std::byte buffer[16];
        CHECK(echo.recv_from(buffer).first == 0);
    });
}

TEST_CASE("socket: Unix datagrams carry their sender's name") {
    leak_check leaks;
    temporary_folder folder;
    weft::run([&] {
        weft::socket a(AF_UNIX, SOCK_DGRAM), b(AF_UNIX, SOCK_DGRAM);
        a.bind(endpoint::unix_path(folder / "a"));
        b.bind(endpoint::unix_path("@weft-io-datagram"));
        b.send_to(bytes("one"), a.local_endpoint());
        std::byte buffer[64];
        auto [size, from] = a.recv_from(buffer);
        CHECK(size == 3);
        CHECK(from == endpoint::unix_path("@weft-io-datagram"));
        a.send_to(bytes("two!"), from);
        std::tie(size, from) = b.recv_from(buffer);
        CHECK(size == 4);
        CHECK(from == a.local_endpoint());
    });
}

TEST_CASE("socket: messages carry descriptors, which are close-on-exec") {
    leak_check leaks;
    weft::run([] {
        auto [a, b] = unix_pair();
        int pipe_ends[2];
        REQUIRE(::pipe(pipe_ends) == 0);
        char byte = 'x';
        iovec one{&byte, 1};
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
        msghdr out{};
        out.msg_iov = &one;
        out.msg_iovlen = 1;
        out.msg_control = control;
        out.msg_controllen = sizeof control;
        cmsghdr* header = CMSG_FIRSTHDR(&out);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        std::memcpy(CMSG_DATA(header), &pipe_ends[0], sizeof(int));
        CHECK(a.send_msg(out) == 1);

        alignas(cmsghdr) char received[CMSG_SPACE(sizeof(int))] = {};
        msghdr in = out;
        in.msg_control = received;
        in.msg_controllen = sizeof received;
        byte = 0;
        CHECK(b.recv_msg(in) == 1);
        CHECK(byte == 'x');
        int fd = -1;
        REQUIRE(CMSG_FIRSTHDR(&in));
        std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&in)), sizeof fd);
        CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
        for (int each : {fd, pipe_ends[0], pipe_ends[1]}) ::close(each);
    });
}

TEST_CASE("socket: sendfile sends a file and advances the offset") {
    leak_check leaks;
    temporary_folder folder;
    const std::string content = long_text(1 << 20);
    std::ofstream(folder / "file", std::ios::binary) << content;
    weft::run([&] {
        auto [a, b] = tcp_pair();
        const int file = ::open((folder / "file").c_str(), O_RDONLY | O_CLOEXEC);
        REQUIRE(file >= 0);
        auto reading = start([&b = b] {
            std::string got;
            for (std::string part; !(part = receive(b)).empty();) got += part;
            return got;
        });
        off_t offset = 1000;
        while (a.sendfile(file, &offset, 100000) > 0) {}
        CHECK(offset == static_cast<off_t>(content.size()));
        a.close();
        CHECK(reading.get() == content.substr(1000));
        ::close(file);
    });
}

TEST_CASE("socket: half of a connection can be shut down") {
    leak_check leaks;
    weft::run([] {
        auto [a, b] = tcp_pair();
        a.shutdown(SHUT_WR);
        CHECK(receive(b).empty());
        b.send(bytes("still"));
        CHECK(receive(a) == "still");
        CHECK(error_of([&a = a] { a.send(bytes("x")); }) == EPIPE);
    });
}

TEST_CASE("socket: a broken connection is an error, and SIGPIPE is not raised") {
    leak_check leaks;
    std::signal(SIGPIPE, SIG_DFL);
    weft::run([] {
        auto [a, b] = tcp_pair();
        const auto peer = a.remote_endpoint();
        reset_on_close(b);
        b.close();
        const std::string said = message_of<std::system_error>([&a = a] { receive(a); });
        CHECK(said.find("socket::recv") == 0);
        CHECK(said.find(peer.to_string()) != std::string::npos);
        CHECK(said.find("Connection reset by peer") != std::string::npos);
        CHECK(error_of([&a = a] { a.send(bytes("x")); }) == EPIPE);
        CHECK(a.remote_endpoint() == peer);   // though the system has forgotten it
    });
}

TEST_CASE("socket: sendfile to a peer that is gone is an error, and SIGPIPE is not raised") {
    leak_check leaks;
    std::signal(SIGPIPE, SIG_DFL);
    weft::run([] {
        const int file = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        REQUIRE(file >= 0);
        auto ends = unix_pair();
        weft::socket& a = ends.first;
        ends.second.close();
        off_t from = 0;
        CHECK(error_of([&] { a.sendfile(file, &from, 100); }) == EPIPE);
        int in_callback = 0;
        weft::get_running_loop().call_soon([&] { in_callback = error_of([&] { a.sendfile(file, &from, 100); }); });
        turns(2);
        CHECK(in_callback == EPIPE);
        CHECK(from == 0);
        ::close(file);
    });
    sigset_t pending, mask;
    ::sigpending(&pending);
    CHECK(::sigismember(&pending, SIGPIPE) == 0);
    ::pthread_sigmask(SIG_BLOCK, nullptr, &mask);
    CHECK(::sigismember(&mask, SIGPIPE) == 0);
}

TEST_CASE("socket: failures name the call and the place") {
    leak_check leaks;
    weft::run([] {
        weft::socket free_port = listening();
        const auto refused = free_port.local_endpoint();
        free_port.close();
        weft::socket client(AF_INET, SOCK_STREAM);
        CHECK(message_of<std::system_error>([&] { client.connect(refused); }) ==
              "socket::connect " + refused.to_string() + ": Connection refused");

        weft::socket taken = listening();
        weft::socket second(AF_INET, SOCK_STREAM);
        CHECK(message_of<std::system_error>([&] { second.bind(taken.local_endpoint()); }) ==
              "socket::bind " + taken.local_endpoint().to_string() + ": Address already in use");
        CHECK(message_of<std::system_error>([&] { second.connect(endpoint::unix_path("/x")); }).find("socket::connect unix:/x: ") == 0);
        CHECK(message_of<std::system_error>([] { weft::socket(12345, SOCK_STREAM); }).find("12345") != std::string::npos);
        CHECK(message_of<std::system_error>([&] { second.set_option(-1, -2, 1); }).find("-1/-2") != std::string::npos);
        CHECK(error_of([&] { second.remote_endpoint(); }) == ENOTCONN);
        weft::socket datagrams(AF_INET, SOCK_DGRAM);
        CHECK(message_of<std::system_error>([&] { datagrams.send_to(bytes(long_text(70000)), refused); })
                  .find("socket::send_to " + refused.to_string()) == 0);
        CHECK(error_of([&] { datagrams.listen(); }) == EOPNOTSUPP);
    });
}

TEST_CASE("socket: a second reader or writer is refused while one waits") {
    leak_check leaks;
    weft::run([] {
        auto [a, b] = narrow_pair();
        auto reading = start([&a = a] { return receive(a); });
        CHECK(message_of<std::logic_error>([&a = a] { receive(a); }).find("socket::recv") == 0);
        auto writing = start([&a = a] {
            for (int i = 0; i < 64; ++i) a.send(bytes(std::string(4096, 'x')));
        });
        REQUIRE_FALSE(writing.done());
        CHECK_THROWS_AS(a.send(bytes(std::string(4096, 'x'))), std::logic_error);
        b.send(bytes("for the first"));
        CHECK(reading.get() == "for the first");
        writing.cancel();
        writing.join();
    });
}

TEST_CASE("socket: calls that would wait need a loop and a task") {
    leak_check leaks;
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    weft::socket a(ends[0]), b(ends[1]);
    CHECK(message_of<weft::no_running_loop>([&] { receive(a); }).find("socket::recv") != std::string::npos);
    CHECK_THROWS_AS(a.send(bytes("x")), weft::no_running_loop);
    CHECK_THROWS_AS(a.accept(), weft::no_running_loop);
    CHECK_THROWS_AS(a.connect(endpoint::unix_path("/x")), weft::no_running_loop);
    CHECK_THROWS_AS(weft::wait_readable(ends[0]), weft::no_running_loop);

    weft::run([&] {
        bool ran = false;
        weft::get_running_loop().call_soon([&] {
            CHECK_THROWS_AS(receive(a), weft::no_running_task);
            CHECK_THROWS_AS(weft::wait_readable(ends[0]), weft::no_running_task);
            CHECK(b.send(bytes("need not wait")) == 13);
            CHECK(receive(a) == "need not wait");
            ran = true;
        });
        while (!ran) weft::yield_now();
    });
}

TEST_CASE("socket: in a loop callback a connect that need not wait works; one that must is under way for the next task") {
    leak_check leaks;
    weft::run([&] {
        weft::socket listener = listening(), other = listening();
        weft::socket datagrams(AF_INET, SOCK_DGRAM), stream(AF_INET, SOCK_STREAM);
        const endpoint peer = listener.local_endpoint();
        bool ran = false;
        weft::get_running_loop().call_soon([&] {
            datagrams.connect(peer);
            CHECK_THROWS_AS(stream.connect(peer), weft::no_running_task);
            CHECK(error_of([&] { stream.connect(other.local_endpoint()); }) == EALREADY);
            CHECK(error_of([&] { weft::socket(AF_UNIX, SOCK_STREAM).connect(endpoint::unix_path("@nobody is here")); }) ==
                  ECONNREFUSED);
            ran = true;
        });
        while (!ran) weft::yield_now();
        CHECK(datagrams.remote_endpoint() == peer);
        stream.connect(peer);
        CHECK(stream.remote_endpoint() == peer);
    });
}

TEST_CASE("socket: MSG_DONTWAIT fails instead of waiting, MSG_PEEK leaves what it sees") {
    leak_check leaks;
    weft::run([] {
        auto [a, b] = unix_pair();
        CHECK(error_of([&a = a] { receive(a, 10, MSG_DONTWAIT); }) == EAGAIN);
        b.send(bytes("seen"));
        CHECK(receive(a, 10, MSG_PEEK) == "seen");
        CHECK(receive(a, 10, MSG_DONTWAIT) == "seen");
        CHECK_THROWS_AS(receive(a, 10, MSG_WAITALL), std::invalid_argument);
    });
}

TEST_CASE("socket: a descriptor is taken over non-blocking, and released") {
    leak_check leaks;
    weft::run([] {
        int ends[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
        weft::socket a(ends[0]);
        CHECK(a.native_handle() == ends[0]);
        CHECK((::fcntl(ends[0], F_GETFL) & O_NONBLOCK) != 0);
        auto waiting = start([&] { return error_of([&] { receive(a); }); });
        waiting.cancel();
        waiting.join();
        CHECK(a.release() == ends[0]);
        CHECK(a.native_handle() == -1);
        CHECK_FALSE(a.is_open());
        CHECK(a.release() == -1);
        CHECK(error_of([&] { receive(a); }) == EBADF);
        weft::socket again(ends[0]);   // registered anew
        auto receiving = start([&] { return receive(again); });
        weft::socket b(ends[1]);
        b.send(bytes("x"));
        CHECK(receiving.get() == "x");

        int pipe_ends[2];
        REQUIRE(::pipe(pipe_ends) == 0);
        CHECK(error_of([&] { weft::socket no_socket(pipe_ends[0]); }) == ENOTSOCK);
        for (int fd : pipe_ends) CHECK(::close(fd) == 0);   // still ours
        CHECK(error_of([] { weft::socket closed(-1); }) == EBADF);
    });
}

TEST_CASE("socket: descriptors are not inherited by programs that are executed") {
    leak_check leaks;
    weft::run([] {
        auto [a, b] = tcp_pair();
        for (const weft::socket* s : {&a, &b}) CHECK((::fcntl(s->native_handle(), F_GETFD) & FD_CLOEXEC) != 0);
    });
}

TEST_CASE("socket: a closed or moved one says so") {
    leak_check leaks;
    weft::run([] {
        auto [a, b] = unix_pair();
        weft::socket moved = std::move(a);
        b.send(bytes("x"));
        CHECK(receive(moved) == "x");
        CHECK(error_of([&a = a] { receive(a); }) == EBADF);
        moved.close();
        moved.close();
        CHECK(error_of([&] { receive(moved); }) == EBADF);
        CHECK(error_of([&] { moved.send(bytes("x")); }) == EBADF);
        CHECK(error_of([&] { moved.local_endpoint(); }) == EBADF);
        weft::socket none;
        none.close();
        CHECK(error_of([&] { none.listen(); }) == EBADF);
        CHECK(receive(b).empty());
    });
}

TEST_CASE("socket: it moves from a loop that has ended to the next one") {
    leak_check leaks;
    std::optional<std::pair<weft::socket, weft::socket>> ends;
    weft::run([&] {
        ends = tcp_pair();
        auto waiting = start([&] { return receive(ends->first); });
        ends->second.send(bytes("one"));
        CHECK(waiting.get() == "one");
    });
    weft::run([&] {
        auto waiting = start([&] { return receive(ends->first); });
        ends->second.send(bytes("two"));
        CHECK(waiting.get() == "two");
    });
}

TEST_CASE("wait_readable: waits for descriptors of any kind, and does not take them") {
    leak_check leaks;
    weft::run([] {
        int ends[2];
        REQUIRE(::pipe(ends) == 0);
        weft::wait_writable(ends[1]);
        auto waiting = start([&] { weft::wait_readable(ends[0]); });
        auto waiting_too = start([&] { weft::wait_readable(ends[0]); });
        CHECK_FALSE(waiting.done());
        REQUIRE(::write(ends[1], "x", 1) == 1);
        waiting.get();
        waiting_too.get();
        weft::wait_readable(ends[0]);   // still there
        char byte;
        REQUIRE(::read(ends[0], &byte, 1) == 1);
        auto cancelled = start([&] { weft::wait_readable(ends[0]); });
        cancelled.cancel();
        cancelled.join();
        CHECK(cancelled.cancelled());
        ::close(ends[1]);
        weft::wait_readable(ends[0]);   // its end
        ::close(ends[0]);
        CHECK(error_of([&] { weft::wait_readable(ends[0]); }) == EBADF);
    });
}
