#include <catch2/catch.hpp>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include "child_process.hpp"
#include "kernel/stack_pool.hpp"
#include "rounds.hpp"

using weft::kernel::guarded_stack_at;
using weft::kernel::stack_exhausted;
using weft::kernel::stack_pool;
using weft::kernel::stack_span;
using weft_test::child_result;
using weft_test::in_child;

namespace {

const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));

/// The pages of the stack, without its guard, that occupy memory.
std::size_t resident_pages(const stack_span& s) {
    std::vector<unsigned char> pages((s.size - s.guard) / page);
    REQUIRE(::mincore(s.lowest + s.guard, s.size - s.guard, pages.data()) == 0);
    return static_cast<std::size_t>(std::count_if(pages.begin(), pages.end(), [](unsigned char p) { return p & 1; }));
}

void touch(const stack_span& s) { std::memset(s.lowest + s.guard, 1, s.size - s.guard); }

/// Writes one byte in a child that handles no signal.
child_result write_in_child(char* where) {
    return in_child([where] {
        ::signal(SIGSEGV, SIG_DFL);
        *static_cast<volatile char*>(where) = 1;
    });
}

/// From here on this process has no MADV_GUARD_INSTALL, as before Linux 6.13. False: seccomp is not to be had here.
bool take_guard_markers_away() {
    constexpr unsigned install = 102;
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, install, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog filter{static_cast<unsigned short>(std::size(program)), program};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

constexpr int no_seccomp = 77;

/// Runs f in a child without guard markers; false if that cannot be had.
template <class F>
bool without_markers(child_result& result, F f) {
    if (weft_test::on_valgrind()) return false;   // it does not let a filter in
    result = in_child([&]() -> int {
        if (!take_guard_markers_away()) return no_seccomp;
        ::signal(SIGSEGV, SIG_DFL);
        return f();
    });
    return !result.exited_with(no_seccomp);
}

}  // namespace

TEST_CASE("stack_pool: sizes are rounded up to whole pages and to the smallest size") {
    const std::pair<std::size_t, std::size_t> sizes[] = {
        {0, stack_pool::smallest},
        {1, stack_pool::smallest},
        {stack_pool::smallest, stack_pool::smallest},
        {stack_pool::smallest + 1, stack_pool::smallest + page},
        {100'000, (100'000 + page - 1) / page * page},
        {5 * 1024 * 1024 + 1, 5 * 1024 * 1024 + page},
        {std::size_t{2} << 30, std::size_t{2} << 30},   // larger than a slab
    };
    for (const auto& [asked, given] : sizes) {
        stack_pool pool(asked);
        CHECK(pool.stack_size() == given);
        const auto a = pool.take(), b = pool.take();
        CHECK(a.span.size == given);
        CHECK(reinterpret_cast<std::uintptr_t>(a.span.top()) % page == 0);
        CHECK(a.span.guard == page);
        CHECK((a.span.top() <= b.span.lowest || b.span.top() <= a.span.lowest));
        a.span.top()[-1] = 1;
        a.span.lowest[a.span.guard] = 1;
        b.span.top()[-1] = 1;
        pool.give_back(a.number, false);
        pool.give_back(b.number, true);
    }
}

TEST_CASE("stack_pool: stacks of several slabs are guarded, writable, and apart from each other") {
    stack_pool pool(stack_pool::smallest);
    std::vector<stack_pool::entry> taken;
    std::set<std::size_t> numbers;
    std::vector<char*> lowest;
    for (int i = 0; i < 300; ++i) {
        taken.push_back(pool.take());
        const stack_span& s = taken.back().span;
        numbers.insert(taken.back().number);
        lowest.push_back(s.lowest);
        if (s.guard != page) FAIL("stack " << i << " has no guard page");
        s.lowest[s.guard] = static_cast<char>(i);
        s.top()[-1] = static_cast<char>(i);
    }
    CHECK(numbers.size() == 300);
    std::sort(lowest.begin(), lowest.end());
    for (std::size_t i = 1; i < lowest.size(); ++i) REQUIRE(lowest[i] - lowest[i - 1] >= long{stack_pool::smallest});
    for (int i = 0; i < 300; ++i) {
        const stack_span& s = taken[static_cast<std::size_t>(i)].span;
        REQUIRE(s.lowest[s.guard] == static_cast<char>(i));
        REQUIRE(s.top()[-1] == static_cast<char>(i));
    }
    for (const auto& entry : taken) pool.give_back(entry.number, false);
}

