// What belongs to a fiber and must survive every switch: registers, control words, errno, exceptions, the stack's alignment.

#include <catch2/catch.hpp>

#include <cerrno>
#include <cfenv>
#include <cstdint>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <boost/fiber/operations.hpp>

#include "bare_loop.hpp"
#include "kernel/turnstile.hpp"
#include "leak_check.hpp"
#include "rounds.hpp"

using weft_test::bare_loop;
using weft_test::leak_check;
using weft_test::turnstile;

namespace {

/// The ways in which a fiber lets go of the processor: ours, and one that begins inside of Boost.
void give_way(bare_loop& loop, int way) {
    switch (way % 3) {
        case 0:
            loop.scheduler().yield();
            break;
        case 1:
            boost::this_fiber::yield();
            break;
        default: {
            turnstile nobody;
            nobody.take(weft::detail::time_point::min());
        }
    }
}

/// Many fibers that all run `body`, giving way to each other in every way.
template <class F>
void interleaved(int fibers, F body) {
    bare_loop loop(128 * 1024);
    for (int i = 0; i < fibers; ++i) loop.start([&loop, body, i] { body(loop, i); });
    loop.run();
}

bool frame_is_aligned() {
    // A multiple of 16 if the stack was aligned for this call: the return address and the frame pointer lie above it.
    return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) % 16 == 0;
}

/// Not for the optimizer to look through: it aligns the stack only for functions that it does not know.
bool (*volatile stack_is_aligned)() = frame_is_aligned;

}  // namespace

#if defined(__x86_64__)

// Puts seed + 1 ... seed + 6 into the callee-saved registers, calls, and returns whether they are still there.
extern "C" bool weft_test_keeps_registers(std::uint64_t seed, void (*call)(void*), void* argument);
asm(R"(
    .text
    .type weft_test_keeps_registers, @function
    .globl weft_test_keeps_registers
weft_test_keeps_registers:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    subq  $24, %rsp
    movq  %rdi, (%rsp)
    leaq  1(%rdi), %rbx
    leaq  2(%rdi), %rbp
    leaq  3(%rdi), %r12
    leaq  4(%rdi), %r13
    leaq  5(%rdi), %r14
    leaq  6(%rdi), %r15
    movq  %rdx, %rdi
    call  *%rsi
    movq  (%rsp), %rdi
    xorl  %eax, %eax
    leaq  1(%rdi), %rcx
    cmpq  %rcx, %rbx
    jne   1f
    leaq  2(%rdi), %rcx
    cmpq  %rcx, %rbp
    jne   1f
    leaq  3(%rdi), %rcx
    cmpq  %rcx, %r12
    jne   1f
    leaq  4(%rdi), %rcx
    cmpq  %rcx, %r13
    jne   1f
    leaq  5(%rdi), %rcx
    cmpq  %rcx, %r14
    jne   1f
    leaq  6(%rdi), %rcx
    cmpq  %rcx, %r15
    jne   1f
    movl  $1, %eax
1:  addq  $24, %rsp
    popq  %r15
    popq  %r14
    popq  %r13
    popq  %r12
    popq  %rbx
    popq  %rbp
    ret
    .size weft_test_keeps_registers, . - weft_test_keeps_registers
)");

TEST_CASE_METHOD(leak_check, "switch: the callee-saved registers of a fiber survive") {
    int lost = 0;
    interleaved(50, [&lost](bare_loop& loop, int i) {
        struct arguments {
            bare_loop& loop;
            int way;
        };
        for (int round = 0; round < 20; ++round) {
            arguments a{loop, i + round};
            const bool kept = weft_test_keeps_registers(
                static_cast<std::uint64_t>(i) << 32 | static_cast<unsigned>(round) << 8,
                [](void* p) { give_way(static_cast<arguments*>(p)->loop, static_cast<arguments*>(p)->way); }, &a);
            lost += !kept;
        }
    });
    CHECK(lost == 0);
}

