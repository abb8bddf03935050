#pragma once

/// What AddressSanitizer, ThreadSanitizer and valgrind must be told of fibers. Empty in a plain build.

#include <signal.h>

#include <cstddef>

#include <weft/detail/config.hpp>

#include "weft_config.hpp"

#if WEFT_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if WEFT_TSAN
#include <sanitizer/tsan_interface.h>
extern "C" void __tsan_func_entry(void* caller);
#endif
#if WEFT_HAVE_VALGRIND
#include <valgrind/valgrind.h>
#endif

/// On every function that returns on another fiber than it was called on, as ThreadSanitizer sees it: it keeps a stack of
/// calls for each fiber, and such a function would be entered on one and left on the other. Never inlined into one that
/// is instrumented: GCC refuses.
#if WEFT_TSAN
#define WEFT_UNTRACED __attribute__((noinline, no_sanitize("thread")))
#else
#define WEFT_UNTRACED
#endif

namespace weft::kernel {

/// A stack that ran a fiber before still carries the poison of its last frames.
inline void unpoison_stack([[maybe_unused]] void* lowest, [[maybe_unused]] std::size_t size) noexcept {
#if WEFT_ASAN
    __asan_unpoison_memory_region(lowest, size);
#endif
}

inline unsigned register_stack([[maybe_unused]] void* lowest, [[maybe_unused]] void* top) noexcept {
#if WEFT_HAVE_VALGRIND
    return static_cast<unsigned>(VALGRIND_STACK_REGISTER(lowest, top));
#else
    return 0;
#endif
}

inline void deregister_stack([[maybe_unused]] unsigned id) noexcept {
#if WEFT_HAVE_VALGRIND
    VALGRIND_STACK_DEREGISTER(id);
#endif
}

inline void* create_tsan_fiber() noexcept {
#if WEFT_TSAN
    return __tsan_create_fiber(0);
#else
    return nullptr;
#endif
}

inline void destroy_tsan_fiber([[maybe_unused]] void* fiber) noexcept {
#if WEFT_TSAN
    if (fiber) __tsan_destroy_fiber(fiber);
#endif
}

/// While it lives, no signal comes. Only under ThreadSanitizer, which puts handlers off until a function of the C library that it
/// knows ends, and keeps what has come with the fiber that was interrupted: it would be handled when that fiber runs again, or when
/// something else ends the system call, unknown to it, in which the loop went to sleep. The two calls here are such functions.
class signals_held {
public:
    WEFT_UNTRACED signals_held() noexcept {
#if WEFT_TSAN
        sigset_t all;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before_);
#endif
    }
    WEFT_UNTRACED ~signals_held() {
#if WEFT_TSAN
        ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
#endif
    }
    signals_held(const signals_held&) = delete;
    signals_held& operator=(const signals_held&) = delete;

    /// The mask for a system call that waits and lets them through meanwhile; null: it leaves the thread's as it is.
    sigset_t* mask_for_wait() noexcept {
#if WEFT_TSAN
        return &before_;
#else
        return nullptr;
#endif
    }

private:
#if WEFT_TSAN
    sigset_t before_;
#endif
};

WEFT_UNTRACED inline void enter_tsan_fiber([[maybe_unused]] void* fiber) noexcept {
#if WEFT_TSAN
    const signals_held none_goes_along;
    __tsan_switch_to_fiber(fiber, 0);
#endif
}

/// Boost frees an ended context by resuming it once more, from its dispatcher: the context's functions then return as if
/// they had been called there. This makes room for `ended` contexts in the calling fiber's stack of calls.
WEFT_UNTRACED inline void expect_tsan_returns([[maybe_unused]] std::size_t ended) noexcept {
#if WEFT_TSAN
    constexpr std::size_t functions = 16;   // more than a context begins with
    for (std::size_t i = 0; i < ended * functions; ++i) __tsan_func_entry(nullptr);
#endif
}

inline void* current_tsan_fiber() noexcept {
#if WEFT_TSAN
    return __tsan_get_current_fiber();
#else
    return nullptr;
#endif
}

/// While it lives, frames of instrumented functions stand on the real stack, not in AddressSanitizer's copy of the running one:
/// for the first instructions of a context, which Boost runs while it makes it, and whose frames outlive that.
class real_frames {
public:
    real_frames([[maybe_unused]] void* lowest, [[maybe_unused]] std::size_t size) noexcept {
#if WEFT_ASAN
        __sanitizer_start_switch_fiber(&fake_stack_, lowest, size);   // to the same stack
#endif
    }
    ~real_frames() {
#if WEFT_ASAN
        __sanitizer_finish_switch_fiber(fake_stack_, nullptr, nullptr);
#endif
    }
    real_frames(const real_frames&) = delete;
    real_frames& operator=(const real_frames&) = delete;

private:
    [[maybe_unused]] void* fake_stack_ = nullptr;
};

}  // namespace weft::kernel
