// One turn of the loop: the order of its steps, its bound, its sleep, and virtual time.

#include <catch2/catch.hpp>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "bare_loop.hpp"
#include "kernel/clock.hpp"
#include "kernel/turnstile.hpp"
#include "leak_check.hpp"

using namespace std::chrono_literals;
using weft::detail::time_point;
using weft::loop_layer::core;
using weft_test::bare_loop;
using weft_test::leak_check;
using weft_test::turnstile;

namespace {

using notes = std::vector<std::string>;

/// A callback that notes its name.
struct noting_callback : weft::kernel::callback {
    noting_callback(notes& l, std::string n)
        : callback([](weft::kernel::callback& c) noexcept {
              auto& self = static_cast<noting_callback&>(c);
              self.log.push_back(self.name);
          }),
          log(l),
          name(std::move(n)) {}
    notes& log;
    std::string name;
};

struct noting_timer : weft::kernel::timer {
    noting_timer(notes& l, std::string n, time_point at) : log(l), name(std::move(n)) {
        when = at;
        fire = [](weft::kernel::timer& t) noexcept {
            auto& self = static_cast<noting_timer&>(t);
            self.log.push_back(self.name);
        };
    }
    notes& log;
    std::string name;
};

struct noting_message : weft::detail::message {
    noting_message(notes& l, std::string n) : log(l), name(std::move(n)) {
        deliver = [](weft::detail::message& m) noexcept {
            auto& self = static_cast<noting_message&>(m);
            self.log.push_back(self.name);
        };
    }
    notes& log;
    std::string name;
};

/// An eventfd that is watched, and drained when it is told.
struct noting_watch : weft::engine_layer::watch {
    noting_watch(notes& l, std::string n) : log(l), name(std::move(n)) {
        fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        events = EPOLLIN;
        ready = [](watch& w, unsigned) noexcept {
            auto& self = static_cast<noting_watch&>(w);
            self.log.push_back(self.name);
            std::uint64_t count;
            [[maybe_unused]] auto taken = ::read(self.fd, &count, sizeof count);
            if (self.then) self.scheduler->ready(*self.then);
        };
    }
    ~noting_watch() { ::close(fd); }
    void ring() const {
        const std::uint64_t one = 1;
        REQUIRE(::write(fd, &one, sizeof one) == sizeof one);
    }
    notes& log;
    std::string name;
    weft::kernel::callback* then = nullptr;   // made ready
    weft::kernel::scheduler* scheduler = nullptr;
};

struct virtual_clock {
    virtual_clock() {
        now_ = std::chrono::steady_clock::now().time_since_epoch().count();
        weft::kernel::installed_clock = +[]() noexcept { return now(); };
        weft::kernel::installed_advance = +[](time_point to) noexcept {
            ++advances;
            if (to > now()) now_ = to.time_since_epoch().count();
        };
        advances = 0;
    }
    ~virtual_clock() {
        weft::kernel::installed_clock = nullptr;
        weft::kernel::installed_advance = nullptr;
    }
    static time_point now() noexcept { return time_point(time_point::duration(now_.load())); }
    static inline std::atomic<time_point::rep> now_{0};
    static inline std::atomic<int> advances{0};
};

}  // namespace

TEST_CASE("turn: inbox, timers, ready fibers and callbacks, engine, in this order") {
    leak_check leaks;
    notes log;
    bare_loop loop;
    noting_watch file(log, "engine");
    REQUIRE(loop.engine().add(file) == 0);
    noting_timer timer(log, "timer", weft::detail::now());
    noting_message message(log, "inbox");
    noting_callback callback(log, "callback");
    file.ring();
    loop.start([&] { log.push_back("fiber"); });
    loop.scheduler().ready(callback);
    loop.scheduler().timers().add(timer);
    loop.scheduler().mailbox().post(message);
    loop.turn();
    CHECK(log == notes{"inbox", "timer", "fiber", "callback", "engine"});
    loop.engine().remove(file);
    loop.run();
}

TEST_CASE("turn: says whether anything was ready in it") {
    leak_check leaks;
    notes log;
    bare_loop loop;
    noting_callback callback(log, "callback");
    CHECK_FALSE(loop.core.turn(time_point::min()));
    loop.scheduler().ready(callback);
    CHECK(loop.core.turn(time_point::min()));
    CHECK_FALSE(loop.core.turn(time_point::min()));
}

