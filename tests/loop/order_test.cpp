// The replaceable order of ready fibers: seeded interleavings.

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "bare_loop.hpp"
#include "kernel/order.hpp"
#include "leak_check.hpp"

using weft_test::bare_loop;
using weft_test::leak_check;

namespace {

using notes = std::vector<std::string>;

/// An order that a seed decides, for as long as it lives.
class seeded_order {
public:
    explicit seeded_order(std::uint32_t seed) {
        random_.seed(seed);
        asked = 0;
        weft::kernel::installed_order = +[](std::size_t ready) noexcept {
            ++asked;
            largest = std::max(largest, ready);
            return static_cast<std::size_t>(random_() % ready);
        };
    }
    ~seeded_order() { weft::kernel::installed_order = nullptr; }
    static inline int asked = 0;
    static inline std::size_t largest = 0;

private:
    static inline std::mt19937 random_;
};

/// Four fibers that take three steps each, and two callbacks in between.
notes run_some() {
    notes log;
    bare_loop loop;
    struct callback : weft::kernel::callback {
        callback(notes& l, const char* n)
            : weft::kernel::callback([](weft::kernel::callback& c) noexcept {
                  static_cast<callback&>(c).log.push_back(static_cast<callback&>(c).name);
              }),
              log(l),
              name(n) {}
        notes& log;
        const char* name;
    } first(log, "first"), second(log, "second");
    for (int i = 0; i < 4; ++i) {
        loop.start([&, i] {
            for (int step = 0; step < 3; ++step) {
                log.push_back(std::to_string(i) + "." + std::to_string(step));
                loop.scheduler().yield();
            }
        });
        if (i == 1) loop.scheduler().ready(first);
    }
    loop.scheduler().ready(second);
    loop.run();
    return log;
}

std::size_t position(const notes& log, const std::string& of) {
    return static_cast<std::size_t>(std::find(log.begin(), log.end(), of) - log.begin());
}

}  // namespace

TEST_CASE("order: without one, first in first out") {
    leak_check leaks;
    CHECK(run_some() == notes{"0.0", "1.0", "first", "2.0", "3.0", "second", "0.1", "1.1", "2.1", "3.1", "0.2", "1.2", "2.2",
                              "3.2"});
}

TEST_CASE("order: a seed gives one interleaving, again and again, and others give others") {
    leak_check leaks;
    std::set<notes> seen;
    for (std::uint32_t seed = 0; seed < 50; ++seed) {
        notes once, again;
        {
            seeded_order order(seed);
            once = run_some();
        }
        {
            seeded_order order(seed);
            again = run_some();
        }
        CHECK(once == again);
        CHECK(once.size() == 14);   // nothing lost, nothing doubled
        for (int i = 0; i < 4; ++i) {   // each fiber's own steps stay in order
            const std::string fiber = std::to_string(i) + ".";
            CHECK(position(once, fiber + "0") < position(once, fiber + "1"));
            CHECK(position(once, fiber + "1") < position(once, fiber + "2"));
        }
        CHECK(position(once, "first") < position(once, "second"));   // callbacks stay in order
        seen.insert(once);
    }
    CHECK(seen.size() > 40);
}

TEST_CASE("order: is asked only while there is a choice, and never for more than the window") {
    leak_check leaks;
    seeded_order order(1);
    order.largest = 0;
    bare_loop loop;
    loop.start([&] {
        for (int i = 0; i < 10; ++i) loop.scheduler().yield();
    });
    loop.run();
    CHECK(order.asked == 0);
    for (int i = 0; i < 200; ++i) loop.start([&] { loop.scheduler().yield(); });
    loop.run();
    CHECK(order.asked > 0);
    CHECK(order.largest == weft::kernel::order_window);
}

TEST_CASE("order: who starts a job at once goes on right after it, whatever is ready") {
    leak_check leaks;
    for (std::uint32_t seed = 0; seed < 20; ++seed) {
        seeded_order order(seed);
        notes log;
        bare_loop loop;
        auto& eager = loop.make([&] {
            log.push_back("eager");
            loop.scheduler().yield();
        });
        for (int i = 0; i < 5; ++i) loop.start([&] { log.push_back("other"); });
        loop.start([&] {
            log.push_back("before");
            loop.scheduler().start_now(eager);
            log.push_back("after");
        });
        loop.run();
        const std::size_t at = position(log, "before");
        REQUIRE(at + 2 < log.size());
        CHECK(log[at + 1] == "eager");
        CHECK(log[at + 2] == "after");
    }
}

TEST_CASE("order: the last of the entries may be chosen, and what comes after it still runs") {
    leak_check leaks;
    weft::kernel::installed_order = +[](std::size_t ready) noexcept { return ready - 1; };
    notes log;
    {
        bare_loop loop;
        for (const char* name : {"a", "b", "c"})
            loop.start([&, name] {
                log.push_back(name);
                loop.scheduler().yield();
                log.push_back(std::string(name) + "2");
            });
        loop.run();
    }
    weft::kernel::installed_order = nullptr;
    CHECK(log == notes{"c", "c2", "b", "b2", "a", "a2"});
}
