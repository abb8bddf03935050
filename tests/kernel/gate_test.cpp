#include <catch2/catch.hpp>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <barrier>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include <weft/detail/gate.hpp>

#include "child_process.hpp"
#include "rounds.hpp"

using weft::detail::gate;
using weft::detail::gate_lock;

namespace {

/// What a gate protects: two numbers that only agree outside of a section, and whose updates a race would lose.
struct guarded_pair {
    gate lock;
    long first = 0;
    long second = 0;

    /// False if somebody else was inside, too.
    bool step() {
        gate_lock inside(lock);
        const bool agreed = first == second;
        ++first;
        std::atomic_signal_fence(std::memory_order_seq_cst);   // the compiler writes both, in this order
        ++second;
        return agreed;
    }
};

bool entered_biased(gate& g) {
    gate_lock inside(g);
    return inside.biased();
}

bool bias_is_possible() {
    return !weft_test::on_tsan && ::syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0) > 0 &&
           (::syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0) & MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0;
}

}  // namespace

TEST_CASE("gate: the first thread to enter is the one it is biased to") {
    if (!bias_is_possible()) return;
    gate g;
    CHECK(entered_biased(g));
    CHECK(entered_biased(g));
}

TEST_CASE("gate: another thread revokes the bias for good") {
    gate g;
    entered_biased(g);
    bool other = true;
    std::thread([&] { other = entered_biased(g); }).join();
    CHECK_FALSE(other);
    CHECK_FALSE(entered_biased(g));
}

TEST_CASE("gate: it can be left and entered again within a gate_lock") {
    guarded_pair pair;
    gate_lock lock(pair.lock);
    lock.leave();
    std::thread([&] { pair.step(); }).join();
    lock.enter();
    CHECK(pair.first == 1);
    CHECK_FALSE(lock.biased());
}

TEST_CASE("gate: a section waits for the one inside it when the bias is revoked") {
    gate g;
    std::atomic<bool> entered{false};
    bool left = false;   // guarded by g
    bool seen = false;
    std::thread other;
    {
        gate_lock inside(g);
        other = std::thread([&] {
            entered = true;
            gate_lock lock(g);
            seen = left;
        });
        while (!entered) std::this_thread::yield();
        for (int i = 0; i < 100; ++i) std::this_thread::yield();
        left = true;
    }
    other.join();
    CHECK(seen);
}

TEST_CASE("gate: threads that never entered one before exclude each other at their first") {
    // Each pair of threads is new, so that neither has been given an id yet.
    long broken = 0;
    for (int round = 0; round < weft_test::rounds(1000); ++round) {
        guarded_pair pair;
        std::atomic<int> waiting{2};
        std::atomic<long> disagreed{0};
        auto hammer = [&] {
            --waiting;
            while (waiting.load() != 0) std::this_thread::yield();
            for (int i = 0; i < 200; ++i)
                if (!pair.step()) ++disagreed;
        };
        std::thread a(hammer), b(hammer);
        a.join();
        b.join();
        broken += disagreed;
        broken += pair.first != 400 || pair.second != 400;
    }
    CHECK(broken == 0);
}

