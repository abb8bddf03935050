// recv_msg and send_msg: what travels beside the bytes; and what datagrams are told.

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "fixture.hpp"

using namespace io_test;
namespace options = weft::socket_options;

namespace {

/// A message of one piece of memory, with room for what travels beside it.
struct message {
    explicit message(std::size_t size) : text(size, '\0') { reset(); }
    explicit message(std::string t) : text(std::move(t)) { reset(); }
    message(const message&) = delete;

    void reset() {
        piece = {text.data(), text.size()};
        header = {};
        header.msg_iov = &piece;
        header.msg_iovlen = 1;
    }
    void want_control(std::size_t size = sizeof(control)) {
        header.msg_control = control.data();
        header.msg_controllen = size;
    }
    void add(const std::vector<int>& descriptors) {
        const std::size_t size = descriptors.size() * sizeof(int);
        want_control(CMSG_SPACE(size));
        cmsghdr* first = CMSG_FIRSTHDR(&header);
        first->cmsg_level = SOL_SOCKET;
        first->cmsg_type = SCM_RIGHTS;
        first->cmsg_len = CMSG_LEN(size);
        std::memcpy(CMSG_DATA(first), descriptors.data(), size);
    }
    std::vector<int> descriptors() {
        std::vector<int> found;
        for (cmsghdr* c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
            if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
            found.resize((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
            std::memcpy(found.data(), CMSG_DATA(c), found.size() * sizeof(int));
        }
        return found;
    }

    std::string text;
    iovec piece{};
    msghdr header{};
    alignas(cmsghdr) std::array<char, 512> control{};
};

ino_t file_number(int fd) {
    struct stat found{};
    REQUIRE(::fstat(fd, &found) == 0);
    return found.st_ino;
}

weft::socket udp(const char* where) {
    const auto local = weft::endpoint::parse(where);
    weft::socket s(local.family(), SOCK_DGRAM);
    s.bind(local);
    return s;
}

}  // namespace

TEST_CASE("socket: a message carries several descriptors to one that waits for it") {
    leak_check leaks;
    weft::run([] {
        auto [a, b] = unix_pair(SOCK_DGRAM);
        int ends[2];
        REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
        message in(10);
        in.want_control();
        auto receiving = start([&, &b = b] { return b.recv_msg(in.header); });
        message out(std::string("two"));
        out.add({ends[0], ends[1]});
        CHECK(a.send_msg(out.header) == 3);
        CHECK(receiving.get() == 3);
        CHECK(in.text.substr(0, 3) == "two");
        const auto got = in.descriptors();
        REQUIRE(got.size() == 2);
        for (std::size_t i = 0; i < 2; ++i) {
            CHECK(file_number(got[i]) == file_number(ends[i]));
            CHECK((::fcntl(got[i], F_GETFD) & FD_CLOEXEC) != 0);
            ::close(got[i]);
            ::close(ends[i]);
        }
    });
}

TEST_CASE("socket: descriptors that find no room are closed by the system, and the message says so") {
    leak_check leaks;
    weft::run([] {
        auto [a, b] = unix_pair(SOCK_DGRAM);
        message out(std::string("x"));
        out.add({a.native_handle(), b.native_handle()});
        a.send_msg(out.header);
        message in(1);
        in.want_control(CMSG_LEN(sizeof(int)));
        b.recv_msg(in.header);
        CHECK((in.header.msg_flags & MSG_CTRUNC) != 0);
        for (int fd : in.descriptors()) ::close(fd);
        // A receiver that asks for nothing beside the bytes gets none.
        out.add({a.native_handle()});
        a.send_msg(out.header);
        CHECK(receive(b) == "x");
    });
}

TEST_CASE("socket: a receiver that is cancelled leaves the message and its descriptors to the next one") {
    leak_check leaks;
    weft::run([] {
        auto [a, b] = unix_pair(SOCK_DGRAM);
        for (int pause = 0; pause < 4; ++pause) {
            message in(10);
            in.want_control();
            auto receiving = start([&, &b = b] { return b.recv_msg(in.header); });
            message out(std::string("one"));
            out.add({a.native_handle()});
            a.send_msg(out.header);
            turns(pause);
            receiving.cancel();
            receiving.join();
            if (receiving.cancelled()) {
                in.want_control();
                CHECK(b.recv_msg(in.header) == 3);
            }
            const auto got = in.descriptors();
            REQUIRE(got.size() == 1);
            ::close(got[0]);
        }
    });
}

TEST_CASE("socket: a datagram tells where it was sent to") {
    leak_check leaks;
    weft::run([] {
        weft::socket server = udp("0.0.0.0:0");
        server.set_option(options::packet_info, true);
        const auto port = server.local_endpoint().port();
        weft::socket client = udp("127.0.0.1:0");
        client.send_to(bytes("here"), weft::endpoint("127.0.0.7", port));
        message in(10);
        in.want_control();
        weft::endpoint from;
        in.header.msg_name = from.data();
        in.header.msg_namelen = weft::endpoint::capacity;
        CHECK(server.recv_msg(in.header) == 4);
        from.resize(in.header.msg_namelen);
        CHECK(from == client.local_endpoint());
        cmsghdr* c = CMSG_FIRSTHDR(&in.header);
        REQUIRE((c && c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO));
        in_pktinfo info{};
        std::memcpy(&info, CMSG_DATA(c), sizeof info);
        sockaddr_in to{.sin_family = AF_INET, .sin_port = 0, .sin_addr = info.ipi_addr, .sin_zero = {}};
        CHECK(weft::endpoint(reinterpret_cast<sockaddr*>(&to), sizeof to).host() == "127.0.0.7");
    });
}

TEST_CASE("socket: a datagram that is too long for its room is cut, and says so") {
    leak_check leaks;
    weft::run([] {
        weft::socket server = udp("[::1]:0"), client = udp("[::1]:0");
        client.send_to(bytes("0123456789"), server.local_endpoint());
        message in(4);
        CHECK(server.recv_msg(in.header) == 4);
        CHECK((in.header.msg_flags & MSG_TRUNC) != 0);
        client.send_to(bytes(""), server.local_endpoint());   // an empty one is no end
        client.send_to(bytes("next"), server.local_endpoint());
        CHECK(receive(server).empty());
        CHECK(receive(server) == "next");
        CHECK(error_of([&] { client.send_to(bytes(std::string(70000, 'x')), server.local_endpoint()); }) == EMSGSIZE);
    });
}

TEST_CASE("socket: a connected one is told that nobody takes its datagrams, also while it waits") {
    leak_check leaks;
    weft::run([] {
        const auto nobody = udp("127.0.0.1:0").local_endpoint();
        weft::socket client = udp("127.0.0.1:0");
        client.connect(nobody);
        CHECK(client.remote_endpoint() == nobody);
        auto waiting = start([&] { receive(client); });
        client.send(bytes("anybody?"));
        waiting.join();
        CHECK(error_of([&] { waiting.get(); }) == ECONNREFUSED);
        weft::socket somebody = udp(nobody.to_string().c_str());
        client.send(bytes("now?"));   // it goes on
        CHECK(receive(somebody) == "now?");
    });
}

TEST_CASE("socket: an address with a scope is reached on that interface") {
    leak_check leaks;
    weft::run([] {
        weft::socket server = udp("[::]:0");
        weft::socket client = udp("[::1]:0");
        const weft::endpoint to("::1%lo", server.local_endpoint().port());
        client.send_to(bytes("scoped"), to);
        CHECK(receive(server) == "scoped");
        const weft::endpoint unbound = weft::endpoint::parse("[fe80::1%lo]:9");
        weft::socket s(AF_INET6, SOCK_DGRAM);
        const int error = error_of([&] { s.connect(unbound); });   // lo has no link-local address
        CHECK((error == 0 || error == EADDRNOTAVAIL || error == ENETUNREACH || error == EINVAL));
    });
}
