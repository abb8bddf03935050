// Every primitive under a storm: five thousand tasks in each of two loops, and a plain thread, wait for it, give up by time,
// and are cancelled at random, also from the other loop, before and after what they wait for is handed to them.
//
// Each worker has a quota that it must fulfil, trying again after each cancellation and each timeout, and all quotas
// together come out even. So what is lost (a permit, an item, a lock, a notification) leaves a worker that waits for ever,
// and what is doubled is counted. The cancellations end before the quotas do: none of them can hide such a loss.
//
// WEFT_SEED=number makes the random choices of an earlier run again; how the threads interleave is theirs.

#include <array>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <shared_mutex>

#include <weft/cancellation.hpp>

#include "sync/fixture.hpp"

using namespace sync_test;

namespace {

using random_numbers = std::minstd_rand;

unsigned seed() {
    static const unsigned chosen = [] {
        const char* given = std::getenv("WEFT_SEED");
        const unsigned s = given ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : std::random_device()();
        std::printf("random choices: WEFT_SEED=%u\n", s);
        return s;
    }();
    return chosen;
}

/// Tasks in each loop.
int crowd() { return weft_test::on_valgrind() ? 50 : weft_test::on_tsan ? 1000 : 5000; }   // TSan keeps the memory of each

/// How much each worker has to do, where that is not the point.
int quota_of(int plain) { return std::max(2, rounds(plain)); }

bool one_in(random_numbers& random, unsigned n) { return random() % n == 0; }

/// A time that may pass before, while or after the thing happens.
std::chrono::microseconds short_time(random_numbers& random) { return std::chrono::microseconds(random() % 100); }

bool in_task() {
    try {
        current_task();
        return true;
    } catch (const std::logic_error&) {
        return false;
    }
}

/// Tries again until f has gone through without being cancelled and returned true.
template <class F>
void insist(F f) {
    for (bool done = false; !done;) {
        try {
            done = f();
        } catch (const cancelled&) {
        }
    }
}

class storm {
public:
    explicit storm(int tasks_per_loop) : tasks_(std::max(4, tasks_per_loop)) {}

    int workers() const { return 2 * tasks_ + 1; }

    /// Runs work(random, number) in all workers; returns when all have ended.
    template <class F>
    void run(F work) {
        handles_.resize(static_cast<std::size_t>(2 * tasks_));
        latch started(2 * tasks_);   // a task that is cancelled before would never run
        const auto one_loop = [&](int first) {
            std::vector<task<>> own;
            for (int i = first; i < first + tasks_; ++i) {
                own.push_back(create_task([&, i] {
                    started.count_down();
                    auto random = random_of(i);
                    work(random, i);
                }));
                handles_[static_cast<std::size_t>(i)] = own.back();
            }
            started.wait();
            cancel_at_random(first);
            for (auto& t : own) t.get();
        };
        {
            loop_thread left([&] { one_loop(0); }), right([&] { one_loop(tasks_); });
            thread plain([&] {
                auto random = random_of(2 * tasks_);
                work(random, 2 * tasks_);
            });
        }
        handles_.clear();
    }

private:
    static random_numbers random_of(int who) { return random_numbers(seed() * 7919u + static_cast<unsigned>(who) + 1); }

    void cancel_at_random(int who) {
        auto random = random_of(-1 - who);
        for (int i = 0; i < tasks_; ++i) {
            handles_[random() % handles_.size()].cancel();
            if (one_in(random, 4)) yield_now();
            if (one_in(random, tasks_ < 100 ? 2 : 64)) sleep(short_time(random));   // few: not all in the first moment
        }
    }

