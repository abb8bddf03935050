// accept: which connection it gives and whose address, what it leaves in the system's queue, and what it does when there is
// no descriptor left. operation_test.cpp has what it shares with the other operations.

#include <catch2/catch.hpp>

#include <poll.h>
#include <sys/resource.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <vector>

#include "bare_loop.hpp"
#include "engine/open_files.hpp"
#include "leak_check.hpp"

using namespace std::chrono_literals;
using namespace weft_test;
using weft::engine_layer::direction;

namespace {

/// A client whose connection stands in the listener's queue when this returns.
descriptor_ptr connect_to(const listener& server) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);   // blocking
    REQUIRE(::connect(fd, server.where(), sizeof(sockaddr_in)) == 0);
    return adopt(fd);
}

in_port_t port_of(const descriptor& d) {
    sockaddr_in own{};
    socklen_t size = sizeof own;
    REQUIRE(::getsockname(fd_of(d), reinterpret_cast<sockaddr*>(&own), &size) == 0);
    return own.sin_port;
}

struct accepted {
    io_result result = 0;
    sockaddr_in peer{};
    descriptor_ptr file;
};

accepted accept_one(engine& e, const listener& server, time_point deadline = no_deadline) {
    accepted made;
    socklen_t size = sizeof made.peer;
    made.result = e.accept(*server.file, reinterpret_cast<sockaddr*>(&made.peer), &size, 0, deadline);
    if (made.result.ok()) made.file = adopt(static_cast<int>(made.result.value()));
    return made;
}

/// While it lives the process may have no more descriptors than it has, and `more`.
class no_more_descriptors {
public:
    explicit no_more_descriptors(rlim_t more) {
        const int free = ::dup(0);   // the lowest number that is free: all below are taken
        REQUIRE(free >= 0);
        ::close(free);
        REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
        rlimit now = before_;
        now.rlim_cur = static_cast<rlim_t>(free) + more;
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &now) == 0);
    }
    ~no_more_descriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
    no_more_descriptors(const no_more_descriptors&) = delete;
    no_more_descriptors& operator=(const no_more_descriptors&) = delete;

private:
    rlimit before_{};
};

}  // namespace

TEST_CASE_METHOD(leak_check, "accept: connections come in the order in which they were made, each with its peer's address") {
    bare_loop loop;
    listener server;
    std::vector<in_port_t> made, seen;
    std::vector<descriptor_ptr> clients;
    loop.start([&] {
        for (int i = 0; i < 7; ++i) seen.push_back(accept_one(loop.engine(), server).peer.sin_port);
    });
    // One is waited for, then some are there already, then one is waited for again.
    for (const int together : {1, 5, 1}) {
        loop.settle();
        CHECK(seen.size() == made.size());
        for (int i = 0; i < together; ++i) {
            clients.push_back(connect_to(server));
            made.push_back(port_of(*clients.back()));
        }
    }
    loop.run();
    CHECK(seen == made);
}

TEST_CASE_METHOD(leak_check, "accept: what nobody has asked for stays in the system's queue") {
    bare_loop loop;
    listener server;
    std::vector<descriptor_ptr> clients;
    bool first = false, ready = false;
    loop.start([&] { first = accept_one(loop.engine(), server).result.ok(); });
    loop.settle();
    for (int i = 0; i < 3; ++i) clients.push_back(connect_to(server));
    loop.run();
    CHECK(first);
    loop.start([&] {
        ready = (loop.engine().poll(*server.file, direction::read, no_deadline).value() & POLLIN) != 0;
    });
    loop.run();
    CHECK(ready);
    // Somebody else at the same listener, another process perhaps, has them at once, and in order.
    for (int i = 1; i < 3; ++i) {
        sockaddr_in peer{};
        socklen_t size = sizeof peer;
        const int fd = ::accept4(fd_of(*server.file), reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC);
        REQUIRE(fd >= 0);
        ::close(fd);
        CHECK(peer.sin_port == port_of(*clients[static_cast<std::size_t>(i)]));
    }
    CHECK(::accept4(fd_of(*server.file), nullptr, nullptr, SOCK_CLOEXEC) == -1);
}

