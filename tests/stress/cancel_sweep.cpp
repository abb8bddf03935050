// Cancellation at every point. A deterministic program of nested groups, deadlines, gathers and every kind of wait is run
// once to count its blocking calls, then once for each of them, cut there in each of several ways. Whatever the cut, all
// that the program made is gone when it ends: tasks, objects, locks, permits; no item is lost or doubled.
//
// The cuts are made from outside of the library: the program says point() before each blocking call.

#include <algorithm>
#include <functional>
#include <memory>

#include <weft/cancel_scope.hpp>
#include <weft/cancellation.hpp>
#include <weft/gather.hpp>
#include <weft/sync.hpp>
#include <weft/task_group.hpp>
#include <weft/timeout.hpp>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

namespace {

enum class cut {
    none,
    program_before_call,  // the program's main task, while somebody is about to make the call
    program_in_call,      // the same, when the call has suspended
    program_twice,        // the same, and again two calls later, when it is cleaning up
    caller_before_call,   // the task that is about to make the call
    caller_in_call,       // the same, when the call has suspended
    caller_after_wake,    // the same, at the end of the turn
    program_at_turn,      // the program's main task, after some turns of the loop, whatever happens then
    scope_in_call,        // the scope that the program runs in, when the call has suspended
    scope_asked_in_call,  // the same, which is asked then, and cancelled in the midst of what comes of it
    scope_asked_at_turn,  // the same, after some turns of the loop
};

class saw {
public:
    saw(cut how, int at) : how_(how), at_(at) {}

    /// The program is about to block.
    void point() {
        ++points;
        if (how_ == cut::program_twice && points == at_ + 2)
            program.cancel("again");
        if (points != at_)
            return;
        const task_handle caller = current_task();
        loop& l = get_running_loop();
        switch (how_) {
        case cut::program_before_call:
        case cut::program_twice:
            program.cancel("cut");
            break;
        case cut::caller_before_call:
            caller.cancel("cut");
            break;
        case cut::program_in_call:
            l.call_soon([p = program] { p.cancel("cut"); });
            break;
        case cut::caller_in_call:
            l.call_soon([caller] { caller.cancel("cut"); });
            break;
        case cut::caller_after_wake:
            l.call_soon([&l, caller] { l.call_soon([caller] { caller.cancel("cut"); }); });
            break;
        case cut::scope_in_call:
            l.call_soon([this] { scope.cancel("cut"); });
            break;
        case cut::scope_asked_in_call:
            l.call_soon([this] { scope.cancel(2ms, "cut"); });
            break;
        case cut::none:
        case cut::program_at_turn:
        case cut::scope_asked_at_turn:
            break;
        }
    }

    /// Counts turns while the program runs; lets time pass now and then.
    void tick() {
        if (program.done())
            return;
        if (how_ == cut::program_at_turn && ++turns == at_) {
            program.cancel("cut");
            return;
        }
        if (how_ == cut::scope_asked_at_turn && ++turns == at_) {
            scope.cancel(2ms, "cut");
            return;
        }
        if (how_ == cut::none)
            ++turns;
        loop& l = get_running_loop();
        if (turns % 5 == 0)
            l.call_later(300us, [this] { tick(); });
        else
            l.call_soon([this] { tick(); });
    }

    task_handle program;
    cancel_scope scope;   // around the program
    int points = 0;
    int turns = 0;

private:
    cut how_;
    int at_;
};

struct world {
    explicit world(saw& s) : blade(s) {}
    void point() { blade.point(); }

