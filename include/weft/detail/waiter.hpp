#pragma once

/// waiter, wait_list, park and wake: the one way to block and the one way to unblock.
///
/// Whoever must wait puts a waiter (on its own stack) into the wait_list of the object it waits for, under the object's
/// gate, leaves the gate, and parks. Whoever makes the wait come true claims the waiter under the gate, leaves the
/// gate, and only then wakes: after wake() the object may be gone.
///
///     gate_lock lock(gate_);
///     if (free_) { free_ = false; return; }                     // need not wait
///     waiter self("mutex::lock", this);
///     waiters_.push_back(self);
///     lock.leave();
///     wait_outcome outcome = park(self);                        // or park(self, deadline)
///     if (outcome == wait_outcome::woken) return;               // what was waited for is ours
///     if (self.was_woken()) give_back();                        // handed over, but a cancellation came before we ran
///     else waiters_.withdraw(self, gate_);
///     throw_outcome(outcome);                                   // cancelled: throws weft::cancelled
///
/// Invariants
///  - A waiter is decided once: armed -> woken | timed_out | cancelled. Wakers decide under the object's gate; timers and
///    cancellations decide on the waiter's own loop. The loser of the race does nothing.
///  - Only a waker that holds a biased gate on the waiter's own thread may decide with a plain store: nobody else can be
///    deciding then. All others compare and exchange.
///  - From claim to wake the waiter stays alive, because its owner cannot run before the wake.
///  - A waiter that lost (timed out, cancelled) may still stand in the list. Either its owner takes it out, or a waker drops
///    it; linked_ decides which: linked -> leaving (the owner, before it enters the gate) or linked -> dropped (a waker,
///    under the gate) -> free. So an owner that was dropped does not touch the object, which may be gone, and a waker that
///    wakes everybody waits for owners that are leaving before it wakes anyone who might destroy the object, or returns to a
///    caller who might: leaving -> awaited. The owners tell it when they have left the gate, for once the last has, it may
///    itself be the one to destroy the object: the waker does not look there again.
///  - park() reports cancelled whenever a cancellation is deliverable when the waiter runs again, also if it was woken
///    before: a cancel() that arrives before the waiter has run wins. was_woken() then says that something was handed over.
///
/// A thread that runs no loop parks the same waiter on a futex.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <weft/detail/config.hpp>
#include <weft/detail/gate.hpp>

namespace weft::detail {

using time_point = std::chrono::steady_clock::time_point;

enum class wait_outcome : std::uint8_t { woken, timed_out, cancelled };

/// A node of a loop's inbox; what another thread leaves for a loop.
struct message {
    message* next = nullptr;
    union {
        void (*deliver)(message&) noexcept = nullptr;   // runs on the loop's thread
        message* previous;                              // of a waiter, while it stands in a list
    };
};

/// 64 bytes, most of them touched by every wait: the size counts where a hundred thousand wait.
class WEFT_API waiter : private message {
public:
    /// \param what    a static string that names the call, for dumps: "queue::get"
    /// \param object  what is waited for
    /// The waiter belongs to the calling fiber, or to the calling thread if that runs no loop. In a loop callback, which
    /// cannot wait, throws no_running_task naming `what`.
    explicit waiter(const char* what, const void* object = nullptr)
        : fiber_(kernel::this_thread().parkable), what_(what), object_(object) {
        // Between the two, so that they are not stored at once as a vector: park would wait for that.
        if (!fiber_) [[unlikely]] require_plain_thread(what);
        home_ = kernel::this_thread().running;
    }
    waiter(const waiter&) = delete;
    waiter& operator=(const waiter&) = delete;

    /// After park: a waker had claimed this waiter, whatever park returned.
    bool was_woken() const noexcept { return state_.load(std::memory_order_acquire) == woken; }

    /// Decides for the waker. True: the caller must wake() it after leaving the gate. \param lock the object's gate.
    bool claim(const gate_lock& lock) noexcept { return claim(lock.biased()); }
    /// \param biased  how the gate was entered: what gate::enter() returned
    bool claim(bool biased) noexcept {
        if (biased && home_ == kernel::this_thread().running) [[likely]] {
            // SAFETY: nobody else can be deciding: other wakers need the gate, timers and cancellations run on this thread.
            // (Without a loop the waiter is this thread's own, and it is not waiting.)
            if (state_.load(std::memory_order_relaxed) != armed) return false;
            state_.store(woken, std::memory_order_relaxed);
            return true;
        }
        return claim_shared();
    }

    /// Puts a claimed waiter back to work: on its loop's run queue, in its loop's inbox, or by its futex. The waiter, and
    /// the object it waited for, may be gone when this returns.
    static void wake(waiter& w) noexcept;