    const int tasks_;
    std::vector<task_handle> handles_;   // of both loops; not changed while workers run
};

/// Locks in one of the ways there are; true if it is locked now.
template <class Mutex>
bool lock_somehow(Mutex& m, random_numbers& random) {
    switch (random() % 4) {
        case 0:
            return m.try_lock_for(short_time(random));
        case 1: {
            if (!in_task()) return m.try_lock();   // no deadlines on a plain thread
            bool locked = false;
            move_on_after(short_time(random), [&] {
                m.lock();
                locked = true;
            });
            return locked;
        }
        default:
            m.lock();
            return true;
    }
}

template <class Mutex>
void exclude_each_other() {
    Mutex m;
    storm s(crowd());
    long guarded = 0;
    const int quota = quota_of(12);
    s.run([&](random_numbers& random, int) {
        for (int i = 0; i < quota; ++i) {
            insist([&] { return lock_somehow(m, random); });
            const long before = guarded;
            if (one_in(random, 16)) uncancellable([] { yield_now(); });
            guarded = before + 1;
            m.unlock();
        }
    });
    CHECK(guarded == static_cast<long>(quota) * s.workers());
    CHECK(m.try_lock());
    m.unlock();
}

/// Every worker puts as many items as it gets, in random order, and never more than it can get rid of.
template <class Queue>
void pass_items_on(std::ptrdiff_t maxsize) {
    Queue q(maxsize);
    storm s(crowd());
    const int quota = quota_of(8);
    std::vector<std::atomic<int>> arrived(static_cast<std::size_t>(quota * s.workers()));
    s.run([&](random_numbers& random, int who) {
        int put = 0, got = 0;
        const auto put_one = [&] {
            const int item = who * quota + put;
            if (one_in(random, 3)) return q.try_put_for(item, short_time(random));
            if (one_in(random, 3)) {
                try {
                    q.put_nowait(item);
                } catch (const queue_full&) {
                    yield_now();
                    return false;
                }
                return true;
            }
            // Not without end: all could be putting, and nobody getting.
            return q.try_put_for(item, 200ms);
        };
        const auto get_one = [&] {
            std::optional<int> item;
            if (one_in(random, 3)) item = q.try_get_for(short_time(random));
            else if (put == quota && one_in(random, 2)) item = q.get();
            else item = q.try_get_for(200ms);
            if (!item) return false;
            ++arrived[static_cast<std::size_t>(*item)];
            q.task_done();
            return true;
        };
        while (put < quota || got < quota) {
            insist([&] {
                const bool puts = got == quota || (put < quota && one_in(random, 2));
                if (puts ? put_one() : get_one()) ++(puts ? put : got);
                return true;
            });
        }
    });
    CHECK(std::all_of(arrived.begin(), arrived.end(), [](const auto& times) { return times == 1; }));
    CHECK(q.empty());
    q.join();
}

}  // namespace

TEST_CASE_METHOD(real_time, "stress: mutex") { exclude_each_other<mutex>(); }
TEST_CASE_METHOD(real_time, "stress: recursive_mutex") { exclude_each_other<recursive_mutex>(); }
TEST_CASE_METHOD(real_time, "stress: a semaphore with one permit") { exclude_each_other<semaphore>(); }
TEST_CASE_METHOD(real_time, "stress: a shared_mutex's writers") { exclude_each_other<shared_mutex>(); }

TEST_CASE_METHOD(real_time, "stress: shared_mutex") {
    shared_mutex m;
    storm s(crowd());
    std::atomic<int> readers{0}, writers{0}, mixed{0};
    s.run([&](random_numbers& random, int) {
        for (int i = 0; i < quota_of(12); ++i) {
            if (one_in(random, 4)) {
                insist([&] { return lock_somehow(m, random); });
                if (++writers != 1 || readers != 0) ++mixed;
                --writers;
                m.unlock();
            } else {
                insist([&] {
                    if (one_in(random, 3)) return m.try_lock_shared_for(short_time(random));
                    m.lock_shared();
                    return true;
                });
                ++readers;
                if (one_in(random, 16)) uncancellable([] { yield_now(); });
                if (writers != 0) ++mixed;
                --readers;
                m.unlock_shared();
            }
        }
    });
    CHECK(mixed == 0);
    CHECK(m.try_lock());
    m.unlock();
}

TEST_CASE_METHOD(real_time, "stress: semaphore") {
    const int permits = 7;
    bounded_semaphore s(permits);
    storm workers(crowd());
    std::atomic<int> inside{0}, too_many{0};
    workers.run([&](random_numbers& random, int) {
        for (int i = 0; i < quota_of(12); ++i) {
            insist([&] { return lock_somehow(s, random); });
            if (++inside > permits) ++too_many;
            if (one_in(random, 8)) uncancellable([] { yield_now(); });
            --inside;
            s.release();
        }
    });
    CHECK(too_many == 0);
    CHECK(s.value() == permits);
}

