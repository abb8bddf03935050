// Timers: setting and ending one while few or many others are set, and sleepers with random deadlines. The peer is the
// structure that was not chosen: a four-ary heap in an array, whose timers know their places.

#include <chrono>
#include <random>
#include <vector>

#include <weft/run.hpp>
#include <weft/task.hpp>

#include "kernel/timer_queue.hpp"
#include "peers.hpp"

namespace {

using weft::kernel::time_point;

class four_ary_heap {
public:
    struct timer {
        time_point when;
        std::size_t place = 0;
    };
    void add(timer& t) {
        entries_.push_back({t.when, &t});
        up(entries_.size() - 1);
    }
    void remove(timer& t) {
        const std::size_t place = t.place;
        const entry last = entries_.back();
        entries_.pop_back();
        if (place == entries_.size()) return;
        put(place, last);
        up(place);
        down(last.what->place);
    }
    timer* take_due(time_point now) {
        if (entries_.empty() || entries_[0].when > now) return nullptr;
        timer* t = entries_[0].what;
        remove(*t);
        return t;
    }

private:
    struct entry {
        time_point when;
        timer* what;
    };
    void put(std::size_t place, const entry& e) {
        entries_[place] = e;
        e.what->place = place;
    }
    void up(std::size_t place) {
        const entry e = entries_[place];
        while (place > 0 && e.when < entries_[(place - 1) / 4].when) {
            put(place, entries_[(place - 1) / 4]);
            place = (place - 1) / 4;
        }
        put(place, e);
    }
    void down(std::size_t place) {
        const entry e = entries_[place];
        for (;;) {
            std::size_t least = place * 4 + 1;
            if (least >= entries_.size()) break;
            const std::size_t end = std::min(least + 4, entries_.size());
            for (std::size_t i = least + 1; i < end; ++i)
                if (entries_[i].when < entries_[least].when) least = i;
            if (!(entries_[least].when < e.when)) break;
            put(place, entries_[least]);
            place = least;
        }
        put(place, e);
    }
    std::vector<entry> entries_;
};

struct pairing {
    using queue = weft::kernel::timer_queue;
    using timer = weft::kernel::timer;
};
struct four_ary {
    using queue = four_ary_heap;
    using timer = four_ary_heap::timer;
};

/// A timeout around a call that ends in time: set, then ended; Others stay set all the while.
template <class Kind, std::size_t Others>
void set_and_end(benchmark::State& state) {
    typename Kind::queue queue;
    std::vector<typename Kind::timer> standing(Others);
    std::mt19937_64 random(7);
    for (auto& t : standing) {
        t.when = time_point(std::chrono::nanoseconds(1'000'000'000 + random() % 1'000'000'000));
        queue.add(t);
    }
    constexpr std::size_t many = 200'000;
    bench::timed(state, many, [&] {
        typename Kind::timer t;
        for (std::size_t i = 0; i < many; ++i) {
            t.when = time_point(std::chrono::nanoseconds(1'000'000'000 + i * 5'000));
            queue.add(t);
            queue.remove(t);
        }
    });
    while (queue.take_due(time_point::max())) {}
}
/// Cancel-heavy: a window of timers, the oldest of which is ended when a new one is set, as requests with deadlines do.
template <class Kind, std::size_t Size>
void window(benchmark::State& state) {
    typename Kind::queue queue;
    std::vector<typename Kind::timer> timers(Size);
    std::mt19937_64 random(7);
    std::size_t step = 0;
    const auto set = [&](typename Kind::timer& t) {
        t.when = time_point(std::chrono::nanoseconds(1'000'000'000 + step++ * 5'000 + random() % 1'000'000));
        queue.add(t);
    };
    for (auto& t : timers) set(t);
    std::size_t at = 0;
    constexpr std::size_t many = 200'000;
    bench::timed(state, many, [&] {
        for (std::size_t i = 0; i < many; ++i) {
            queue.remove(timers[at]);
            set(timers[at]);
            at = (at + 1) % Size;
        }
    });
    while (queue.take_due(time_point::max())) {}
}
template <class Kind, std::size_t Size>
void all_fire(benchmark::State& state) {
    std::vector<typename Kind::timer> timers(Size);
    std::mt19937_64 random(7);
    bench::timed(state, Size, [&] {
        typename Kind::queue queue;
        for (auto& t : timers) {
            t.when = time_point(std::chrono::nanoseconds(random() % 1'000'000'000));
            queue.add(t);
        }
        while (queue.take_due(time_point::max())) {}
    });
}

#define WEFT_TIMER_BENCHMARK(function, size, name)                                        \
    BENCHMARK((function<pairing, size>))->Name(name "/weft")->UseManualTime()->Iterations(1);            \
    BENCHMARK((function<four_ary, size>))->Name(name "/four_ary_heap")->UseManualTime()->Iterations(1)
WEFT_TIMER_BENCHMARK(set_and_end, 10, "timer set and ended, 10 others");
WEFT_TIMER_BENCHMARK(set_and_end, 1'000'000, "timer set and ended, 1e6 others");
WEFT_TIMER_BENCHMARK(window, 10, "timer window of 10");
WEFT_TIMER_BENCHMARK(window, 100'000, "timer window of 100,000");
WEFT_TIMER_BENCHMARK(all_fire, 1'000'000, "1e6 timers set, all fire");

void sleepers(benchmark::State& state) {
    constexpr int many = 100'000;
    weft::run({.stack_size = 64 * 1024}, [&] {
        std::mt19937 random(7);
        bench::timed(state, many, [&] {
            std::vector<weft::task<>> tasks;
            tasks.reserve(many);
            for (int i = 0; i < many; ++i)
                tasks.push_back(weft::create_task([ns = random() % 1'000'000] { weft::sleep(std::chrono::nanoseconds(ns)); }));
            for (auto& t : tasks) t.join();
        });
    });
}
BENCHMARK(sleepers)->Name("100,000 sleepers, random deadlines/weft")->UseManualTime()->Iterations(1);

}  // namespace