TEST_CASE_METHOD(leak_check, "accept: a connection that comes with a cancellation or a deadline is not lost, in any order") {
    enum event { connection, cancel, deadline };
    for (const auto& order : std::vector<std::vector<event>>{{connection, cancel}, {cancel, connection}, {connection, deadline},
                                                            {deadline, connection}, {connection, cancel, deadline},
                                                            {deadline, cancel, connection}}) {
        bare_loop loop;
        listener server;
        descriptor_ptr client;
        const time_point when = weft::detail::now() + 1h;
        accepted first, second;
        auto& job = loop.start([&] { first = accept_one(loop.engine(), server, when); });
        loop.settle();
        for (const event e : order) switch (e) {
                case connection:
                    client = connect_to(server);
                    loop.engine().wait(time_point::min());   // it is told of here
                    break;
                case cancel:
                    job.cancel();
                    break;
                case deadline:
                    loop.scheduler().fire_timers(when);
            }
        loop.run();
        if (!first.result.ok()) {
            loop.start([&] { second = accept_one(loop.engine(), server); });
            loop.run();
        }
        CHECK((first.result.ok() ? first : second).peer.sin_port == port_of(*client));
    }
}

TEST_CASE_METHOD(leak_check, "accept: closing the listener ends who waits, and the connections that nobody took") {
    for (const bool seen : {false, true}) {
        INFO(seen);
        bare_loop loop;
        listener server;
        std::string waited;
        std::vector<descriptor_ptr> clients;
        loop.start([&] { waited = told(accept_one(loop.engine(), server).result); });
        loop.settle();
        for (int i = 0; i < 3; ++i) clients.push_back(connect_to(server));
        if (seen) loop.engine().wait(time_point::min());   // who waits is woken, and has not run yet
        CHECK(weft::engine_layer::close(*server.file) == 0);
        loop.run();
        CHECK(waited == error_text(EBADF));
        for (descriptor_ptr& client : clients) {
            std::string last;
            loop.start([&] { last = read_text(loop.engine(), *client); });
            loop.run();
            CHECK((last == "end" || last == error_text(ECONNRESET)));
        }
    }
}

TEST_CASE_METHOD(leak_check, "accept: without a descriptor left it says so, at once and after a wait, and loses no connection") {
    for (const bool waits : {false, true}) {
        INFO(waits);
        bare_loop loop;
        listener server;
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        descriptor_ptr client;
        std::string failed;
        accepted later;
        {
            const no_more_descriptors limit(1);   // to begin with there is one left
            const auto accept = [&] {
                loop.start([&] { failed = told(accept_one(loop.engine(), server).result); });
                loop.settle();
            };
            if (waits) accept();
            CHECK(failed.empty());
            const int last = ::dup(fd);
            REQUIRE(last >= 0);
            REQUIRE(::connect(fd, server.where(), sizeof(sockaddr_in)) == 0);
            client = adopt(fd);
            if (!waits) accept();
            loop.run();
            CHECK(failed == error_text(EMFILE));
            ::close(last);
        }
        loop.start([&] { later = accept_one(loop.engine(), server); });
        loop.run();
        REQUIRE(later.result.ok());
        CHECK(later.peer.sin_port == port_of(*client));
    }
}

TEST_CASE_METHOD(leak_check, "accept: a peer that has gone before keeps its address, and does not stand in the next one's way") {
    bare_loop loop;
    listener server;
    descriptor_ptr gone = connect_to(server);
    const in_port_t port = port_of(*gone);
    const linger reset{1, 0};
    REQUIRE(::setsockopt(fd_of(*gone), SOL_SOCKET, SO_LINGER, &reset, sizeof reset) == 0);
    gone.reset();
    descriptor_ptr stays = connect_to(server);
    accepted first, second;
    std::string read;
    loop.start([&] {
        first = accept_one(loop.engine(), server);
        second = accept_one(loop.engine(), server);
        if (first.result.ok()) read = read_text(loop.engine(), *first.file);
    });
    loop.run();
    REQUIRE(first.result.ok());
    CHECK(first.peer.sin_port == port);
    CHECK(read == error_text(ECONNRESET));
    REQUIRE(second.result.ok());
    CHECK(second.peer.sin_port == port_of(*stays));
}
