#pragma once

/// virtual_clock: time that only passes when nothing else can happen.

#include <atomic>
#include <chrono>

#include "kernel/clock.hpp"

namespace weft_test {

/// The loop's clock, while it lives: stands still while anything can run, then jumps to the next deadline.
class virtual_clock {
public:
    virtual_clock() {
        now_ = std::chrono::steady_clock::now().time_since_epoch().count();
        weft::kernel::installed_advance = &advance;
        weft::kernel::installed_clock = &now;
    }
    ~virtual_clock() {
        weft::kernel::installed_clock = nullptr;
        weft::kernel::installed_advance = nullptr;
    }
    virtual_clock(const virtual_clock&) = delete;
    virtual_clock& operator=(const virtual_clock&) = delete;

    static std::chrono::steady_clock::time_point now() noexcept {
        return std::chrono::steady_clock::time_point(std::chrono::steady_clock::duration(now_.load()));
    }
    /// Time that passes while a fiber computes.
    static void pass(std::chrono::nanoseconds time) noexcept { now_ += time.count(); }

private:
    static void advance(std::chrono::steady_clock::time_point to) noexcept {
        if (to > now())
            now_ = to.time_since_epoch().count();
    }
    static inline std::atomic<std::chrono::steady_clock::rep> now_{0};
};

}  // namespace weft_test
