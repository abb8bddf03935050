#pragma once

/// inbox: where other threads leave messages for a loop, and the doorbell that wakes it.
///
/// States of bell_: awake (the loop will look by itself before it sleeps), asleep (a message must ring) and rung (somebody has,
/// or a ring came without a message: one more turn). The loop sets
/// asleep, looks once more, then sleeps; a sender pushes, then rings if it finds asleep. Both sides are sequentially
/// consistent, so at least one sees the other: no wake-up is lost. Only one sender rings.
///
/// An inbox is never destroyed: a sender that has pushed its message may still be ringing when the loop it woke has run,
/// ended and gone. Inboxes of closed loops are used again, so a stale ring costs the next loop one empty turn.

#include <atomic>

#include <weft/detail/waiter.hpp>

namespace weft::kernel {

using detail::message;

class inbox {
public:
    /// An inbox of a closed loop, or a new one. Throws std::system_error if no eventfd can be had.
    static inbox* acquire();
    static void give_back(inbox* box) noexcept;

    /// Any thread. The receiving loop must not be closed before the message is delivered.
    void post(message& m) noexcept;
    /// Any thread, also in a signal handler: the loop makes at least one more turn.
    void ring() noexcept;

    // The rest: on the loop's thread.

    /// True if something has been posted.
    bool full() const noexcept { return head_.load(std::memory_order_relaxed) != nullptr; }
    /// The same, or the bell has been rung, awake; such a ring is the reason for one turn.
    bool called() noexcept {
        if (full()) return true;
        if (bell_.load(std::memory_order_relaxed) != rung) return false;
        wake_up();
        return true;
    }
    /// Delivers what was posted before the call, oldest first; returns whether there was anything.
    bool deliver() noexcept;
    /// Before sleeping. False if a message is there, or a ring has come, after all: do not sleep.
    bool fall_asleep() noexcept;
    void wake_up() noexcept;

    int doorbell() const noexcept { return doorbell_; }

private:
    inbox();

    enum : int { awake, asleep, rung };

    std::atomic<message*> head_{nullptr};   // newest first
    std::atomic<int> bell_{awake};
    int doorbell_;
    inbox* next_free_ = nullptr;
};

/// Whether the system may run another thread beside the calling one: if not, looking out for that thread's messages keeps it
/// from sending them. Asked of the system once.
bool several_processors() noexcept;

}  // namespace weft::kernel