    saw& blade;
    weft::mutex mutex;
    condition_variable changed;
    weft::semaphore permits{2};
    weft::queue<counted> items{2};
    event opened;
    barrier meeting{2};
    int produced = 0, consumed = 0, tokens = 0, inside = 0, holding = 0;
};

/// Takes its time to let go, whatever comes.
struct slow_to_leave {
    world& w;
    ~slow_to_leave() {
        uncancellable([&] {
            sleep(1ms);
            yield_now();
        });
    }
};

void produce(world& w, int count) {
    for (int i = 0; i < count; ++i) {
        w.point();
        w.items.put(counted(i));
        ++w.produced;
        w.point();
        sleep(500us);
    }
}

void consume(world& w) {
    try {
        for (;;) {
            w.point();
            const counted item = w.items.get();
            ++w.consumed;
            w.point();
            yield_now();
        }
    } catch (const queue_shutdown&) {
    }
}

void make_tokens(world& w) {
    for (int i = 0; i < 3; ++i) {
        w.point();
        std::unique_lock lock(w.mutex);
        CHECK(w.inside++ == 0);
        at_exit leave{[&] { --w.inside; }};
        w.point();
        sleep(1ms);
        ++w.tokens;
        w.changed.notify_one();
    }
}

void await_tokens(world& w, int count) {
    w.point();
    std::unique_lock lock(w.mutex);
    w.point();
    w.changed.wait_for(lock, 20ms, [&] { return w.tokens >= count; });
    CHECK(w.inside == 0);
}

void hold_permit(world& w) {
    w.point();
    std::scoped_lock permit(w.permits);
    CHECK(++w.holding <= 2);
    at_exit leave{[&] { --w.holding; }};
    slow_to_leave slow{w};
    w.point();
    sleep(1ms);
}

void meet(world& w) {
    move_on_after(10ms, [&] {
        w.point();
        w.meeting.wait();
    });
    w.point();
    w.opened.wait_for(15ms);
}

int compute(world& w) {
    const counted frame;
    w.point();
    const auto [one, two] = gather(
        [&] {
            w.point();
            sleep(1ms);
            return 1;
        },
        [&, c = counted()] {
            w.point();
            return timeout(1s, [&] {
                w.point();
                sleep(2ms);
                return 2;
            });
        });
    const bool finished = move_on_after(2ms, [&] {
        slow_to_leave slow{w};
        w.point();
        sleep(1h);
    });
    CHECK_FALSE(finished);
    try {
        timeout(5ms, [&] {
            w.point();
            timeout(1ms, [&] {
                const counted c;
                w.point();
                sleep(1h);
            });
        });
        FAIL_CHECK("no deadline passed");
    } catch (const timeout_error&) {
    }
    return one + two;
}

int program(world& w) {
    const counted frame;
    return with_task_group([&](task_group& group) {
        std::vector<task<>> producers{
            group.create_task([&] { produce(w, 4); }),
            group.create_task({.eager = true}, [&, c = counted()] { produce(w, 3); })};
        for (int i = 0; i < 2; ++i)
            group.create_task([&, c = counted()] { consume(w); });
        group.create_task([&] { make_tokens(w); });
        group.create_task([&] { await_tokens(w, 2); });
        group.create_task([&] { await_tokens(w, 3); });
        std::vector<task<>> meetings{group.create_task([&] { meet(w); }),
                                     group.create_task([&] { meet(w); })};
        auto value = group.create_task([&] {
            return with_task_group([&](task_group& inner) {
                for (int i = 0; i < 3; ++i)
                    inner.create_task([&, c = counted()] { hold_permit(w); });
                inner.create_task([&] {
                    w.point();
                    sleep(1ms);
                    inner.create_task([&] { hold_permit(w); });
                });
                return compute(w);
            });
        });
        with_task_group([&](task_group& closed) {
            closed.create_task([&, c = counted()] {
                w.point();
                sleep(1h);
            });
            w.point();
            yield_now();
            closed.cancel();
        });
        w.point();
        const auto ready = group.start<counted>([&](task_status<counted> status) {
            slow_to_leave slow{w};
            w.point();
            sleep(500us);
            status.started(counted(8));
            w.point();
            idle([] { sleep(1ms); });
        });
        CHECK(ready.value == 8);
        cancel_scope shielded({.deadline = get_running_loop().time() + 1ms, .shield = true});
        CHECK_FALSE(shielded.run([&] {
            w.point();
            idle([] { sleep(1h); });
        }));
        w.opened.set();
        w.point();
        wait(producers);
        w.items.shutdown();
        for (auto& t : as_completed(meetings)) {
            w.point();
            CHECK(t.done());
        }
        w.point();
        return shield(value);
    });
}

struct ending {
    int points = 0, turns = 0;
    std::string outcome;
};

/// Runs the program with one cut and checks that nothing is left of it.
ending run_once(cut how, int at) {
    CAPTURE(static_cast<int>(how), at);
    const int live = counted::live;
    ending result;
    {
        saw blade(how, at);
        world w(blade);
        auto t = create_task([&] { return blade.scope.run([&] { return program(w); }).value_or(0); });
        blade.program = t;
        if (how == cut::program_at_turn || how == cut::scope_asked_at_turn || how == cut::none)
            blade.tick();
        t.join();

        CHECK(all_tasks().size() == 1);
        result.points = blade.points;
        result.turns = blade.turns;
        result.outcome = t.exception() ? reports::text(t.exception()) : std::to_string(t.result());
        CHECK((t.cancelled() || !t.exception()));
        CHECK(w.inside == 0);
        CHECK(w.holding == 0);
        CHECK(w.permits.value() == 2);
        CHECK(w.mutex.try_lock());
        w.mutex.unlock();
        CHECK(w.meeting.n_waiting() == 0);
        CHECK_FALSE(w.meeting.broken());
        CHECK(w.produced == w.consumed + static_cast<int>(w.items.size()));
        sleep(1s);  // the last ticks; a deadline that was left would strike now
        CHECK(current_task().cancelling() == 0);
    }
    CHECK(counted::live == live);
    return result;
}

ending uncut() {
    const ending whole = run_once(cut::none, 0);
    CHECK(whole.outcome == "3");
    CHECK(whole.points > 60);
    CHECK(whole.turns > 60);
    return whole;
}

}  // namespace