TEST_CASE("turn: fibers that are always ready starve neither timers, nor files, nor the inbox") {
    leak_check leaks;
    notes log;
    bare_loop loop;
    bool stop = false;
    for (int i = 0; i < 3; ++i)
        loop.start([&] {
            while (!stop) loop.scheduler().yield();
        });
    noting_watch file(log, "engine");
    REQUIRE(loop.engine().add(file) == 0);
    loop.turn();   // the workers run from here on
    noting_timer timer(log, "timer", weft::detail::now());
    noting_message message(log, "inbox");
    loop.scheduler().timers().add(timer);
    loop.scheduler().mailbox().post(message);
    file.ring();
    loop.turn();
    CHECK(log == notes{"inbox", "timer", "engine"});
    loop.engine().remove(file);
    stop = true;
    loop.run();
}

TEST_CASE("turn: makes at most turn_budget switches, however they come about") {
    leak_check leaks;
    bare_loop loop;
    int switches = 0;
    bool stop = false;
    for (int i = 0; i < 7; ++i)
        loop.start([&] {
            while (!stop) {
                ++switches;
                loop.scheduler().yield();
            }
        });
    for (int turns = 1; turns <= 20; ++turns) {
        loop.turn();
        CHECK(switches <= turns * core::turn_budget);
        CHECK(switches >= turns * core::turn_budget / 2);   // and does not come back for each of them
    }
    stop = true;
    loop.run();
}