TEST_CASE("stack_pool: stacks lie an odd number of pages apart, so that their pages do not crowd in the translation caches") {
    for (const std::size_t size : {std::size_t{64 * 1024}, std::size_t{256 * 1024}, std::size_t{68 * 1024}}) {
        stack_pool pool(size);
        const auto a = pool.take();
        const auto b = pool.take();
        const auto distance = b.span.lowest - a.span.lowest;
        CHECK(distance / static_cast<long>(page) % 2 == 1);
        CHECK(distance - static_cast<long>(size) <= static_cast<long>(page));
        CHECK(guarded_stack_at(b.span.lowest).size == size);
        pool.give_back(a.number, false);
        pool.give_back(b.number, false);
    }
}

TEST_CASE("stack_pool: the stack given back last is taken first") {
    stack_pool pool(stack_pool::smallest);
    std::vector<stack_pool::entry> taken;
    for (int i = 0; i < 5; ++i) taken.push_back(pool.take());
    for (int i : {1, 4, 0}) pool.give_back(taken[static_cast<std::size_t>(i)].number, i == 4);
    for (int i : {0, 4, 1}) {
        const auto again = pool.take();
        CHECK(again.number == taken[static_cast<std::size_t>(i)].number);
        CHECK(again.span.lowest == taken[static_cast<std::size_t>(i)].span.lowest);
    }
    const auto fresh = pool.take();
    for (const auto& entry : taken) CHECK(fresh.number != entry.number);
}

TEST_CASE("stack_pool: a stack takes memory only where it was touched, and gives it back only when cold") {
    stack_pool pool(256 * 1024);
    const auto entry = pool.take();
    CHECK(resident_pages(entry.span) == 0);
    entry.span.top()[-1] = 1;
    CHECK(resident_pages(entry.span) == 1);
    touch(entry.span);
    const std::size_t all = (entry.span.size - entry.span.guard) / page;
    CHECK(resident_pages(entry.span) == all);
    pool.give_back(entry.number, false);
    CHECK(resident_pages(entry.span) == all);
    REQUIRE(pool.take().number == entry.number);
    pool.give_back(entry.number, true);
    CHECK(resident_pages(entry.span) == 0);
}

TEST_CASE("stack_pool: the guard page kills whoever touches it, to its last byte") {
    stack_pool pool(64 * 1024);
    const auto first = pool.take();
    const auto entry = pool.take();
    CHECK(write_in_child(entry.span.lowest).died_of(SIGSEGV));
    CHECK(write_in_child(entry.span.lowest + entry.span.guard - 1).died_of(SIGSEGV));
    CHECK(write_in_child(entry.span.lowest + entry.span.guard).exited_with(0));
    CHECK(write_in_child(entry.span.top() - 1).exited_with(0));
    // Given back and taken again, it is guarded as before.
    pool.give_back(entry.number, true);
    const auto again = pool.take();
    CHECK(again.span.lowest == entry.span.lowest);
    CHECK(write_in_child(again.span.lowest).died_of(SIGSEGV));
    pool.give_back(first.number, false);
}