TEST_CASE_METHOD(fixture, "cancel sweep: the program is deterministic") {
    run([] {
        const ending first = uncut(), second = uncut();
        CHECK(first.points == second.points);
        CHECK(first.turns == second.turns);
    });
}

TEST_CASE_METHOD(
    fixture,
    "cancel sweep: the program is cut at each of its blocking calls, and ends cancelled, without a trace") {
    for (const cut how : {cut::program_before_call, cut::program_in_call, cut::program_twice}) {
        run([&] {
            const int points = uncut().points;
            int survived = 0;
            for (int at = 1; at <= points; ++at) {
                const std::string outcome = run_once(how, at).outcome;
                if (outcome == "3")
                    ++survived;
                else
                    CHECK((outcome == "cancelled: cut" || outcome == "cancelled: again"));
            }
            CHECK(survived <= 1);  // the last call may be over when the request comes
        });
    }
}

TEST_CASE_METHOD(
    fixture, "cancel sweep: each task is cut at each of its blocking calls, and the rest comes to an end") {
    for (const cut how : {cut::caller_before_call, cut::caller_in_call, cut::caller_after_wake}) {
        run([&] {
            const int points = uncut().points;
            int survived = 0;
            for (int at = 1; at <= points; ++at)
                survived += run_once(how, at).outcome == "3";
            CHECK(survived > 0);  // a child that ends cancelled is no failure
        });
    }
}

TEST_CASE_METHOD(fixture,
                 "cancel sweep: the program is cut at each turn of the loop, and ends without a trace") {
    run([] {
        const int turns = uncut().turns;
        int survived = 0;
        for (int at = 1; at <= turns; ++at)
            survived += run_once(cut::program_at_turn, at).outcome == "3";
        CHECK(survived <= 2);
    });
}

TEST_CASE_METHOD(fixture, "cancel sweep: the scope around the program is cancelled at each call, and takes the cancellation") {
    run([] {
        const int points = uncut().points;
        int survived = 0;
        for (int at = 1; at <= points; ++at) {
            const std::string outcome = run_once(cut::scope_in_call, at).outcome;
            CHECK((outcome == "0" || outcome == "3"));
            survived += outcome == "3";
        }
        CHECK(survived <= 1);
    });
}

TEST_CASE_METHOD(fixture, "cancel sweep: the scope around the program is asked at each call and turn, then cancelled, without a trace") {
    for (const cut how : {cut::scope_asked_in_call, cut::scope_asked_at_turn}) {
        run([&] {
            const ending whole = uncut();
            const int cuts = how == cut::scope_asked_in_call ? whole.points : whole.turns;
            int survived = 0;
            for (int at = 1; at <= cuts; ++at) {
                const std::string outcome = run_once(how, at).outcome;
                CHECK((outcome == "0" || outcome == "3"));
                survived += outcome == "3";
            }
            CHECK(survived > 0);   // those in whose last moments the ask comes end in their grace
            CHECK(survived < cuts);
        });
    }
}