TEST_CASE_METHOD(real_time, "stress: condition_variable") {
    mutex m;
    condition_variable changed;
    long tokens = 0;
    storm s(crowd());
    s.run([&](random_numbers& random, int) {
        for (int i = 0; i < quota_of(16); ++i) {
            {
                // As many tokens as are taken: a notification that is lost leaves a token and a waiter.
                uncancellable([&] { m.lock(); });
                ++tokens;
                if (one_in(random, 2)) changed.notify_one();
                m.unlock();
                changed.notify_one();
            }
            insist([&] {
                std::unique_lock lock(m);
                if (one_in(random, 3)) {
                    if (!changed.wait_for(lock, short_time(random), [&] { return tokens > 0; })) return false;
                } else {
                    changed.wait(lock, [&] { return tokens > 0; });
                }
                --tokens;
                return true;
            });
        }
    });
    CHECK(tokens == 0);
}

TEST_CASE_METHOD(real_time, "stress: condition_variable, one notification for each token") {
    // The next token comes when the last one was taken, and whoever is cancelled does not come back: if a notification
    // ends with one who was cancelled, nobody takes the token. Few workers, so that it often is the one notified.
    for (int round = 0; round < rounds(800); ++round) {
        mutex m;
        condition_variable given, taken;
        int tokens = 0, sum = 0;
        bool over = false;
        storm s(6);
        const int quota = 40;
        const auto take = [&] {
            std::unique_lock lock(m);
            for (;;) {
                given.wait(lock, [&] { return tokens > 0 || over; });
                if (tokens == 0) return;
                --tokens;
                ++sum;
                taken.notify_one();
            }
        };
        const auto give = [&](random_numbers& random) {
            for (int i = 0; i < quota; ++i) {
                std::unique_lock lock(m);
                taken.wait(lock, [&] { return tokens == 0; });
                ++tokens;
                const bool locked = one_in(random, 4);   // then it must wait for the lock
                if (locked) given.notify_one();
                lock.unlock();
                if (!locked) given.notify_one();
                if (one_in(random, 2)) yield_now();
            }
            std::unique_lock lock(m);
            taken.wait(lock, [&] { return tokens == 0; });
            over = true;
            given.notify_all();
        };
        s.run([&](random_numbers& random, int who) {
            if (who == 0) return uncancellable([&] { give(random); });
            if (who <= 2) return uncancellable(take);   // the plain thread stays to the end, too
            try {
                take();
            } catch (const cancelled&) {
            }
        });
        REQUIRE(sum == quota);
    }
}

TEST_CASE_METHOD(real_time, "stress: queue, bounded") { pass_items_on<queue<int>>(16); }
TEST_CASE_METHOD(real_time, "stress: queue with one place") { pass_items_on<queue<int>>(1); }
TEST_CASE_METHOD(real_time, "stress: queue, unlimited") { pass_items_on<queue<int>>(0); }
TEST_CASE_METHOD(real_time, "stress: lifo_queue") { pass_items_on<lifo_queue<int>>(16); }
TEST_CASE_METHOD(real_time, "stress: priority_queue") { pass_items_on<priority_queue<int>>(16); }

TEST_CASE_METHOD(real_time, "stress: queue, shut down in the midst of it") {
    // Nobody insists: what was put was got, or is still there.
    queue<int> q(16);
    storm s(crowd());
    std::atomic<int> put{0}, got{0};
    s.run([&](random_numbers& random, int who) {
        try {
            for (int i = 0;; ++i) {
                if (who == 0 && i == 20) q.shutdown();
                try {
                    // The one who shuts it down must not wait for the others, who may all be putting, or all getting.
                    const auto patience = who == 0 ? short_time(random) : std::chrono::microseconds::max();
                    if (one_in(random, 2)) put += q.try_put_for(i, patience);
                    else got += q.try_get_for(patience).has_value();
                } catch (const cancelled&) {
                }
            }
        } catch (const queue_shutdown&) {
        }
    });
    CHECK(put == got + static_cast<int>(q.size()));
}

