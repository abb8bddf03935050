#pragma once

/// The jump from one stack to another.
///
/// On x86-64 it is written here, inline, so that no `ret` follows it: a return after a switch is predicted to go where
/// the other fiber came from, and the misprediction costs as much as the jump. The frame it leaves is that of
/// Boost.Context's jump_fcontext, so either side may resume what the other suspended:
///
///     fctx -> +0x00 mxcsr, x87 control word   +0x08 (stack protector)   +0x10 r12 r13 r14 r15   +0x30 rbx rbp   +0x40 rip
///
/// A resumed Boost frame gets an empty transfer (null, null), as boost::fibers::context::resume() gives it. Elsewhere,
/// and where Boost's idea of the active context cannot be kept up to date by us (boost_bridge.hpp), that function is
/// used itself.

#include <cstdint>
#include <cstring>

#if defined(__x86_64__) && !defined(__ILP32__)
#define WEFT_INLINE_SWITCH 1
#else
#define WEFT_INLINE_SWITCH 0
#endif

namespace weft::kernel {

#if WEFT_INLINE_SWITCH
#if WEFT_NO_RED_ZONE
#define WEFT_SWITCH_ROOM "0x40"
#else
#define WEFT_SWITCH_ROOM "0xc0"
#endif

/// Suspends the running stack, leaving its stack pointer in *save, and resumes the one that was suspended at `load`.
///
/// SAFETY: every register is either saved in the frame (rbx, rbp, the control words; the old stack pointer in r12's place,
/// since the frame is aligned) or declared lost. The 128 bytes below the stack pointer are the red zone, which is left
/// alone unless the build says that nobody uses it.
[[gnu::always_inline]] inline void switch_stacks(void** save, void* load) noexcept {
    asm volatile(
        "movq    %%rsp, %%r12\n\t"
        "leaq    -" WEFT_SWITCH_ROOM "(%%rsp), %%rsp\n\t"
        "andq    $-16, %%rsp\n\t"
        "subq    $8, %%rsp\n\t"
        "leaq    1f(%%rip), %%rax\n\t"
        "stmxcsr (%%rsp)\n\t"
        "fnstcw  0x4(%%rsp)\n\t"
        "movq    %%r12, 0x10(%%rsp)\n\t"
        "movq    %%rbx, 0x30(%%rsp)\n\t"
        "movq    %%rbp, 0x38(%%rsp)\n\t"
        "movq    %%rax, 0x40(%%rsp)\n\t"
        "movq    %%rsp, (%[save])\n\t"
        "movq    %[load], %%rsp\n\t"
        "movq    0x40(%%rsp), %%r8\n\t"
        "ldmxcsr (%%rsp)\n\t"
        "fldcw   0x4(%%rsp)\n\t"
        "movq    0x10(%%rsp), %%r12\n\t"
        "movq    0x18(%%rsp), %%r13\n\t"
        "movq    0x20(%%rsp), %%r14\n\t"
        "movq    0x28(%%rsp), %%r15\n\t"
        "movq    0x30(%%rsp), %%rbx\n\t"
        "movq    0x38(%%rsp), %%rbp\n\t"
        "leaq    0x48(%%rsp), %%rsp\n\t"
        "xorl    %%eax, %%eax\n\t"
        "xorl    %%edx, %%edx\n\t"
        "xorl    %%edi, %%edi\n\t"
        "xorl    %%esi, %%esi\n\t"
        "jmp     *%%r8\n"
        "1:\n\t"
        "movq    %%r12, %%rsp\n\t"
        // Named registers: with frame pointers only rbx would be left to choose.
        : [save] "+D"(save), [load] "+S"(load)
        :
        : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc", "xmm0",
          "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",
          "xmm14", "xmm15"
#if defined(__AVX512F__)
          , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27",
          "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6", "k7"
#endif
    );
}
#undef WEFT_SWITCH_ROOM
#endif

/// How floating point rounds and traps. It is a fiber's own, as the callee-saved registers are, and must not pass from one
/// job on to the next on the same stack. On AArch64 Boost's jump leaves it alone, and who switches changes it.
struct control_words {
    static control_words current() noexcept {
        control_words now;
#if WEFT_INLINE_SWITCH
        asm volatile("stmxcsr %0" : "=m"(now.sse));
        asm volatile("fnstcw %0" : "=m"(now.x87));
        now.sse &= ~63u;   // the low bits are flags: what has happened, not how to go on
#elif defined(__aarch64__)
        asm volatile("mrs %0, fpcr" : "=r"(now.fpcr));
#endif
        return now;
    }
    /// Makes these the words of a fiber that is suspended at `frame`, by us or by Boost: both keep them at its lowest address.
    /// \param frame  may be null
    void put_into([[maybe_unused]] void* frame) const noexcept {
#if WEFT_INLINE_SWITCH
        if (!frame) return;
        std::memcpy(frame, &sse, sizeof sse);
        std::memcpy(static_cast<char*>(frame) + sizeof sse, &x87, sizeof x87);
#endif
    }
    /// Makes these the running fiber's. To load them costs more than to look, and they hardly ever differ.
    void restore() const noexcept {
#if WEFT_INLINE_SWITCH
        const control_words now = current();
        if (now.sse != sse) [[unlikely]] { asm volatile("ldmxcsr %0" : : "m"(sse)); }
        if (now.x87 != x87) [[unlikely]] { asm volatile("fldcw %0" : : "m"(x87)); }
#elif defined(__aarch64__)
        if (current().fpcr != fpcr) [[unlikely]] { asm volatile("msr fpcr, %0" : : "r"(fpcr)); }
#endif
    }

#if defined(__aarch64__)
    std::uint64_t fpcr = 0;
#else
    unsigned sse = 0;
    unsigned short x87 = 0;
#endif
};

}  // namespace weft::kernel