TEST_CASE("turn: a callback that schedules itself again runs once per turn of the rest, and does not keep the turn from ending") {
    leak_check leaks;
    bare_loop loop;
    struct again : weft::kernel::callback {
        explicit again(bare_loop& l)
            : callback([](weft::kernel::callback& c) noexcept {
                  auto& self = static_cast<again&>(c);
                  if (++self.count < 10'000) self.loop.scheduler().ready(self);
              }),
              loop(l) {}
        bare_loop& loop;
        int count = 0;
    } self(loop);
    loop.scheduler().ready(self);
    loop.turn();
    CHECK(self.count <= core::turn_budget);
    loop.settle();
    CHECK(self.count == 10'000);
}

TEST_CASE("turn: timers of equal times fire in the order in which they were set, and those that a timer sets now, too") {
    leak_check leaks;
    notes log;
    bare_loop loop;
    const time_point past = weft::detail::now() - 1s;
    noting_timer a(log, "a", past), b(log, "b", past), c(log, "c", past - 1s);
    struct sets_another : noting_timer {
        sets_another(notes& l, time_point at, bare_loop& lo, noting_timer& o) : noting_timer(l, "setter", at), loop(lo), other(o) {
            fire = [](weft::kernel::timer& t) noexcept {
                auto& self = static_cast<sets_another&>(t);
                self.log.push_back(self.name);
                self.loop.scheduler().timers().add(self.other);
            };
        }
        bare_loop& loop;
        noting_timer& other;
    } setter(log, past, loop, c);
    for (noting_timer* t : {&a, static_cast<noting_timer*>(&setter), &b}) loop.scheduler().timers().add(*t);
    loop.turn();
    CHECK(log == notes{"a", "setter", "c", "b"});   // c is the earliest once it is there
}

TEST_CASE("sleep: until the next timer, not until the latest time allowed") {
    leak_check leaks;
    notes log;
    bare_loop loop;
    noting_timer timer(log, "timer", weft::detail::now() + 5ms);
    loop.scheduler().timers().add(timer);
    const auto start = std::chrono::steady_clock::now();
    loop.core.sleep(start + 1h);
    loop.turn();
    CHECK(log == notes{"timer"});
    CHECK(std::chrono::steady_clock::now() - start >= 5ms);
}

TEST_CASE("sleep: do_not_sleep holds for one turn, the one that runs or the next") {
    leak_check leaks;
    bare_loop loop;
    const auto start = std::chrono::steady_clock::now();
    loop.core.do_not_sleep();
    loop.core.turn();   // would sleep forever
    loop.core.turn(start + 2ms);
    CHECK(std::chrono::steady_clock::now() - start >= 2ms);
}

TEST_CASE("sleep: a wake from another thread is never missed, whenever it comes") {
    leak_check leaks;
    bare_loop loop;
    constexpr int rounds = 5'000;
    turnstile there, back;
    std::thread other([&] {
        for (int i = 0; i < rounds; ++i) {
            there.take();
            back.give();   // races with the loop on its way to sleep
        }
    });
    loop.start([&] {
        for (int i = 0; i < rounds; ++i) {
            there.give();
            back.take();
        }
    });
    loop.run();   // hangs if one is missed
    other.join();
}

TEST_CASE("sleep: rings of the doorbell alone make a turn, and none is missed") {
    leak_check leaks;
    bare_loop loop;
    std::atomic<int> rung{0}, answered{0};
    std::thread other([&] {
        for (int i = 1; i <= 2'000; ++i) {
            rung = i;
            loop.scheduler().mailbox().ring();
            while (answered < i) std::this_thread::yield();
        }
    });
    for (int i = 1; i <= 2'000; ++i) {
        while (rung < i) loop.core.turn();
        answered = i;
    }
    other.join();
}

TEST_CASE("virtual time: stands still while anything can run, and then jumps to the next deadline, not further") {
    leak_check leaks;
    virtual_clock clock;
    notes log;
    bare_loop loop;
    const time_point start = clock.now();
    noting_timer a(log, "a", start + 1h), b(log, "b", start + 2h);
    loop.scheduler().timers().add(b);
    loop.scheduler().timers().add(a);
    bool stop = false;
    loop.start([&] {
        for (int i = 0; i < 3 * core::turn_budget; ++i) loop.scheduler().yield();
        log.push_back("fiber");
        stop = true;
    });
    while (!stop) {
        loop.core.turn();
        if (!stop) CHECK(clock.now() == start);
    }
    CHECK(log == notes{"fiber"});
    loop.core.sleep(time_point::max());
    CHECK(clock.now() == start + 1h);
    loop.turn();
    CHECK(log == notes{"fiber", "a"});
    CHECK(clock.now() == start + 1h);
    loop.core.sleep(start + 90min);
    CHECK(clock.now() == start + 90min);
    loop.core.sleep(time_point::max());
    CHECK(clock.now() == start + 2h);
    loop.turn();
    CHECK(log == notes{"fiber", "a", "b"});
    loop.run();
}

TEST_CASE("virtual time: what the system and other threads have to say comes before the clock moves") {
    leak_check leaks;
    virtual_clock clock;
    notes log;
    bare_loop loop;
    const time_point start = clock.now();
    noting_timer timer(log, "timer", start + 1h);
    noting_watch file(log, "engine");
    REQUIRE(loop.engine().add(file) == 0);
    loop.scheduler().timers().add(timer);
    noting_message message(log, "inbox");
    loop.scheduler().mailbox().post(message);
    loop.core.sleep(time_point::max());
    CHECK(clock.now() == start);   // a message is there
    loop.turn();
    CHECK(log == notes{"inbox"});
    noting_callback callback(log, "callback");
    file.then = &callback;
    file.scheduler = &loop.scheduler();
    file.ring();
    loop.core.sleep(time_point::max());
    CHECK(clock.now() == start);   // the file has made a callback ready
    loop.turn();
    loop.core.sleep(time_point::max());
    CHECK(clock.now() == start + 1h);
    loop.turn();
    CHECK(log == notes{"inbox", "engine", "callback", "timer"});
    loop.engine().remove(file);
}

TEST_CASE("observer: is told of each thing that runs, in order, one switch at a time") {
    leak_check leaks;
    notes log;
    bare_loop loop;
    struct telling : weft::loop_layer::step_observer {
        explicit telling(notes& l) : log(l) {
            before = [](step_observer& o, weft::kernel::runnable& r) noexcept {
                static_cast<telling&>(o).log.push_back(r.kind == weft::kernel::runnable_kind::callback ? "[c" : "[f");
            };
            after = [](step_observer& o) noexcept { static_cast<telling&>(o).log.push_back("]"); };
        }
        notes& log;
    } observer(log);
    noting_callback callback(log, "callback");
    loop.start([&] {
        log.push_back("a1");
        loop.scheduler().yield();
        log.push_back("a2");
    });
    loop.start([&] { log.push_back("b"); });
    loop.scheduler().ready(callback);
    loop.core.observer = &observer;
    loop.settle();
    CHECK(log == notes{"[f", "a1", "]", "[f", "b", "]", "[c", "callback", "]", "[f", "a2", "]"});
    log.clear();
    loop.core.observer = nullptr;
    loop.start([&] { log.push_back("alone"); });
    loop.run();
    CHECK(log == notes{"alone"});
}

TEST_CASE("observer: a turn in which it is told is bounded like any other") {
    leak_check leaks;
    bare_loop loop;
    weft::loop_layer::step_observer observer;
    observer.before = [](weft::loop_layer::step_observer&, weft::kernel::runnable&) noexcept {};
    observer.after = [](weft::loop_layer::step_observer&) noexcept {};
    loop.core.observer = &observer;
    int switches = 0;
    bool stop = false;
    for (int i = 0; i < 3; ++i)
        loop.start([&] {
            while (!stop) {
                ++switches;
                loop.scheduler().yield();
            }
        });
    loop.turn();
    CHECK(switches == core::turn_budget);
    stop = true;
    loop.run();
}
