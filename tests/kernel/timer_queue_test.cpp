#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "kernel/timer_queue.hpp"
#include "rounds.hpp"

using weft::kernel::time_point;
using weft::kernel::timer;
using weft::kernel::timer_queue;

namespace {

time_point at(long long tick) { return time_point(time_point::duration(tick)); }

/// Takes everything that is due at `now`, in order.
std::vector<timer*> take_all(timer_queue& queue, time_point now = time_point::max()) {
    std::vector<timer*> taken;
    while (timer* t = queue.take_due(now)) taken.push_back(t);
    return taken;
}

std::vector<timer*> addresses(std::vector<timer>& timers) {
    std::vector<timer*> all;
    for (timer& t : timers) all.push_back(&t);
    return all;
}

}  // namespace

TEST_CASE("timer_queue: an empty queue has no next time and nothing due") {
    timer_queue queue;
    CHECK(queue.empty());
    CHECK(queue.next() == time_point::max());
    CHECK(queue.take_due(time_point::max()) == nullptr);
}

TEST_CASE("timer_queue: only what is due is taken, at its very time") {
    timer_queue queue;
    timer t;
    t.when = at(10);
    queue.add(t);
    CHECK(t.armed());
    CHECK(queue.next() == at(10));
    CHECK(queue.take_due(at(9)) == nullptr);
    CHECK(queue.take_due(at(10)) == &t);
    CHECK_FALSE(t.armed());
    CHECK(queue.empty());
}

TEST_CASE("timer_queue: equal times fire in the order in which they were set") {
    timer_queue queue;
    std::vector<timer> timers(1000);
    for (timer& t : timers) t.when = at(5);
    for (timer& t : timers) queue.add(t);
    CHECK(take_all(queue) == addresses(timers));
}

TEST_CASE("timer_queue: a timer that is set again stands behind those set before") {
    timer_queue queue;
    std::vector<timer> timers(3);
    for (timer& t : timers) t.when = at(5);
    for (timer& t : timers) queue.add(t);
    queue.remove(timers[0]);
    queue.add(timers[0]);
    CHECK(take_all(queue) == std::vector<timer*>{&timers[1], &timers[2], &timers[0]});
}

TEST_CASE("timer_queue: ending a timer that is not armed does nothing") {
    timer_queue queue;
    timer never, fired, other;
    fired.when = at(1);
    other.when = at(2);
    queue.remove(never);
    queue.add(fired);
    queue.add(other);
    REQUIRE(queue.take_due(at(1)) == &fired);
    queue.remove(fired);
    queue.remove(never);
    CHECK(take_all(queue) == std::vector<timer*>{&other});
}

TEST_CASE("timer_queue: times before the epoch and at the ends of time keep their order") {
    timer_queue queue;
    std::vector<timer> timers(5);
    timers[0].when = time_point::min();
    timers[1].when = at(-7);
    timers[2].when = at(0);
    timers[3].when = at(7);
    timers[4].when = time_point::max();
    for (int i : {3, 0, 4, 2, 1}) queue.add(timers[static_cast<std::size_t>(i)]);
    CHECK(take_all(queue) == addresses(timers));
}

TEST_CASE("timer_queue: a million timers set in rising, falling and one order come out sorted") {
    const int count = weft_test::rounds(1'000'000);
    std::vector<timer> timers(static_cast<std::size_t>(count));
    for (const int shape : {0, 1, 2}) {
        timer_queue queue;
        for (int i = 0; i < count; ++i) {
            timer& t = timers[static_cast<std::size_t>(i)];
            t.when = at(shape == 0 ? i : shape == 1 ? count - i : 1);
            queue.add(t);
        }
        std::vector<timer*> expected = addresses(timers);
        if (shape == 1) std::reverse(expected.begin(), expected.end());
        CHECK(take_all(queue) == expected);
    }
}

TEST_CASE("timer_queue: any mixture of setting, ending and taking does what a sorted list would") {
    // std::multimap keeps equal keys in the order of insertion: it is the model, to the last timer.
    for (const unsigned seed : {1u, 2u, 3u, 4u, 5u}) {
        std::mt19937 random(seed);
        const int steps = weft_test::rounds(1'000'000) / 5;
        const long long span = seed % 2 ? 50 : 1'000'000;   // many equal times, or few
        timer_queue queue;
        std::multimap<time_point, timer*> model;
        std::vector<timer> timers(2000);
        std::vector<std::multimap<time_point, timer*>::iterator> place(timers.size(), model.end());
        long wrong = 0;
        for (int i = 0; i < steps; ++i) {
            const std::size_t n = random() % timers.size();
            timer& t = timers[n];
            switch (random() % 4) {
                case 0:
                case 1:
                    if (t.armed()) {
                        queue.remove(t);
                        model.erase(place[n]);
                    } else {
                        t.when = at(static_cast<long long>(random()) % span);
                        queue.add(t);
                        place[n] = model.emplace(t.when, &t);
                    }
                    break;
                case 2: {
                    const time_point now = at(static_cast<long long>(random()) % span);
                    timer* taken = queue.take_due(now);
                    timer* expected = !model.empty() && model.begin()->first <= now ? model.begin()->second : nullptr;
                    wrong += taken != expected;
                    if (expected) model.erase(model.begin());
                    break;
                }
                default:
                    wrong += queue.next() != (model.empty() ? time_point::max() : model.begin()->first);
                    wrong += queue.empty() != model.empty();
            }
        }
        std::vector<timer*> rest;
        for (auto& [when, t] : model) rest.push_back(t);
        CHECK(wrong == 0);
        CHECK(take_all(queue) == rest);
        for (timer& t : timers) wrong += t.armed();
        CHECK(wrong == 0);
    }
}

TEST_CASE("timer_queue: a million random deadlines of which half are ended come out sorted") {
    const auto count = static_cast<std::size_t>(weft_test::rounds(1'000'000));
    std::mt19937_64 random(7);
    std::vector<timer> timers(count);
    timer_queue queue;
    for (timer& t : timers) {
        t.when = at(static_cast<long long>(random() % 1'000'000'000));
        queue.add(t);
    }
    std::vector<std::size_t> order(count);
    for (std::size_t i = 0; i < count; ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random);
    for (std::size_t i = 0; i < count / 2; ++i) queue.remove(timers[order[i]]);
    std::size_t taken = 0;
    bool sorted = true;
    for (time_point last = time_point::min(); timer* t = queue.take_due(time_point::max()); last = t->when, ++taken)
        sorted = sorted && last <= t->when;
    CHECK(sorted);
    CHECK(taken == count - count / 2);
    CHECK(queue.empty());
}
