// A hundred thousand tasks in nested groups, with random cancellations, deadlines and throws. Each group's books must
// balance: every child has ended when it returns; what it throws lists exactly the failures of its children and its body; a
// group without failures throws nothing but a cancellation. And nothing is left at the end.
//
// On the virtual clock the storm depends on nothing but the seed: WEFT_SEED=number makes an earlier one again (the one
// with the other thread excepted). WEFT_STRESS_SCALE=percent makes it larger or smaller.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <random>
#include <stdexcept>

#include <weft/cancellation.hpp>
#include <weft/gather.hpp>
#include <weft/task_group.hpp>
#include <weft/timeout.hpp>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

namespace {

unsigned seed() {
    static const unsigned chosen = [] {
        const char* given = std::getenv("WEFT_SEED");
        const unsigned s =
            given ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : std::random_device()();
        std::printf("random choices: WEFT_SEED=%u\n", s);
        return s;
    }();
    return chosen;
}

/// `count` tasks, or the part of them that WEFT_STRESS_SCALE asks for.
int scaled(int count) {
    const char* percent = std::getenv("WEFT_STRESS_SCALE");
    if (!percent)
        return count;
    return std::max(1, static_cast<int>(count / 100.0 * std::atof(percent)));
}

struct failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// What the storm counts. All of it on one loop.
struct books {
    explicit books(unsigned s) : random(s) {}
    bool one_in(unsigned n) { return random() % n == 0; }
    int up_to(int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); }
    template <class T> T& any_of(std::vector<T>& all) { return all[random() % all.size()]; }
    std::chrono::microseconds time() { return std::chrono::microseconds(random() % 3000); }

    std::minstd_rand random;
    std::vector<task_handle> running;     // some of those that run, for cancellations out of nowhere
    int born = 0;                         // tasks made
    int entered = 0, left = 0;            // functions begun and ended
    int valued = 0, failed = 0, cut = 0;  // how the tasks ended
    int thrown_groups = 0, wrong = 0;
};

void leaf(books& b) {
    const int steps = b.up_to(4);
    for (int i = 0; i < steps; ++i) {
        switch (b.up_to(16)) {
        case 0:
            throw failure("leaf");
        case 1:
            throw cancelled("by itself");
        case 2:
            uncancellable([&] { sleep(b.time()); });
            break;
        case 3:
            move_on_after(b.time(), [&] { sleep(b.time()); });
            break;
        case 4: {
            at_exit slow{[&] { uncancellable([&] { sleep(b.time()); }); }};
            sleep(b.time());
            break;
        }
        case 5:
            timeout(b.time(), [&] { sleep(b.time()); });  // its timeout_error is a failure like any
            break;
        case 6:
            if (!b.running.empty())
                b.any_of(b.running).cancel("storm");
            break;
        case 7:
            try {
                sleep(b.time());
            } catch (const cancelled&) {
                yield_now();  // goes on, once
            }
            break;
        case 8:
            gather([&] { sleep(b.time()); }, [&] { yield_now(); });
            break;
        default:
            if (b.one_in(2))
                yield_now();
            else
                sleep(b.time());
        }
    }
}

void node(books& b, int depth);

