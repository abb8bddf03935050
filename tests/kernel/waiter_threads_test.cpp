// Waits that other threads end: plain threads and other loops, both ways.

#include <catch2/catch.hpp>

#include <sys/mman.h>

#include <atomic>
#include <chrono>
#include <random>
#include <thread>
#include <vector>

#include "bare_loop.hpp"
#include "kernel/turnstile.hpp"
#include "leak_check.hpp"
#include "rounds.hpp"

using namespace std::chrono_literals;
using weft::detail::time_point;
using weft::detail::wait_outcome;
using weft::detail::waiter;
using weft_test::bare_loop;
using weft_test::leak_check;
using weft_test::rounds;
using weft_test::turnstile;

namespace {

/// A thread with a loop of its own, on which one job runs.
template <class F>
std::thread loop_thread(F f) {
    return std::thread([f] {
        bare_loop loop;
        loop.start([&] { f(loop); });
        loop.run();
    });
}

/// One side of a game of ping-pong.
void play(turnstile& mine, turnstile& yours, int turns) {
    for (int i = 0; i < turns; ++i) {
        mine.take();
        yours.give();
    }
}

}  // namespace

TEST_CASE_METHOD(leak_check, "park: a plain thread is woken by a fiber, and a fiber by a plain thread") {
    turnstile to_thread, to_fiber;
    std::thread thread([&] {
        to_thread.take();
        to_fiber.give();
    });
    bare_loop loop;
    wait_outcome outcome{};
    loop.start([&] {
        to_thread.give();
        outcome = to_fiber.take();
    });
    loop.run();
    thread.join();
    CHECK(outcome == wait_outcome::woken);
}

TEST_CASE_METHOD(leak_check, "park: a plain thread gives up at its deadline and leaves the list") {
    turnstile t;
    wait_outcome past{}, soon{};
    bool too_early = false;
    std::thread thread([&] {
        past = t.take(time_point::min());
        const time_point deadline = weft::detail::now() + 2ms;
        soon = t.take(deadline);
        too_early = weft::detail::now() < deadline;
    });
    thread.join();
    CHECK(past == wait_outcome::timed_out);
    CHECK(soon == wait_outcome::timed_out);
    CHECK_FALSE(too_early);
    CHECK(t.empty());
}

TEST_CASE_METHOD(leak_check, "park: a wake that comes before the park of a plain thread is not lost") {
    wait_outcome outcome{};
    std::thread([&] {
        weft::detail::gate g;
        waiter self("self");
        {
            weft::detail::gate_lock lock(g);
            self.claim(lock);
        }
        std::thread([&] { waiter::wake(self); }).join();
        outcome = weft::detail::park(self, time_point::min());
    }).join();
    CHECK(outcome == wait_outcome::woken);
}

TEST_CASE_METHOD(leak_check, "park: a wake from another thread that comes before the park of a fiber is not lost") {
    bare_loop loop;
    wait_outcome outcome{}, timed{};
    loop.start([&] {
        weft::detail::gate g;
        for (wait_outcome* o : {&outcome, &timed}) {
            waiter self("self");
            std::thread([&] {
                {
                    weft::detail::gate_lock lock(g);
                    self.claim(lock);
                }
                waiter::wake(self);
            }).join();
            *o = weft::detail::park(self, o == &timed ? time_point::min() : time_point::max());
        }
    });
    loop.run();
    CHECK(outcome == wait_outcome::woken);
    CHECK(timed == wait_outcome::woken);
}