TEST_CASE_METHOD(real_time, "stress: event") {
    std::array<event, 32> events;
    storm s(crowd());
    std::atomic<int> false_alarms{0};
    std::array<std::atomic<bool>, 32> happened{};
    s.run([&](random_numbers& random, int who) {
        for (std::size_t i = 0; i < events.size(); ++i) {
            if (who == 0 || one_in(random, 2500)) {
                if (who == 0) insist([] { return turns(3), true; });   // let the others wait first
                happened[i] = true;
                events[i].set();
            }
            insist([&] {
                if (one_in(random, 3)) return events[i].wait_for(short_time(random));
                events[i].wait();
                return true;
            });
            if (!happened[i]) ++false_alarms;
        }
    });
    CHECK(false_alarms == 0);
}

TEST_CASE_METHOD(real_time, "stress: latch") {
    storm s(crowd());
    constexpr std::size_t count = 6;
    std::vector<std::unique_ptr<latch>> latches;
    for (std::size_t i = 0; i < count; ++i) latches.push_back(std::make_unique<latch>(s.workers()));
    std::array<std::atomic<int>, count> arrived{};
    std::atomic<int> early{0};
    s.run([&](random_numbers& random, int) {
        for (std::size_t i = 0; i < count; ++i) {
            ++arrived[i];
            if (one_in(random, 2)) {
                try {
                    latches[i]->arrive_and_wait();
                } catch (const cancelled&) {   // it has arrived all the same
                }
            } else {
                latches[i]->count_down();
            }
            insist([&] {
                if (one_in(random, 3)) return latches[i]->wait_for(short_time(random));
                latches[i]->wait();
                return true;
            });
            if (arrived[i] != s.workers()) ++early;
        }
    });
    CHECK(early == 0);
}

TEST_CASE_METHOD(real_time, "stress: barrier") {
    // Whoever is cancelled may have been let go: so only what must be is checked. Each meeting has each number at most
    // once, and those who got none were cancelled, or broken off at the end.
    const std::ptrdiff_t parties = 5;
    barrier b(parties);
    storm s(crowd());
    std::array<std::atomic<long>, parties> numbers{};
    std::atomic<long> without{0};
    std::atomic<int> running{s.workers()};
    s.run([&](random_numbers&, int) {
        for (int i = 0; i < quota_of(12); ++i) {
            try {
                ++numbers[static_cast<std::size_t>(b.wait())];
            } catch (const cancelled&) {
                ++without;
            } catch (const broken_barrier&) {
                ++without;
                break;
            }
        }
        if (--running < parties) b.abort();
    });
    const long meetings = numbers[parties - 1];   // who comes last cannot be cancelled
    long passed = 0;
    for (const auto& n : numbers) {
        CHECK(n <= meetings);
        passed += n;
    }
    CHECK(meetings > 0);
    CHECK(passed <= meetings * parties);
    CHECK(passed + without >= meetings * parties);
    CHECK(b.n_waiting() == 0);
}

TEST_CASE_METHOD(real_time, "stress: future") {
    constexpr std::size_t count = 16;
    std::array<promise<int>, count> promises;
    std::array<shared_future<int>, count> futures;
    for (std::size_t i = 0; i < count; ++i) futures[i] = promises[i].get_future();
    std::array<std::atomic<bool>, count> given{};
    std::array<std::atomic<int>, count> outcomes{}, cancellations{};
    std::atomic<int> wrong{0};
    storm s(crowd());
    s.run([&](random_numbers& random, int) {
        for (std::size_t i = 0; i < count; ++i) {
            shared_future<int> f = futures[i];
            if (one_in(random, 1500) && f.cancel()) ++outcomes[i], ++cancellations[i];
            // Whoever comes first gives it; so nobody waits for ever.
            if (!given[i].exchange(true)) {
                if (one_in(random, 2)) insist([] { return yield_now(), true; });
                if (promises[i].set_value(static_cast<int>(i))) ++outcomes[i];
            }
            insist([&] {
                if (one_in(random, 3)) return f.wait_for(short_time(random)) == std::future_status::ready;
                f.wait();
                return true;
            });
            try {
                if (f.get() != static_cast<int>(i) || f.cancelled()) ++wrong;
            } catch (const cancelled&) {
                if (!f.cancelled()) ++wrong;
            }
        }
    });
    CHECK(wrong == 0);
    for (std::size_t i = 0; i < count; ++i) {
        CHECK(outcomes[i] == 1);
        CHECK(futures[i].cancelled() == (cancellations[i] == 1));
    }
}
