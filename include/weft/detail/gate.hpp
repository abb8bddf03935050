#pragma once

/// gate: the lock inside every thread-safe object of weft, biased to the thread that uses the object first.
///
/// Nearly every mutex, queue or task is used by one loop only, yet must be safe to share. So the first thread that
/// enters becomes the gate's home and enters and leaves with plain stores from then on: no atomic read-modify-write.
/// The first other thread revokes the bias once, for good, and from then on the gate is a spinlock.
///
/// Invariants
///  - While home_ is a thread's id, only that thread is inside, marked by busy_ == 1; nobody else enters without having
///    revoked the bias.
///  - Revocation: (1) take lock_, (2) home_ = shared, (3) membarrier: every thread has now either made busy_ = 1
///    visible or will see home_ == shared, (4) wait until busy_ == 0. Home's side is the mirror image: busy_ = 1, then
///    look at home_ again. The membarrier takes the place of the fence that the home thread does not pay for.
///  - A guest enters a gate that has no home by lock_, and leaves it without one.
///  - A section is short, never suspends, never throws and never runs user code, except the move of a queue's item.
///
/// Where membarrier is missing or refused, and under ThreadSanitizer (which does not know it), every gate is shared from the start.
/// Rejected: std::mutex (two read-modify-writes per section, and 40 bytes), sequence locks (sections write).

#include <atomic>
#include <cstdint>

#include <weft/detail/config.hpp>
#include <weft/detail/thread_state.hpp>

namespace weft::detail {

class gate {
public:
    constexpr gate() noexcept = default;
    gate(const gate&) = delete;
    gate& operator=(const gate&) = delete;

    /// A gate that is biased to the thread that makes it, from the start.
    struct own_t {};
    explicit gate(own_t) noexcept : home_(kernel::this_thread().gate_home) {}

    /// Enters; spins, then yields the processor, while another thread is inside. Returns the way it entered, for leave().
    bool enter() noexcept {
        const std::uint32_t self = kernel::this_thread().id;
        if (home_.load(std::memory_order_relaxed) == self) [[likely]] {
            busy_.store(1, std::memory_order_relaxed);
            std::atomic_signal_fence(std::memory_order_seq_cst);   // the processor's fence is the revoker's membarrier
            if (home_.load(std::memory_order_relaxed) == self) [[likely]] return true;
            busy_.store(0, std::memory_order_release);
        }
        return enter_slow(self);
    }
    /// The same, for who will hardly enter again: does not become the gate's home.
    WEFT_API bool enter_as_guest() noexcept;
    void leave(bool biased) noexcept { (biased ? busy_ : lock_).store(0, std::memory_order_release); }
    /// Returns when nobody is inside: for who knows that nobody will enter any more, and wants to free it.
    void await_last() const noexcept {
        if (busy_.load(std::memory_order_acquire) != 0 || lock_.load(std::memory_order_acquire) != 0) [[unlikely]] await_slow();
    }

    /// Whether gates may be biased in this process.
    static bool bias_possible() noexcept;

private:
    friend class gate_lock;
    WEFT_API bool enter_slow(std::uint32_t self, bool guest = false) noexcept;
    WEFT_API void await_slow() const noexcept;

    static constexpr std::uint32_t shared = UINT32_MAX;       // revoked
    static constexpr std::uint32_t nobody = UINT32_MAX - 1;   // not 0: that is every thread that has no id yet

    std::atomic<std::uint32_t> home_{nobody};   // nobody, shared, or the id of the home thread
    std::atomic<std::uint8_t> busy_{0};    // 1: the home thread is inside; written by the home thread only
    std::atomic<std::uint8_t> lock_{0};    // 1: some thread is inside a shared gate, or is revoking
};

/// Scoped section; may be left and entered again.
class gate_lock {
public:
    explicit gate_lock(gate& g) noexcept : gate_(g), biased_(g.enter()) {}
    /// Takes over a section that was entered already, as gate::enter() said.
    gate_lock(gate& g, bool biased) noexcept : gate_(g), biased_(biased) {}
    ~gate_lock() {
        if (inside_) gate_.leave(biased_);
    }
    gate_lock(const gate_lock&) = delete;
    gate_lock& operator=(const gate_lock&) = delete;

    void leave() noexcept {
        inside_ = false;
        gate_.leave(biased_);
    }
    void enter() noexcept {
        biased_ = gate_.enter();
        inside_ = true;
    }

    /// True if no other thread has ever entered: then nobody but this thread can be waking this object's waiters.
    bool biased() const noexcept { return biased_; }
    gate& where() const noexcept { return gate_; }

private:
    gate& gate_;
    bool biased_;
    bool inside_ = true;
};

}  // namespace weft::detail