namespace {

/// How many sections were not alone in theirs while the bias of their gate was being revoked.
long trespasses_at_revocations(int gates, std::chrono::seconds enough_time) {
    // The home thread goes in and out without pause; two others come in the middle of that, at a new gate each time.
    constexpr int others = 2;
    constexpr int sections = 20;
    struct stage {
        guarded_pair pair;
        std::atomic<int> finished{0};
        long at_home = 0;
    };
    std::vector<stage> stages(static_cast<std::size_t>(weft_test::rounds(gates)));
    std::atomic<std::size_t> open{0};
    std::atomic<long> disagreed{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < others; ++i)
        threads.emplace_back([&] {
            for (std::size_t n = 0; n < stages.size(); ++n) {
                // Asleep, not yielding: with fewer processors than threads, yielding leaves none to who has something to do.
                for (std::size_t seen; (seen = open.load()) <= n;) open.wait(seen);
                for (int section = 0; section < sections; ++section)
                    if (!stages[n].pair.step()) ++disagreed;
                ++stages[n].finished;
            }
        });
    // Where others need the processors each stage takes as long as they leave it waiting. Those that are left after so long
    // are done without the home thread.
    const auto enough = std::chrono::steady_clock::now() + enough_time;
    for (stage& s : stages) {
        if (std::chrono::steady_clock::now() > enough) break;
        s.pair.step();
        s.at_home = 1;
        ++open;
        open.notify_all();
        for (; s.finished.load() < others; ++s.at_home)
            if (!s.pair.step()) ++disagreed;
    }
    open = stages.size();
    open.notify_all();
    for (auto& t : threads) t.join();
    long wrong = disagreed;
    for (stage& s : stages)
        wrong += s.pair.first != s.at_home + others * sections || s.pair.second != s.pair.first;
    return wrong;
}

/// From now on the kernel refuses membarrier: all of it, or what other threads are made to do. False: no filters here.
bool refuse_membarrier(bool all) {
    const auto past_refusal = static_cast<std::uint8_t>(all ? 0 : 1);
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args)),   // the lower half, on little-endian machines
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, past_refusal, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog filter{sizeof program / sizeof *program, program};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}
constexpr int no_filters = 77;

}  // namespace

TEST_CASE("gate: sections exclude each other while the bias is being revoked") {
    if (weft_test::on_valgrind()) return;   // it runs one thread at a time: the others would hardly ever find the gate free
    CHECK(trespasses_at_revocations(3000, std::chrono::seconds(30)) == 0);
}

TEST_CASE("gate: sections exclude each other when membarrier is refused after gates have been biased") {
    if (!bias_is_possible() || weft_test::on_valgrind()) return;
    const auto child = weft_test::in_child([] {
        gate before;
        if (!entered_biased(before)) return 1;
        if (!refuse_membarrier(true)) return no_filters;
        if (trespasses_at_revocations(500, std::chrono::seconds(10)) != 0) return 2;
        gate after;   // nobody revokes a bias any more: there is none
        return entered_biased(after) ? 3 : 0;
    });
    INFO(child.error_output);
    CHECK((child.exited_with(0) || child.exited_with(no_filters)));
}

TEST_CASE("gate: none is biased in a process that may register for membarrier and not use it") {
    if (!bias_is_possible() || weft_test::on_valgrind()) return;
    for (const bool all : {false, true}) {
        const auto child = weft_test::in_child([all] {
            if (!refuse_membarrier(all)) return no_filters;
            ::dup2(STDERR_FILENO, STDOUT_FILENO);
            // A program of its own, which has not asked the kernel yet.
            ::execl("/proc/self/exe", "test", "gate: a gate is biased only where membarrier works", static_cast<char*>(nullptr));
            return 1;
        });
        INFO(child.error_output);
        CHECK((child.exited_with(0) || child.exited_with(no_filters)));
    }
}

TEST_CASE("gate: a gate is biased only where membarrier works") {
    gate g;
    const bool works = !weft_test::on_tsan && ::syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0 &&
                       ::syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
    CHECK(entered_biased(g) == works);
}

TEST_CASE("gate: many gates keep their sections apart, each at home in another thread") {
    constexpr int threads = 4;
    const auto gates = static_cast<std::size_t>(weft_test::rounds(20000));
    constexpr std::size_t passes = 6;
    auto pairs = std::make_unique<guarded_pair[]>(gates);
    std::atomic<long> disagreed{0};
    std::barrier together(threads);
    auto walk = [&](std::size_t self) {
        together.arrive_and_wait();
        // Everyone visits every gate equally often, each in its own order, starting in its own quarter.
        std::size_t at = self * gates / threads;
        for (std::size_t i = 0; i < gates * passes; ++i) {
            if (!pairs[at].step()) ++disagreed;
            at = self % 2 ? (at + 1) % gates : (at + gates - 1) % gates;
        }
    };
    std::vector<std::thread> all;
    for (std::size_t i = 0; i < threads; ++i) all.emplace_back(walk, i);
    for (auto& t : all) t.join();
    CHECK(disagreed == 0);
    long wrong = 0;
    for (std::size_t i = 0; i < gates; ++i) wrong += pairs[i].second != long{threads} * long{passes};
    CHECK(wrong == 0);
}