TEST_CASE_METHOD(leak_check, "switch: the control words of SSE and x87 belong to the fiber") {
    if (weft_test::on_valgrind()) return;   // it does not keep all of their bits
    int lost = 0;
    interleaved(40, [&lost](bare_loop& loop, int i) {
        const unsigned mxcsr = _mm_getcsr();
        unsigned short x87 = 0;
        asm volatile("fnstcw %0" : "=m"(x87));
        // Rounding mode, flush to zero; rounding and precision of x87: differently for each.
        const unsigned my_mxcsr = (mxcsr & ~0xe000u) | static_cast<unsigned>(i % 8) << 13;
        const auto my_x87 = static_cast<unsigned short>((x87 & ~0x0c00) | (i / 8 % 4) << 10);
        _mm_setcsr(my_mxcsr);
        asm volatile("fldcw %0" : : "m"(my_x87));
        for (int round = 0; round < 20; ++round) {
            give_way(loop, i + round);
            unsigned short now = 0;
            asm volatile("fnstcw %0" : "=m"(now));
            lost += (_mm_getcsr() & 0xffc0) != (my_mxcsr & 0xffc0);
            lost += now != my_x87;
        }
        _mm_setcsr(mxcsr);
        asm volatile("fldcw %0" : : "m"(x87));
    });
    CHECK(lost == 0);
}

#endif

TEST_CASE_METHOD(leak_check, "switch: the rounding mode belongs to the fiber") {
    int lost = 0;
    interleaved(40, [&lost](bare_loop& loop, int i) {
        const int modes[] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
        const int mine = modes[i % 4];
        std::fesetround(mine);
        volatile double one = 1, three = 3;
        const double expected = one / three;
        for (int round = 0; round < 20; ++round) {
            give_way(loop, i + round);
            lost += std::fegetround() != mine;
            lost += one / three != expected;
        }
        std::fesetround(FE_TONEAREST);
    });
    CHECK(lost == 0);
    CHECK(std::fegetround() == FE_TONEAREST);
}

TEST_CASE_METHOD(leak_check, "switch: a job does not inherit the rounding mode or the errno of the one before on its stack") {
    bare_loop loop;
    std::vector<int> modes, errors;
    auto look = [&] {
        modes.push_back(std::fegetround());
        errors.push_back(errno);
        std::fesetround(FE_UPWARD);
        errno = EPERM;
    };
    for (int i = 0; i < 3; ++i) loop.start(look);   // one after the other, without a switch between them
    loop.run();
    loop.start(look);   // on an idle worker
    loop.run();
    CHECK(modes == std::vector<int>(4, FE_TONEAREST));
    CHECK(errors == std::vector<int>(4, 0));
    CHECK(std::fegetround() == FE_TONEAREST);
}

TEST_CASE_METHOD(leak_check, "switch: errno belongs to the fiber, and the loop's stack has its own") {
    int lost = 0;
    errno = 4711;
    interleaved(40, [&lost](bare_loop& loop, int i) {
        for (int round = 0; round < 20; ++round) {
            errno = i * 100 + round;
            give_way(loop, i + round);
            lost += errno != i * 100 + round;
        }
    });
    CHECK(lost == 0);
}

TEST_CASE_METHOD(leak_check, "switch: the stack is aligned at the start of a fiber and after every way to resume it") {
    int crooked = 0;
    interleaved(10, [&crooked](bare_loop& loop, int i) {
        crooked += !stack_is_aligned();
        for (int round = 0; round < 9; ++round) {
            give_way(loop, i + round);
            crooked += !stack_is_aligned();
        }
    });
    CHECK(crooked == 0);

    bare_loop loop;
    weft::kernel::callback on_own_stack([](weft::kernel::callback& c) noexcept {
        c.run = stack_is_aligned() ? nullptr : c.run;
    });
    auto* before = on_own_stack.run;
    loop.scheduler().ready(on_own_stack);
    loop.settle();
    CHECK(on_own_stack.run != before);
}