    bool linked() const noexcept { return linked_.load(std::memory_order_acquire) == in_list; }

    const char* what() const noexcept { return what_; }
    const void* object() const noexcept { return object_; }

    void* slot = nullptr;   // for the object that is waited for: what is asked for, or where to put what is handed over

private:
    friend class wait_list;
    friend class wake_batch;
    friend struct waiter_internals;
    bool claim_shared() noexcept;
    static void require_plain_thread(const char* what);
    enum : std::uint8_t { armed, woken, timed_out, cancelled_ };
    enum : std::uint8_t { free, in_list, leaving, awaited, dropped };

    std::atomic<std::uint8_t> state_{armed};
    std::atomic<std::uint8_t> linked_{free};    // set under the object's gate, except in_list -> leaving by the owner
                                                // awaited: slot leads to the wake_batch that waits
    std::atomic<std::uint32_t> signal_{0};      // 1: wake() is through with this waiter; a plain thread's futex word
    kernel::fiber* fiber_;                      // null: a plain thread
    kernel::scheduler* home_;                   // null: a plain thread
    const char* what_;
    const void* object_;
    // message's next and previous link it in the wait_list, guarded by the object's gate; then in a batch; then in an inbox.
};
static_assert(sizeof(waiter) == 64 || sizeof(void*) != 8);

/// First in, first out list of the waiters of one object. Every member is called under the object's gate.
class wait_list {
public:
    constexpr wait_list() noexcept = default;
    wait_list(const wait_list&) = delete;
    wait_list& operator=(const wait_list&) = delete;

    bool empty() const noexcept { return first_ == nullptr; }   // counts losers that have not left yet
    waiter* front() const noexcept { return first_; }
    static waiter* next(const waiter& w) noexcept { return static_cast<waiter*>(w.next); }

    void push_back(waiter& w) noexcept {
        w.previous = last_;
        w.next = nullptr;
        if (last_) last_->next = &w;
        else first_ = &w;
        last_ = &w;
        w.linked_.store(waiter::in_list, std::memory_order_relaxed);
    }
    WEFT_API void push_front(waiter& w) noexcept;
    void remove(waiter& w) noexcept {
        unlink(w);
        w.linked_.store(waiter::free, std::memory_order_release);   // last: a loser that sees it may leave
    }

    /// The first waiter that can still be woken; null if there is none. Drops losers in front of it.
    WEFT_API waiter* first_armed() noexcept;
    bool has_armed() noexcept { return first_armed() != nullptr; }
    /// How many can still be woken.
    WEFT_API std::size_t count_armed() const noexcept;

    /// Unlinks and claims the first waiter that can still be woken; null if there is none.
    waiter* claim_front(const gate_lock& lock) noexcept { return claim_front(lock.biased()); }
    waiter* claim_front(bool biased) noexcept {
        waiter* w = first_;
        if (w && w->claim(biased)) [[likely]] {
            remove(*w);
            return w;
        }
        return w ? claim_behind(biased) : nullptr;
    }

    /// Unlinks a waiter that lost. False: its owner is about to, and needs the gate for it.
    WEFT_API bool drop(waiter& w) noexcept;
    /// For the owner of a waiter that lost, outside of the gate: removes w. False: w was dropped, and the object may be gone.
    WEFT_API bool withdraw(waiter& w, gate& g) noexcept;
    /// The same, and calls then(lock) under the gate if w had not been dropped. Afterwards the object may be gone.
    template <class F>
    bool withdraw(waiter& w, gate& g, F&& then) noexcept {
        if (!begin_to_leave(w)) return false;
        {
            gate_lock lock(g);
            unlink(w);
            then(lock);
        }
        have_left(w);
        return true;
    }

private:
    friend class wake_batch;
    /// True: the object is there until the owner has removed w and called have_left.
    WEFT_API static bool begin_to_leave(waiter& w) noexcept;
    WEFT_API static void have_left(waiter& w) noexcept;
    void unlink(waiter& w) noexcept {
        auto* before = static_cast<waiter*>(w.previous);
        auto* behind = static_cast<waiter*>(w.next);
        if (before) before->next = behind;
        else first_ = behind;
        if (behind) behind->previous = before;
        else last_ = before;
    }
    WEFT_API waiter* claim_behind(bool biased) noexcept;

    waiter* first_ = nullptr;
    waiter* last_ = nullptr;
};

/// Claimed waiters, to be woken in order after the gate was left.
class wake_batch {
public:
    wake_batch() noexcept = default;
    wake_batch(const wake_batch&) = delete;
    wake_batch& operator=(const wake_batch&) = delete;
    ~wake_batch() { wake_all(); }

