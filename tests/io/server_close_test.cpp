// How servers and their connections end.

#include <atomic>
#include <cerrno>
#include <thread>

#include "server_fixture.hpp"

using namespace io_test;
using weft::endpoint;
using weft::server;
using weft::stream;

TEST_CASE("server: closing it leaves its connections alone") {
    leak_check leaks;
    weft::run([] {
        server s = weft::start_server(echo, "127.0.0.1", 0);
        const endpoint where = s.endpoints().front();
        stream c = connect_to(s);
        CHECK(ask(c, "before") == "before\n");
        s.close();
        s.close();
        CHECK(error_of([&] { weft::open_connection(where.host(), where.port()); }) == ECONNREFUSED);
        CHECK(s.endpoints().front() == where);
        auto waiting = start([&] { s.wait_closed(); });
        CHECK(ask(c, "after") == "after\n");
        CHECK_FALSE(waiting.done());
        c.close();
        waiting.get();
        finish(s);
    });
}

TEST_CASE("server: dropping it closes it and does not wait") {
    leak_check leaks;
    weft::run([] {
        std::optional<server> s = weft::start_server(echo, "127.0.0.1", 0);
        const endpoint where = s->endpoints().front();
        stream c = connect_to(*s);
        CHECK(ask(c, "before") == "before\n");
        s.reset();
        CHECK(error_of([&] { weft::open_connection(where.host(), where.port()); }) == ECONNREFUSED);
        CHECK(ask(c, "after") == "after\n");
        *(s = server()) = weft::start_server(echo, "127.0.0.1", 0);   // and a moved one goes on
        stream d = connect_to(*s);
        CHECK(ask(d, "moved") == "moved\n");
        const endpoint second = s->endpoints().front();
        *s = server();
        CHECK(error_of([&] { weft::open_connection(second.host(), second.port()); }) == ECONNREFUSED);
    });
}

TEST_CASE("server: close_clients ends the connections, and nothing of that is reported") {
    leak_check leaks;
    weft::run([] {
        reports said;
        std::string got = "?";
        server s = weft::start_server(
            [&](stream c) {
                got = c.read();
                c.write("to nobody");
            },
            "127.0.0.1", 0);
        stream c = connect_to(s);
        c.write("kept");
        while (got == "?" && weft::all_tasks().size() < 3) weft::yield_now();
        s.close();
        s.close_clients();
        s.wait_closed();
        CHECK(got == "kept");
        CHECK(said.messages.empty());
        CHECK(c.read().empty());
        finish(s);
    });
}

TEST_CASE("server: what a handler throws because it reads too little after close_clients is not reported") {
    leak_check leaks;
    weft::run([] {
        reports said;
        server s = weft::start_server([](stream c) { c.read_exactly(100); }, "127.0.0.1", 0);
        stream c = connect_to(s);
        c.write("some");
        while (weft::all_tasks().size() < 3) weft::yield_now();
        turns(5);
        s.close_clients();
        CHECK(c.read().empty());
        finish(s);
        CHECK(said.messages.empty());

        s = weft::start_server([](stream c) { c.read_exactly(100); }, "127.0.0.1", 0);
        c = connect_to(s);
        c.write_eof();   // a client's own end is told of
        CHECK(c.read().empty());
        finish(s);
        CHECK(said.messages.size() == 1);
    });
}

TEST_CASE("server: a connection lasts as long as its stream, wherever that is") {
    leak_check leaks;
    weft::run([] {
        stream kept;
        server s = weft::start_server([&](stream c) { kept = std::move(c); }, "127.0.0.1", 0);
        stream c = connect_to(s);
        while (kept.at_eof()) weft::yield_now();   // at_eof: it is still the closed one
        s.close();
        auto waiting = start([&] { s.wait_closed(); });
        turns(3);
        CHECK_FALSE(waiting.done());
        c.write("x");
        CHECK(kept.read(1) == "x");
        s.close_clients();
        CHECK(kept.read(1).empty());
        kept.close();
        waiting.get();
        finish(s);
    });
}