TEST_CASE_METHOD(leak_check, "switch: each fiber rethrows the exception that it handles itself") {
    int wrong = 0;
    interleaved(30, [&wrong](bare_loop& loop, int i) {
        for (int round = 0; round < 10; ++round) {
            try {
                try {
                    throw i * 100 + round;
                } catch (int) {
                    give_way(loop, i + round);
                    throw;
                }
            } catch (int caught) {
                wrong += caught != i * 100 + round;
            }
        }
    });
    CHECK(wrong == 0);
}

TEST_CASE_METHOD(leak_check, "switch: how many exceptions are in flight is counted for each fiber") {
    int wrong = 0;
    interleaved(30, [&wrong](bare_loop& loop, int i) {
        struct gives_way {
            bare_loop& loop;
            int way;
            int& wrong;
            ~gives_way() {
                give_way(loop, way);
                wrong += std::uncaught_exceptions() != 1;
            }
        };
        for (int round = 0; round < 10; ++round) {
            wrong += std::uncaught_exceptions() != 0;
            if (i % 2) {
                give_way(loop, i + round);
                continue;
            }
            try {
                gives_way g{loop, i + round, wrong};
                throw i;
            } catch (int caught) {
                wrong += caught != i;
            }
        }
    });
    CHECK(wrong == 0);
    CHECK(std::uncaught_exceptions() == 0);
}

TEST_CASE_METHOD(leak_check, "switch: nested exceptions keep their order through parks") {
    int wrong = 0;
    interleaved(30, [&wrong](bare_loop& loop, int i) {
        try {
            try {
                throw std::runtime_error("inner " + std::to_string(i));
            } catch (...) {
                give_way(loop, i);
                std::throw_with_nested(std::runtime_error("outer " + std::to_string(i)));
            }
        } catch (const std::runtime_error& outer) {
            give_way(loop, i + 1);
            wrong += outer.what() != "outer " + std::to_string(i);
            try {
                std::rethrow_if_nested(outer);
                ++wrong;
            } catch (const std::runtime_error& inner) {
                give_way(loop, i + 2);
                wrong += inner.what() != "inner " + std::to_string(i);
            }
            give_way(loop, i);
            try {
                throw;
            } catch (const std::runtime_error& again) {
                wrong += again.what() != "outer " + std::to_string(i);
            }
        }
    });
    CHECK(wrong == 0);
}

TEST_CASE_METHOD(leak_check, "switch: an exception_ptr is thrown by many fibers at once, and counted right") {
    const auto shared = std::make_exception_ptr(std::runtime_error("shared"));
    int seen = 0;
    interleaved(30, [&](bare_loop& loop, int i) {
        for (int round = 0; round < 5; ++round) {
            try {
                std::rethrow_exception(shared);
            } catch (const std::runtime_error& e) {
                give_way(loop, i + round);
                const std::exception_ptr current = std::current_exception();
                give_way(loop, i + round + 1);
                seen += current == std::current_exception() && e.what() == std::string("shared");
            }
        }
    });
    CHECK(seen == 150);
}

TEST_CASE_METHOD(leak_check, "switch: a job started at once in a catch block knows nothing of that exception") {
    bare_loop loop;
    bool clean = false;
    int rethrown = 0;
    turnstile t;
    loop.start([&] {
        auto& eager = loop.make([&] {
            clean = std::current_exception() == nullptr && std::uncaught_exceptions() == 0;
            try {
                throw 1;
            } catch (int) {
                t.take();
            }
        });
        try {
            throw 2;
        } catch (int) {
            loop.scheduler().start_now(eager);
            t.give();
            try {
                throw;
            } catch (int caught) {
                rethrown = caught;
            }
        }
    });
    loop.run();
    CHECK(clean);
    CHECK(rethrown == 2);
}