TEST_CASE("stack_pool: an address in a guard page leads to its stack, and no other address to any") {
    char* address = nullptr;
    {
        stack_pool pool(64 * 1024);
        const auto a = pool.take(), b = pool.take();
        const stack_span found = guarded_stack_at(b.span.lowest + 10);
        CHECK(found.lowest == b.span.lowest);
        CHECK(found.size == b.span.size);
        CHECK(guarded_stack_at(a.span.lowest).lowest == a.span.lowest);
        int local = 0;
        CHECK(guarded_stack_at(&local).size == 0);
        CHECK(guarded_stack_at(nullptr).size == 0);
        address = a.span.lowest;
    }
    CHECK(guarded_stack_at(address).size == 0);
}

TEST_CASE("stack_pool: pools of several threads come and go side by side") {
    std::vector<std::thread> threads;
    std::vector<int> wrong(4, 0);
    for (std::size_t t = 0; t < wrong.size(); ++t)
        threads.emplace_back([&, t] {
            for (int round = 0; round < weft_test::rounds(200); ++round) {
                stack_pool pool(stack_pool::smallest << t);
                const auto entry = pool.take();
                wrong[t] += entry.span.size != stack_pool::smallest << t;
                entry.span.top()[-1] = 1;
                pool.give_back(entry.number, false);
            }
        });
    for (auto& thread : threads) thread.join();
    CHECK(wrong == std::vector<int>(4, 0));
}

TEST_CASE("stack_pool: where there is no memory it says so, and works again when there is") {
    if (weft_test::on_asan || weft_test::on_tsan || weft_test::on_valgrind()) return;   // they need the room themselves
    const child_result child = in_child([] {
        stack_pool small(64 * 1024), large(std::size_t{8} << 30);
        const auto before = small.take();
        rlimit limit{};
        ::getrlimit(RLIMIT_AS, &limit);
        const rlimit tight{std::size_t{4} << 30, limit.rlim_max};
        ::setrlimit(RLIMIT_AS, &tight);
        bool thrown = false;
        try {
            large.take();
        } catch (const stack_exhausted& e) {
            thrown = std::string(e.what()).find("no memory for a fiber's stack") != std::string::npos;
        }
        if (!thrown) return 1;
        before.span.top()[-1] = 1;
        small.take();
        ::setrlimit(RLIMIT_AS, &limit);
        large.take().span.top()[-1] = 1;
        return 0;
    });
    CHECK(child.exited_with(0));
}

TEST_CASE("stack_pool: without guard markers pages are protected one by one") {
    child_result child;
    if (!without_markers(child, [] {
            stack_pool pool(64 * 1024);
            const auto a = pool.take(), b = pool.take();
            if (a.span.guard != page || b.span.guard != page) return 1;
            b.span.lowest[b.span.guard] = 1;
            *static_cast<volatile char*>(b.span.lowest + b.span.guard - 1) = 1;
            return 2;
        }))
        return;
    CHECK(child.died_of(SIGSEGV));
    CHECK(child.error_output.empty());
}

TEST_CASE("stack_pool: when the budget of mappings is spent it says so once and goes on unguarded") {
    child_result child;
    if (!without_markers(child, [] {
            stack_pool pool(stack_pool::smallest);
            std::size_t guarded = 0, unguarded = 0;
            for (int i = 0; i < 60'000; ++i) {
                const auto entry = pool.take();
                entry.span.top()[-1] = 1;
                if (entry.span.guard) ++guarded;
                else entry.span.lowest[0] = 1, ++unguarded;
            }
            return guarded > 1000 && unguarded > 1000 ? 0 : 1;
        }))
        return;
    CHECK(child.exited_with(0));
    CHECK(child.said("have no guard pages") == 1);
    CHECK(child.said("vm.max_map_count") == 1);
}

TEST_CASE("stack_pool: a pool that dies gives its part of the budget of mappings back") {
    child_result child;
    if (!without_markers(child, [] {
            for (int round = 0; round < 10; ++round) {
                stack_pool pool(stack_pool::smallest);
                for (int i = 0; i < 5000; ++i)
                    if (pool.take().span.guard == 0) return 10 + round;
            }
            return 0;
        }))
        return;
    CHECK(child.exited_with(0));
    CHECK(child.error_output.empty());
}
