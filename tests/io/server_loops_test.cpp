// A server that accepts on one loop and has its handlers run by others.

#include <algorithm>
#include <future>
#include <latch>
#include <map>
#include <mutex>
#include <thread>

#include <weft/event.hpp>
#include <weft/run.hpp>

#include "server_fixture.hpp"

using namespace io_test;
using weft::server;
using weft::stream;

namespace {

/// A loop in a thread of its own; closed when it is told to end, destroyed with this.
class other_loop {
public:
    other_loop()
        : thread_([this] {
              weft::runner runner;
              runner.run([this] {
                  reports said;
                  loop_.set_value(&weft::get_running_loop());
                  end_.wait();
                  messages = said.messages;
              });
              runner.close();
              closed_.count_down();
              destroyed_.wait();
          }),
          loop(loop_.get_future().get()) {}
    ~other_loop() {
        end_.set();
        destroyed_.count_down();
        thread_.join();
    }
    /// Returns when it is closed.
    void end() {
        end_.set();
        closed_.wait();
    }

private:
    std::promise<weft::loop*> loop_;
    weft::event end_;
    std::latch closed_{1}, destroyed_{1};
    std::thread thread_;

public:
    weft::loop* const loop;
    std::vector<std::string> messages;   // once it has ended
};

/// On which thread each handler runs.
class handlers {
public:
    void operator()(stream s) {
        {
            const std::lock_guard lock(mutex_);
            ++alive_[std::this_thread::get_id()];
        }
        s.write("hello\n");
        echo(std::move(s));
        const std::lock_guard lock(mutex_);
        --alive_[std::this_thread::get_id()];
    }
    /// How many are alive on each thread, fewest first.
    std::vector<int> counts() {
        const std::lock_guard lock(mutex_);
        std::vector<int> result;
        for (const auto& [thread, count] : alive_) result.push_back(count);
        std::ranges::sort(result);
        return result;
    }
    bool here() {
        const std::lock_guard lock(mutex_);
        return alive_.contains(std::this_thread::get_id());
    }

private:
    std::mutex mutex_;
    std::map<std::thread::id, int> alive_;
};

stream greeted(const server& s) {
    stream c = connect_to(s);
    CHECK(c.read_line() == "hello\n");
    return c;
}

}  // namespace

TEST_CASE("server: with loops given, each connection goes to the one with the fewest") {
    leak_check leaks;
    other_loop a, b;
    handlers seen;
    weft::run([&] {
        server s = weft::start_server(std::ref(seen), "127.0.0.1", 0, {.loops = {a.loop, b.loop}});
        std::vector<stream> clients;
        for (int i = 0; i < 10; ++i) clients.push_back(greeted(s));
        CHECK(seen.counts() == std::vector<int>{5, 5});
        CHECK_FALSE(seen.here());
        for (stream& c : clients) CHECK(ask(c, "x") == "x\n");
        // Those of one loop end: the next ones go there.
        for (std::size_t i = 0; i < clients.size(); i += 2) {
            clients[i].write_eof();
            CHECK(clients[i].read().empty());
        }
        while (seen.counts() != std::vector<int>{0, 5}) weft::yield_now();
        for (int i = 0; i < 4; ++i) clients.push_back(greeted(s));
        CHECK(seen.counts() == std::vector<int>{4, 5});
        clients.clear();
        finish(s);
        CHECK(seen.counts() == std::vector<int>{0, 0});
    });
}

TEST_CASE("server: its own loop may be one of those that run its handlers") {
    leak_check leaks;
    other_loop other;
    handlers seen;
    weft::run([&] {
        server s = weft::start_server(std::ref(seen), "127.0.0.1", 0, {.loops = {other.loop, &weft::get_running_loop()}});
        {
            stream one = greeted(s), two = greeted(s);
            CHECK(seen.here());
            CHECK(seen.counts() == std::vector<int>{1, 1});
        }
        finish(s);
    });
}

TEST_CASE("server: close_clients, wait_closed and max_connections mean connections on all loops") {
    leak_check leaks;
    other_loop a, b;
    handlers seen;
    weft::run([&] {
        server s = weft::start_server(std::ref(seen), "127.0.0.1", 0, {.max_connections = 2, .loops = {a.loop, b.loop}});
        stream one = greeted(s), two = greeted(s), third = connect_to(s);
        auto reading = start([&] { return third.read_line(); });
        CHECK(ask(one, "x") == "x\n");
        CHECK_FALSE(reading.done());
        one.close();
        CHECK(reading.get() == "hello\n");
        s.close();
        auto waiting = start([&] { s.wait_closed(); });
        CHECK(ask(two, "still") == "still\n");
        CHECK_FALSE(waiting.done());
        s.close_clients();
        CHECK(two.read().empty());
        CHECK(third.read().empty());
        waiting.get();
        CHECK(seen.counts() == std::vector<int>{0, 0});
    });
}

TEST_CASE("server: what a handler throws on another loop goes to that loop's exception handler") {
    leak_check leaks;
    other_loop other;
    weft::run([&] {
        reports said;
        server s = weft::start_server([](stream) { throw std::runtime_error("on purpose"); }, "127.0.0.1", 0,
                                      {.loops = {other.loop}});
        CHECK(connect_to(s).read().empty());
        finish(s);
        CHECK(said.messages.empty());
    });
    other.end();
    REQUIRE(other.messages.size() == 1);
    CHECK(other.messages[0].ends_with(": on purpose"));
}

TEST_CASE("server: handlers end with their loop, which gets no more connections; without any loop the server closes") {
    leak_check leaks;
    handlers seen;
    other_loop first, second;
    weft::run([&] {
        reports said;
        server s = weft::start_server(std::ref(seen), "127.0.0.1", 0, {.loops = {first.loop, second.loop}});
        {
            stream one = greeted(s), two = greeted(s);
            first.end();
            CHECK(one.read().empty());             // its handler was cancelled
            CHECK(connect_to(s).read().empty());   // given to the closed loop, which has fewer
            CHECK(said.messages.size() == 1);
            stream three = greeted(s);
            CHECK(ask(two, "x") == "x\n");
            second.end();
            CHECK(three.read().empty());
        }
        CHECK(connect_to(s).read().empty());
        CHECK(said.messages.size() == 2);
        s.serve_forever();   // it is closed: returns
        s.wait_closed();
    });
}

TEST_CASE("server: a null loop is refused") {
    leak_check leaks;
    weft::run([] { CHECK_THROWS_AS(weft::start_server(echo, "127.0.0.1", 0, {.loops = {nullptr}}), std::invalid_argument); });
}
