#pragma once

/// descriptor: an open file as its owner has it; registration: the same file as an engine has it.
///
/// They are two objects because they die at different times: the owner closes when it likes, on any thread; the
/// registration must outlive the events that are on their way to its engine, so only that engine's thread frees it.
///
/// Invariants
///  - registration::engine_ is set until the engine dies or the registration is retired; both happen under gate_, so
///    that who finds it set under the gate may use the engine and its mailbox.
///  - reader_ and writer_ are waiters of fibers of that engine's loop, from before they park until they have run again;
///    a close takes them out and marks them, also those that were woken and have not run yet.
///  - Who runs again without the mark may use the registration (not the descriptor) once more, to leave: a close that is under
///    way on another thread marks before it has the engine's thread free the registration, and leaving tells who was first.

#include <atomic>
#include <cstdint>

#include <weft/detail/gate.hpp>
#include <weft/detail/waiter.hpp>

#include "engine/engine.hpp"

namespace weft::engine_layer {

/// In waiter::slot: the descriptor was closed while this waiter was parked.
inline char closed_mark_object;
inline void* const closed_mark = &closed_mark_object;

/// Set by another thread, perhaps at this moment, when the waiter was decided by a deadline or a cancellation.
inline bool marked_closed(detail::waiter& w) noexcept {
    return std::atomic_ref(w.slot).load(std::memory_order_acquire) == closed_mark;
}

class alignas(64) registration : private detail::message {
public:
    registration(int fd, engine& e) noexcept : file(fd), engine_(&e) {}

    /// Without the gate: e's own thread asks, which sees what it stored itself, and whatever another engine's death stores
    /// is not e.
    bool belongs_to(const engine& e) const noexcept { return engine_.load(std::memory_order_relaxed) == &e; }
    bool idle() noexcept;

    /// False: another fiber waits in that direction already.
    bool enter_waiter(direction way, detail::waiter& w) noexcept;
    /// False: a close has taken it out already.
    bool leave_waiter(direction way, detail::waiter& w) noexcept;
    /// Wakes who waits in these directions. On the engine's thread.
    void ready(bool readable, bool writable) noexcept;
    /// Wakes w, which is entered here and not marked. On the engine's thread.
    void ready(detail::waiter& w) noexcept;

    /// Ends the registration: wakes the waiters as closed, deregisters the file (still open), and has the engine's thread
    /// free this. Any thread; the caller forgets the registration. True: the engine's thread will also close the file, which
    /// only it can do safely; that happens only if the caller is `closing` it.
    bool retire(bool closing = false) noexcept;
    /// One of in_flight has left; the last one of a registration that is retired frees it. On the engine's thread.
    void operation_over() noexcept;
    bool retired() noexcept;
    /// The engine dies: the owner keeps a registration without an engine. On the engine's thread.
    void abandon() noexcept;

    // The engine's list of all its registrations.
    void enter(registration*& first) noexcept;
    void leave() noexcept;

    int file;
    /// Operations that the kernel has, or had and that have not left yet, io_uring's; on the engine's thread.
    unsigned in_flight = 0;
    /// A guess: the next receive finds data there; on the engine's thread.
    bool expects_data = true;
    /// A stream socket, as io_uring's engine finds out.
    bool stream = false;
    /// TCP before its end and without urgent data, as epoll's engine finds out: a short read has emptied it, and what comes later
    /// is an edge. (Of a Unix socket a read ends where descriptors were sent, of TCP where urgent data stood.)
    bool short_read_empties = false;

private:
    void deliver_retired() noexcept;
    void end() noexcept;
    void wake_closed(const detail::gate_lock& lock, detail::wake_batch& batch) noexcept;

    detail::gate gate_;
    std::atomic<engine*> engine_;   // set and cleared under gate_, which orders it
    detail::waiter* reader_ = nullptr;
    detail::waiter* writer_ = nullptr;
    // Up to here: what a wait touches, one line of the cache.
    bool closes_file_ = false;   // once retired
    bool detached_ = false;      // likewise
    bool kept_ = false;          // retired, for the operations in flight; on the engine's thread
    registration** list_ = nullptr;
    registration* next_ = nullptr;
    registration* previous_ = nullptr;
};

struct descriptor {
    explicit descriptor(int fd) noexcept : file(fd) {}

    /// Registers with e, leaving the engine it was registered with before. 0 or -errno; -EALREADY while somebody waits there.
    int move_to(engine& e) noexcept;

    int file;                            // -1: closed
    registration* registered = nullptr;  // null: nobody has waited yet
    const void* owner = nullptr;         // what is touched with it: a hint
};

}  // namespace weft::engine_layer
