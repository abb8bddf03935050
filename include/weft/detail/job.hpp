#pragma once

/// What the kernel schedules, as plain data: runnables, jobs, timers. Shared by the library and the templates of its
/// public headers; the rules are told in lib/kernel.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <new>

#include <weft/detail/config.hpp>
#include <weft/detail/thread_state.hpp>
#include <weft/detail/waiter.hpp>

namespace weft::kernel {

using detail::time_point;

enum class runnable_kind : std::uint8_t {
    fiber,      // suspended, to be switched to
    job,        // not started: needs a worker fiber
    callback,   // runs on the loop's own stack
    loop,       // that stack itself
};

/// An entry of the run queue.
struct runnable {
    explicit runnable(runnable_kind k) noexcept : kind(k) {}

    runnable* next = nullptr;
    const runnable_kind kind;
};

/// What runs on the loop's own stack, and so must not wait.
struct callback : runnable {
    explicit callback(void (*f)(callback&) noexcept) noexcept : runnable(runnable_kind::callback), run(f) {}

    void (*run)(callback&) noexcept;   // may destroy the callback
};

/// Work that gets a worker fiber, and so a stack, when it first runs.
struct WEFT_API job : runnable {
    job() noexcept : runnable(runnable_kind::job) {}
    job(const job&) = delete;
    job& operator=(const job&) = delete;
    virtual ~job() = default;

    /// From the running loop's cache of blocks, where a loop runs.
    static void* operator new(std::size_t size);
    static void operator delete(void* block, std::size_t size) noexcept;
    /// For functions and results that are aligned more strictly than any block of the cache is.
    static void* operator new(std::size_t size, std::align_val_t alignment) { return ::operator new(size, alignment); }
    static void operator delete(void* block, std::size_t, std::align_val_t alignment) noexcept {
        ::operator delete(block, alignment);
    }

    /// On a worker fiber. When it returns, the fiber may run another job.
    virtual void run() noexcept = 0;
    /// In place of run() where no stack could be had; current_exception() says why.
    virtual void refuse() noexcept = 0;
    /// For diagnostics; async-signal-safe.
    virtual const char* describe() const noexcept = 0;

    /// A request to cancel may be delivered at the next wait that allows it; kept by the task layer. On the job's loop.
    bool cancel_deliverable() const noexcept { return cancel_deliverable_; }
    void set_cancel_deliverable(bool deliverable) noexcept;
    /// It is delivered only while no more exceptions than this are in flight on the fiber: not during unwinding.
    unsigned uncaught_floor = 0;
    /// 0: the loop's default.
    std::size_t stack_size = 0;
    /// The fiber that runs it; null before and after.
    fiber* on = nullptr;

private:
    bool cancel_deliverable_ = false;   // also in the fiber it runs on, where waits look
};

/// A node of a loop's timer queue.
struct timer {
    time_point when{};
    void (*fire)(timer&) noexcept = nullptr;   // on the loop's own stack; may set or end any timer, must not wait

    bool armed() const noexcept { return queued_; }

private:
    friend class timer_queue;
    std::uint64_t sequence_ = 0;
    timer* child_ = nullptr;      // first of the children
    timer* sibling_ = nullptr;    // next child of the same parent
    timer* previous_ = nullptr;   // previous sibling; for a first child its parent
    bool queued_ = false;
};

}  // namespace weft::kernel