TEST_CASE("server: a stream may be handed to another loop and end there") {
    leak_check leaks;
    std::atomic<bool> ready = false;
    stream handed;
    std::thread other([&] {
        ready.wait(false);
        weft::run([&] { echo(std::move(handed)); });
    });
    weft::run([&] {
        server s = weft::start_server([&](stream c) {
            handed = std::move(c);
            ready = true;
            ready.notify_one();
        }, "127.0.0.1", 0);
        stream c = connect_to(s);
        CHECK(ask(c, "there") == "there\n");
        s.close();
        c.close();
        s.wait_closed();
    });
    other.join();
}

TEST_CASE("server: serve_forever waits for close, and closes when it is cancelled") {
    leak_check leaks;
    weft::run([] {
        server s = weft::start_server(echo, "127.0.0.1", 0);
        auto serving = start([&] { s.serve_forever(); });
        turns(3);
        CHECK_FALSE(serving.done());
        s.close();
        serving.get();
        finish(s);

        server t = weft::start_server(echo, "127.0.0.1", 0);
        stream open = connect_to(t);
        CHECK(ask(open, "x") == "x\n");
        auto cancelled = start([&] { t.serve_forever(); });
        cancelled.cancel();
        cancelled.join();   // though a connection is open
        CHECK(cancelled.cancelled());
        const endpoint where = t.endpoints().front();
        CHECK(error_of([&] { weft::open_connection(where.host(), where.port()); }) == ECONNREFUSED);
        open.close();
        finish(t);
    });
}

TEST_CASE("server: closing it ends the wait for a place") {
    leak_check leaks;
    weft::run([] {
        server s = weft::start_server(echo, "127.0.0.1", 0, {.max_connections = 1});
        stream first = connect_to(s);
        CHECK(ask(first, "x") == "x\n");
        stream second = connect_to(s);   // waits in the backlog
        auto reading = start([&] {
            try {
                return second.read();
            } catch (const std::system_error&) {
                return std::string("reset");
            }
        });
        turns(5);
        s.close();
        CHECK(reading.get().size() < 6);
        first.close();
        finish(s);
    });
}

TEST_CASE("server: a Unix server replaces a stale socket and removes its own") {
    leak_check leaks;
    temporary_folder folder;
    const std::string path = folder / "s";
    weft::run([&] {
        listening(("unix:" + path).c_str()).close();   // leaves its file
        server s = weft::start_unix_server(echo, path);
        CHECK(s.endpoints().front() == endpoint::unix_path(path));
        stream c = weft::open_unix_connection(path);
        CHECK(ask(c, "x") == "x\n");
        c.close();
        finish(s);
        CHECK_FALSE(std::filesystem::exists(path));

        server first = weft::start_unix_server(echo, path);
        server second = weft::start_unix_server(echo, path);   // takes the name over
        first.close();
        CHECK(std::filesystem::exists(path));   // it is the second's
        second.close();
        CHECK_FALSE(std::filesystem::exists(path));

        server abstract = weft::start_unix_server(echo, "@weft-io-server");
        stream d = weft::open_unix_connection("@weft-io-server");
        CHECK(ask(d, "y") == "y\n");
        d.close();
        first.wait_closed();
        second.wait_closed();
        finish(abstract);
    });
}

TEST_CASE("server: one that ends with its loop, or whose task is cancelled, removes its Unix socket, too") {
    leak_check leaks;
    temporary_folder folder;
    const std::string path = folder / "s";
    server s;
    weft::run([&] { s = weft::start_unix_server(echo, path); });
    CHECK_FALSE(std::filesystem::exists(path));
    s.close();
    weft::run([&] {
        s = weft::start_unix_server(echo, path);
        turns(2);
        for (const weft::task_handle& t : weft::all_tasks())
            if (t != weft::current_task()) t.cancel();
        s.wait_closed();
        CHECK_FALSE(std::filesystem::exists(path));
    });
}

TEST_CASE("server: connections are cancelled with the loop, and the server may outlive it") {
    leak_check leaks;
    server s;
    weft::run([&] {
        s = weft::start_server(echo, "127.0.0.1", 0);
        stream c = connect_to(s);
        CHECK(ask(c, "x") == "x\n");
    });
    s.close();
}