TEST_CASE_METHOD(leak_check, "wake: two plain threads wake each other a hundred thousand times") {
    turnstile a, b;
    const int turns = rounds(100'000);
    std::thread other([&] { play(b, a, turns); });
    a.give();
    play(a, b, turns);
    other.join();
    CHECK(a.permits() == 1);
    CHECK(b.permits() == 0);
}

TEST_CASE_METHOD(leak_check, "wake: a fiber and a plain thread wake each other two hundred thousand times") {
    turnstile a, b;
    const int turns = rounds(200'000);
    std::thread other([&] { play(b, a, turns); });
    bare_loop loop;
    loop.start([&] { play(a, b, turns); });
    a.give();
    loop.run();
    other.join();
    CHECK(a.permits() == 1);
    CHECK(b.permits() == 0);
}

TEST_CASE_METHOD(leak_check, "wake: fibers of two loops wake each other two hundred thousand times") {
    turnstile a, b;
    const int turns = rounds(200'000);
    std::thread other = loop_thread([&](bare_loop&) { play(b, a, turns); });
    bare_loop loop;
    loop.start([&] { play(a, b, turns); });
    a.give();
    loop.run();
    other.join();
    CHECK(a.permits() == 1);
    CHECK(b.permits() == 0);
}

TEST_CASE_METHOD(leak_check, "wake: a hundred pairs of fibers play across two loops at once") {
    constexpr std::size_t pairs = 100;
    const int turns = rounds(5000);
    std::vector<turnstile> a(pairs), b(pairs);
    auto side = [turns](std::vector<turnstile>& mine, std::vector<turnstile>& yours) {
        bare_loop loop(64 * 1024);
        for (std::size_t i = 0; i < pairs; ++i) loop.start([&, i] { play(mine[i], yours[i], turns); });
        loop.run();
    };
    for (turnstile& t : a) t.give();
    std::thread other([&] { side(b, a); });
    side(a, b);
    other.join();
    long wrong = 0;
    for (std::size_t i = 0; i < pairs; ++i) wrong += a[i].permits() != 1 || b[i].permits() != 0;
    CHECK(wrong == 0);
}

TEST_CASE_METHOD(leak_check, "wake: a loop may end as soon as its last fiber was woken") {
    // The waker is still inside wake() when the loop that it woke is gone, time and again.
    const int all = rounds(3000);
    turnstile next, woken;
    std::thread waker([&] {
        for (int i = 0; i < all; ++i) {
            next.take();
            woken.give();
        }
    });
    for (int i = 0; i < all; ++i) {
        bare_loop loop(16 * 1024);
        loop.start([&] {
            next.give();
            woken.take();
        });
        loop.run();
    }
    waker.join();
    CHECK(woken.permits() == 0);
}

TEST_CASE_METHOD(leak_check, "park: a deadline races with a wake from another thread, and no permit is lost") {
    // One permit; the waiter gives up after a few microseconds, the waker comes at about the same time.
    for (const bool on_a_loop : {false, true}) {
        turnstile t;
        const int all = rounds(30'000);
        std::atomic<int> stage{0};
        long taken = 0, timed_out = 0;
        auto waits = [&] {
            std::minstd_rand random(1);
            for (int i = 0; i < all; ++i) {
                stage = i + 1;
                const auto patience = std::chrono::nanoseconds(random() % 20'000);
                if (t.take(weft::detail::now() + patience) == wait_outcome::woken) {
                    ++taken;
                } else {
                    ++timed_out;
                    t.take();   // it is on its way
                }
            }
        };
        std::thread waker([&] {
            for (int i = 0; i < all; ++i) {
                while (stage < i + 1) std::this_thread::yield();
                t.give();
            }
        });
        if (on_a_loop) {
            bare_loop loop;
            loop.start(waits);
            loop.run();
        } else {
            std::thread(waits).join();
        }
        waker.join();
        CHECK(taken + timed_out == all);
        CHECK(t.permits() == 0);
        CHECK(t.empty());
    }
}

TEST_CASE_METHOD(leak_check, "park: loops, plain threads, deadlines and cancellations share a turnstile without losing a permit") {
    constexpr int permits = 3;
    constexpr int fibers = 20;
    const int steps = rounds(80'000);
    turnstile t(permits);
    std::atomic<int> inside{0};
    std::atomic<int> most{0};
    std::atomic<long> taken{0}, timed_out{0}, cancelled{0};
    auto use = [&](wait_outcome outcome) {
        if (outcome == wait_outcome::timed_out) ++timed_out;
        if (outcome == wait_outcome::cancelled) ++cancelled;
        if (outcome != wait_outcome::woken) return;
        ++taken;
        const int now = ++inside;
        int before = most.load();
        while (before < now && !most.compare_exchange_weak(before, now)) {}
    };
    auto release = [&](wait_outcome outcome) {
        if (outcome != wait_outcome::woken) return;
        --inside;
        t.give();
    };
    auto patience = [](std::minstd_rand& random) {
        return random() % 4 == 0 ? time_point::max() : weft::detail::now() + std::chrono::microseconds(random() % 50);
    };
    auto on_a_loop = [&](unsigned seed) {
        bare_loop loop;
        std::vector<bare_loop::job*> jobs;
        int running = fibers;
        for (unsigned f = 0; f < fibers; ++f)
            jobs.push_back(&loop.start([&, f] {
                std::minstd_rand random(seed * 100 + f);
                for (int i = 0; i < steps / fibers * 4; ++i) {
                    const wait_outcome outcome = t.take(patience(random), random() % 8 != 0);
                    jobs[f]->take_cancellation();
                    use(outcome);
                    if (random() % 2) loop.scheduler().yield();
                    release(outcome);
                }
                --running;
            }));
        loop.start([&] {
            std::minstd_rand random(seed);
            while (running) {
                bare_loop::job& victim = *jobs[random() % fibers];
                if (!victim.done) victim.cancel();
                turnstile nobody;
                nobody.take(weft::detail::now() + 20us);
            }
        });
        loop.run();
    };
    auto on_a_thread = [&](unsigned seed) {
        std::minstd_rand random(seed);
        for (int i = 0; i < steps; ++i) {
            const wait_outcome outcome = t.take(patience(random));
            use(outcome);
            release(outcome);
        }
    };
    std::vector<std::thread> threads;
    threads.emplace_back(on_a_loop, 1);
    threads.emplace_back(on_a_thread, 2);
    threads.emplace_back(on_a_thread, 3);
    on_a_loop(4);
    for (auto& thread : threads) thread.join();
    CHECK(t.permits() == permits);
    CHECK(t.empty());
    CHECK(inside == 0);
    CHECK(most <= permits);
    CHECK(taken > 0);
    CHECK(cancelled > 0);
}

TEST_CASE_METHOD(leak_check, "wake_batch: who is woken may destroy the object while another's time is up and it is leaving") {
    struct object {
        weft::detail::gate gate;
        weft::detail::wait_list waiters;
        int waiting = 0;   // guarded by gate
    };
    for (int i = 0; i < rounds(3000); ++i) {
        auto* shared = new object;
        const auto wait = [shared](auto until) {
            waiter self("object", shared);
            {
                const weft::detail::gate_lock lock(shared->gate);
                shared->waiters.push_back(self);
                ++shared->waiting;
            }
            const wait_outcome outcome = weft::detail::park(self, until());
            if (outcome != wait_outcome::woken) shared->waiters.withdraw(self, shared->gate);
            return outcome;
        };
        std::thread impatient([&] { wait([i] { return weft::detail::now() + std::chrono::microseconds(i % 64); }); });
        std::thread heir([&] {
            if (wait([] { return time_point::max(); }) == wait_outcome::woken) delete shared;
        });
        for (bool both = false; !both; std::this_thread::yield()) {
            const weft::detail::gate_lock lock(shared->gate);
            both = shared->waiting == 2;
        }
        {
            weft::detail::wake_batch batch;
            const weft::detail::gate_lock lock(shared->gate);
            batch.claim_all(shared->waiters, lock);
        }
        impatient.join();
        heir.join();
    }
}

TEST_CASE("wake_batch: whose time was up may find the wait has come true, and destroy the object, while the waker waits") {
    struct object {
        weft::detail::gate gate;
        weft::detail::wait_list waiters;
        bool set = false;   // guarded by gate
    };
    for (int i = 0; i < rounds(3000); ++i) {
        // In a mapping of its own: who touches it when it is gone is killed.
        void* const memory = ::mmap(nullptr, sizeof(object), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        REQUIRE(memory != MAP_FAILED);
        auto* shared = new (memory) object;
        std::atomic<bool> waits{false};
        std::thread waker([&, shared] {
            while (!waits) std::this_thread::yield();
            for (int spin = 0; spin < i % 64; ++spin) weft::detail::now();
            weft::detail::wake_batch batch;
            const weft::detail::gate_lock lock(shared->gate);
            shared->set = true;
            batch.claim_all(shared->waiters, lock);
        });
        for (;;) {
            waiter self("object", shared);
            {
                const weft::detail::gate_lock lock(shared->gate);
                if (shared->set) break;
                shared->waiters.push_back(self);
            }
            waits = true;
            if (weft::detail::park(self, weft::detail::now() + 1us) == wait_outcome::woken) break;
            shared->waiters.withdraw(self, shared->gate);
        }
        ::munmap(memory, sizeof(object));
        waker.join();
    }
}

TEST_CASE_METHOD(leak_check, "wake_batch: of two who wake everybody, each waits for the same owner that is leaving") {
    struct object {
        weft::detail::gate gate;
        weft::detail::wait_list waiters;
        int waiting = 0;   // guarded by gate
    };
    for (int i = 0; i < rounds(1000); ++i) {
        auto* shared = new object;
        std::atomic<int> left{2};
        const auto wait = [shared](auto until) {
            waiter self("object", shared);
            {
                const weft::detail::gate_lock lock(shared->gate);
                shared->waiters.push_back(self);
                ++shared->waiting;
            }
            if (weft::detail::park(self, until()) != wait_outcome::woken) shared->waiters.withdraw(self, shared->gate);
        };
        const auto wake_everybody = [&left, shared] {
            {
                weft::detail::wake_batch batch;
                const weft::detail::gate_lock lock(shared->gate);
                batch.claim_all(shared->waiters, lock);
            }
            if (--left == 0) delete shared;
        };
        std::vector<std::thread> impatient;
        for (int n = 0; n < 2; ++n)
            impatient.emplace_back([&] { wait([i] { return weft::detail::now() + std::chrono::microseconds(i % 64); }); });
        for (bool all = false; !all;) {
            const weft::detail::gate_lock lock(shared->gate);
            all = shared->waiting == 2;
        }
        std::thread other(wake_everybody);
        wake_everybody();
        other.join();
        for (std::thread& t : impatient) t.join();
    }
}
