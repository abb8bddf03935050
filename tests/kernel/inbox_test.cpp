#include <catch2/catch.hpp>

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "kernel/inbox.hpp"
#include "rounds.hpp"

using weft::kernel::inbox;
using weft::kernel::message;

namespace {

struct numbered : message {
    explicit numbered(int n, std::vector<int>& into) : number(n), log(into) {
        deliver = [](message& m) noexcept {
            auto& self = static_cast<numbered&>(m);
            self.log.push_back(self.number);
        };
    }
    int number;
    std::vector<int>& log;
};

/// An inbox with what sleeps on it: edges of its doorbell, as an engine watches them.
class sleeper {
public:
    sleeper() : box(inbox::acquire()), epoll_(::epoll_create1(0)) {
        epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.u64 = 0}};
        REQUIRE(::epoll_ctl(epoll_, EPOLL_CTL_ADD, box->doorbell(), &event) == 0);
        rung(0);   // a ring that was meant for the inbox's last user
    }
    ~sleeper() {
        ::close(epoll_);
        inbox::give_back(box);
    }
    /// Whether the doorbell rings within this time; -1 waits for ever.
    bool rung(int milliseconds) {
        epoll_event event;
        return ::epoll_wait(epoll_, &event, 1, milliseconds) == 1;
    }

    inbox* box;

private:
    int epoll_;
};

}  // namespace

TEST_CASE("inbox: messages are delivered once, oldest first") {
    sleeper s;
    std::vector<int> log;
    numbered a(1, log), b(2, log), c(3, log);
    CHECK_FALSE(s.box->deliver());
    s.box->post(a);
    s.box->post(b);
    s.box->post(c);
    CHECK(s.box->full());
    CHECK(s.box->deliver());
    CHECK(log == std::vector<int>{1, 2, 3});
    CHECK_FALSE(s.box->deliver());
}

TEST_CASE("inbox: what a message posts while it is delivered comes in the next delivery") {
    sleeper s;
    struct again : message {
        inbox* box;
        int left = 2;
    } m;
    m.box = s.box;
    m.deliver = [](message& self) noexcept {
        auto& a = static_cast<again&>(self);
        if (a.left-- > 0) a.box->post(a);
    };
    s.box->post(m);
    CHECK(s.box->deliver());
    CHECK(m.left == 1);
    CHECK(s.box->deliver());
    CHECK(s.box->deliver());
    CHECK_FALSE(s.box->deliver());
    CHECK(m.left == -1);
}

TEST_CASE("inbox: a message may be gone once it was delivered") {
    sleeper s;
    for (int i = 0; i < 3; ++i) {
        auto* m = new message;
        m->deliver = [](message& self) noexcept { delete &self; };
        s.box->post(*m);
    }
    CHECK(s.box->deliver());
}

TEST_CASE("inbox: it does not fall asleep over a message") {
    sleeper s;
    std::vector<int> log;
    numbered m(1, log);
    s.box->post(m);
    CHECK_FALSE(s.box->fall_asleep());
    s.box->deliver();
    CHECK(s.box->fall_asleep());
    s.box->wake_up();
}

TEST_CASE("inbox: the doorbell is rung only for one that sleeps") {
    sleeper s;
    std::vector<int> log;
    numbered a(1, log), b(2, log), c(3, log);
    s.box->post(a);
    CHECK_FALSE(s.rung(0));
    s.box->deliver();
    REQUIRE(s.box->fall_asleep());
    s.box->post(b);
    CHECK(s.rung(0));
    s.box->post(c);
    CHECK_FALSE(s.rung(0));   // it is on its way already
    s.box->wake_up();
    s.box->deliver();
    CHECK(log == std::vector<int>{1, 2, 3});
}

TEST_CASE("inbox: a ring without a message wakes, or keeps it from sleeping, once") {
    sleeper s;
    s.box->ring();
    CHECK_FALSE(s.rung(0));
    CHECK_FALSE(s.box->fall_asleep());
    REQUIRE(s.box->fall_asleep());
    s.box->ring();
    CHECK(s.rung(0));
    s.box->wake_up();
    CHECK(s.box->fall_asleep());
    s.box->wake_up();
}

