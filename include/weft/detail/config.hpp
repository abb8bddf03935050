// What the compiler and the build are, as macros. This header includes nothing and every other one may include it.
//
//   WEFT_API       on every class, function and variable that a program outside the library uses, and on every class
//                  that is thrown: the library hides all other symbols, and an exception whose type is hidden is
//                  another type on each side of the boundary.
//   WEFT_NOINLINE  keeps a function a function of its own: for code around a stack switch, where an inlined copy would
//                  let the compiler keep a thread_local address or a register across the switch.
//                  (Both are written the old way, not as [[gnu::...]], since that may stand anywhere among the specifiers.)
//   WEFT_ASAN, WEFT_TSAN
//                  1 where this translation unit is compiled for AddressSanitizer, ThreadSanitizer; else 0.

#pragma once

#define WEFT_API __attribute__((visibility("default")))
#define WEFT_NOINLINE __attribute__((noinline))

#if defined(__SANITIZE_ADDRESS__)
#define WEFT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEFT_ASAN 1
#endif
#endif
#ifndef WEFT_ASAN
#define WEFT_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__)
#define WEFT_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WEFT_TSAN 1
#endif
#endif
#ifndef WEFT_TSAN
#define WEFT_TSAN 0
#endif