/// One group, and its accounts.
void branch(books& b, int depth) {
    std::vector<task<>> children;
    bool body_failed = false;
    int listed = 0;
    std::exception_ptr outcome;
    const auto add = [&](task_group& group) {
        try {
            children.push_back(group.create_task({.eager = b.one_in(8)},
                                                 [&b, depth, c = counted()] { node(b, depth - 1); }));
            ++b.born;
        } catch (const std::logic_error&) {  // the group is being cancelled
        }
    };
    const auto body = [&](task_group& group) {
        try {
            const int count = 1 + b.up_to(7);
            for (int i = 0; i < count; ++i) {
                add(group);
                if (b.one_in(8))
                    yield_now();
                if (b.one_in(40))
                    group.create_task([&] { add(group); }).join();  // a child that adds a child
                if (b.one_in(60))
                    group.cancel();
                if (b.one_in(60))
                    throw failure("body");
                if (b.one_in(20) && !children.empty())
                    b.any_of(children).cancel("sibling");
            }
            if (b.one_in(4))
                sleep(b.time());
        } catch (const cancelled&) {
            throw;
        } catch (const std::logic_error&) {
            // group.create_task itself, after group.cancel()
        } catch (...) {
            body_failed = true;
            throw;
        }
    };
    try {
        with_task_group(body);
    } catch (const exception_group& group) {
        listed = static_cast<int>(group.exceptions().size());
        outcome = std::current_exception();
        ++b.thrown_groups;
    } catch (const cancelled&) {
        outcome = std::current_exception();
    } catch (...) {
        ++b.wrong;
    }
    int failures = body_failed;
    for (const auto& t : children) {
        if (!t.done()) {
            ++b.wrong;
            continue;
        }
        if (!t.exception())
            ++b.valued;
        else if (t.cancelled())
            ++b.cut;
        else
            ++b.failed, ++failures;
    }
    if (failures != listed)
        ++b.wrong;
    if (outcome && (failures == 0 || b.one_in(3)))
        std::rethrow_exception(outcome);
}

void node(books& b, int depth) {
    ++b.entered;
    at_exit leave{[&] { ++b.left; }};
    if (b.one_in(16)) {
        if (b.running.size() >= 64)
            b.running.erase(b.running.begin(), b.running.begin() + 32);
        b.running.push_back(current_task());
    }
    if (depth == 0 || b.one_in(3))
        return leaf(b);
    switch (b.up_to(8)) {
    case 0:
        timeout(3 * b.time(), [&] { branch(b, depth); });
        break;
    case 1:
        move_on_after(3 * b.time(), [&] { branch(b, depth); });
        break;
    case 2:
        uncancellable([&] { branch(b, depth); });
        break;
    default:
        branch(b, depth);
    }
}

/// Storms until `tasks` tasks have been made.
void storm(books& b, int tasks) {
    while (b.born < tasks) {
        // A round is one tree, in a task of its own: what comes out of it ends there.
        auto root = create_task([&] { branch(b, 6); });
        root.join();
        if (all_tasks().size() != 1)
            ++b.wrong;
        static_cast<void>(root.exception());
        if (b.wrong)
            return;
    }
}

void check(const books& b) {
    CHECK(b.wrong == 0);
    CHECK(b.entered == b.left);
    CHECK(b.valued + b.failed + b.cut == b.born);
    // Nothing is tested by a storm in which one of these did not happen.
    CHECK(b.valued > 0);
    CHECK(b.failed > 0);
    CHECK(b.cut > 0);
    CHECK(b.thrown_groups > 0);
}

}  // namespace

TEST_CASE_METHOD(fixture,
                 "group storm: a hundred thousand tasks in nested groups, and every group's books balance") {
    const unsigned chosen = seed();
    CAPTURE(chosen);
    books b(chosen);
    run([&] { storm(b, scaled(100'000)); });
    check(b);
}

TEST_CASE_METHOD(fixture, "group storm: the same while another thread cancels tasks of the storm") {
    const unsigned chosen = seed();
    CAPTURE(chosen);
    books b(chosen + 1);
    std::mutex guard;
    std::vector<task_handle> targets;
    std::atomic<bool> over{false};
    run([&] {
        std::thread outside([&] {
            std::minstd_rand random(chosen + 2);
            while (!over) {
                task_handle target;
                {
                    std::lock_guard lock(guard);
                    if (!targets.empty())
                        target = targets[random() % targets.size()];
                }
                if (!target)
                    std::this_thread::yield();
                else if (target.cancel("from outside") && random() % 4 == 0)
                    target.uncancel();
            }
        });
        auto feeder = create_task([&] {
            for (;;) {
                sleep(100us);
                std::lock_guard lock(guard);
                targets = b.running;
            }
        });
        while (b.born < scaled(20'000) && !b.wrong) {
            auto root = create_task([&] { branch(b, 6); });
            root.join();
            static_cast<void>(root.exception());
        }
        over = true;
        outside.join();
        feeder.cancel();
        feeder.join();
        targets.clear();
        b.running.clear();
    });
    check(b);
}