TEST_CASE("inbox: a ring without a message keeps the loop from sleeping for one turn, not for ever") {
    sleeper s;
    s.box->ring();
    CHECK(s.box->called());
    CHECK_FALSE(s.box->called());
    s.box->ring();
    CHECK_FALSE(s.box->fall_asleep());
    CHECK_FALSE(s.box->called());
    REQUIRE(s.box->fall_asleep());
    s.box->wake_up();
}

TEST_CASE("inbox: a signal handler may ring, and leaves errno alone") {
    static inbox* box;
    sleeper s;
    box = s.box;
    struct sigaction ours {}, before {};
    ours.sa_handler = [](int) { box->ring(); };
    ::sigaction(SIGUSR1, &ours, &before);
    REQUIRE(s.box->fall_asleep());
    errno = 77;
    ::raise(SIGUSR1);
    const int after = errno;
    ::sigaction(SIGUSR1, &before, nullptr);
    CHECK(after == 77);
    CHECK(s.rung(0));
    s.box->wake_up();
}

TEST_CASE("inbox: those of closed loops are used again, awake") {
    inbox* first = inbox::acquire();
    inbox::give_back(first);
    inbox* second = inbox::acquire();
    CHECK(first == second);
    REQUIRE(second->fall_asleep());
    second->ring();   // its user dies in its sleep
    inbox::give_back(second);
    sleeper s;
    CHECK(s.box == second);
    CHECK(s.box->fall_asleep());
    s.box->wake_up();
}

TEST_CASE("inbox: no message of many threads is lost on one that sleeps whenever it can") {
    // A lost wake leaves the receiver asleep for ever: this test then ends by its time limit.
    struct counted : message {
        long* count = nullptr;
        std::atomic<bool> busy{false};
    };
    constexpr int producers = 3;
    const long each = weft_test::rounds(50'000);
    long delivered = 0;
    long slept = 0;
    sleeper s;
    std::vector<std::thread> threads;
    for (int p = 0; p < producers; ++p)
        threads.emplace_back([&] {
            // Few messages, used again: a producer often waits for its receiver, which then sleeps.
            std::vector<counted> own(4);
            for (counted& m : own) {
                m.count = &delivered;
                m.deliver = [](message& self) noexcept {
                    auto& c = static_cast<counted&>(self);
                    ++*c.count;
                    c.busy.store(false, std::memory_order_release);
                };
            }
            for (long i = 0; i < each; ++i) {
                counted& m = own[static_cast<std::size_t>(i) % own.size()];
                while (m.busy.load(std::memory_order_acquire)) std::this_thread::yield();
                m.busy.store(true, std::memory_order_relaxed);
                s.box->post(m);
            }
            for (counted& m : own)
                while (m.busy.load(std::memory_order_acquire)) std::this_thread::yield();
        });
    while (delivered < producers * each) {
        if (s.box->deliver()) continue;
        if (!s.box->fall_asleep()) continue;
        while (!s.rung(-1)) {}
        s.box->wake_up();
        ++slept;
    }
    for (auto& t : threads) t.join();
    CHECK(delivered == producers * each);
    CHECK(slept > 0);
    CHECK_FALSE(s.box->full());
}

TEST_CASE("inbox: no ring of other threads is lost") {
    // Two threads wake each other in turns, with nothing but rings and a flag.
    sleeper a, b;
    const int turns = weft_test::rounds(40'000);
    std::atomic<int> ball{0};
    auto play = [&](sleeper& self, sleeper& other, int side) {
        for (int i = side; i < turns; i += 2) {
            while (ball.load() != i) {
                if (!self.box->fall_asleep()) continue;
                if (ball.load() != i)
                    while (!self.rung(-1)) {}
                self.box->wake_up();
            }
            ball = i + 1;
            other.box->ring();
        }
    };
    std::thread t([&] { play(b, a, 1); });
    play(a, b, 0);
    t.join();
    CHECK(ball == turns);
}