    /// Claims every waiter of the list that can still be woken, and leaves `mark` in the slot of each if it is not null.
    WEFT_API void claim_all(wait_list& list, const gate_lock& lock, void* mark = nullptr) noexcept;
    void add(waiter& claimed) noexcept {
        claimed.next = nullptr;
        if (last_) last_->next = &claimed;
        else first_ = &claimed;
        last_ = &claimed;
    }
    /// Before anybody is woken, waits for the owners that are leaving the list. For at most three lists.
    WEFT_API void let_leave(wait_list& list, const gate_lock& lock) noexcept;
    /// Not under any gate.
    void wake_all() noexcept {
        if (awaits_) [[unlikely]] let_them_leave();
        waiter* w = std::exchange(first_, nullptr);
        last_ = nullptr;
        while (w) {
            auto* behind = static_cast<waiter*>(w->next);   // before the wake: w may be gone after it
            waiter::wake(*w);
            w = behind;
        }
    }

private:
    friend class wait_list;
    WEFT_API void let_them_leave() noexcept;

    waiter* first_ = nullptr;
    waiter* last_ = nullptr;
    bool awaits_ = false;
    unsigned relieved_count_ = 0;
    std::atomic<std::uint32_t> leaving_{0};   // whom it waits for: owners, and batches that took over some of its own
    wake_batch* relieved_[3];   // that waited for the same owners before; each waits for this one in their place
};

/// Suspends the calling fiber (or blocks the calling plain thread) until w is decided. Reports, never throws.
///
/// cancelled: a cancellation is deliverable; it stays pending until throw_cancelled() or take_cancellation() takes it.
/// A deadline that has passed still suspends once, so that a wake in the same turn can win.
WEFT_API wait_outcome park(waiter& w, time_point deadline = time_point::max()) noexcept;

/// As park, but a cancellation stays pending and does not end the wait.
WEFT_API wait_outcome park_uncancellable(waiter& w, time_point deadline = time_point::max()) noexcept;

/// For calls that check though they need not wait: throws weft::cancelled if a cancellation is deliverable. On a plain
/// thread and in a loop callback it does nothing.
WEFT_API void check_cancelled();

/// Throws the weft::cancelled that is deliverable now, and so delivers it. Only after park returned cancelled.
[[noreturn]] WEFT_API void throw_cancelled();

/// throw_cancelled() if the outcome is cancelled; otherwise returns whether the wait was woken (false: timed out).
inline bool woken_or_throw(wait_outcome outcome) {
    if (outcome == wait_outcome::cancelled) throw_cancelled();
    return outcome == wait_outcome::woken;
}

/// The time on the loop's clock: steady_clock, unless a test has put another clock in its place.
WEFT_API time_point now() noexcept;

/// The point on the loop's clock that lies `delay` ahead; never early, saturating at "no deadline" beyond a century.
template <class Rep, class Period>
time_point deadline_after(std::chrono::duration<Rep, Period> delay) {
    using steady = std::chrono::steady_clock::duration;
    const std::chrono::duration<double> seconds(delay);
    if (seconds.count() >= 3.2e9) return time_point::max();
    if (!(seconds.count() > 0)) return now();   // zero, negative, not a number
    return now() + std::chrono::ceil<steady>(delay);
}
template <class Clock, class Duration>
time_point deadline_at(std::chrono::time_point<Clock, Duration> when) {
    using seconds = std::chrono::duration<double>;   // for what exact arithmetic would overflow on
    if (when == (std::chrono::time_point<Clock, Duration>::max)()) return time_point::max();
    if constexpr (std::is_same_v<Clock, std::chrono::steady_clock>) {
        const seconds since_epoch(when.time_since_epoch());
        if (since_epoch.count() >= 9.2e9) return time_point::max();
        if (!(since_epoch.count() > -9.2e9)) return time_point::min();
        return time_point(std::chrono::ceil<time_point::duration>(when.time_since_epoch()));
    } else {
        const auto start = Clock::now();
        const seconds ahead = seconds(when.time_since_epoch()) - seconds(start.time_since_epoch());
        if (ahead.count() >= 3.2e9) return time_point::max();
        if (!(ahead.count() > -1)) return now();
        return deadline_after(when - start);
    }
}

/// Ends the process with a sentence on standard error that says which rule a program broke, and what to do.
[[noreturn]] WEFT_API void program_error(const char* sentence, const void* object = nullptr) noexcept;

/// The identity of the caller for ownership: its fiber, or its thread where no loop runs. Never null.
WEFT_API const void* self_identity() noexcept;

}  // namespace weft::detail
