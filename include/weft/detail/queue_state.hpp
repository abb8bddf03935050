#pragma once

/// queue_state: what a queue is whatever its items are. The rules are told in weft/queue.hpp.

#include <cstddef>
#include <cstdint>

#include <weft/detail/config.hpp>
#include <weft/detail/gate.hpp>
#include <weft/detail/waiter.hpp>

namespace weft::detail {

/// What a waiter's slot leads to. Written by the waker, under the gate, before it wakes.
struct queue_wait {
    std::uint64_t ticket = 0;  // of the item that was handed over; of the put that was promised room
    bool shut_down = false;    // woken by shutdown: the queue is not touched again
};

/// What a queue is whatever its items are: counters, waiters, shutdown, task_done and join.
class WEFT_API queue_state {
public:
    queue_state(const queue_state&) = delete;
    queue_state& operator=(const queue_state&) = delete;

    /// How many items there are, without those that a waiting getter has been handed. Any thread.
    std::size_t size() const noexcept;
    bool empty() const noexcept { return size() == 0; }
    /// True if put would wait: no room that is not promised to a waiting put. Any thread.
    bool full() const noexcept;
    /// As given; zero or less: unlimited.
    std::ptrdiff_t maxsize() const noexcept { return maxsize_; }

    /// Says that the work on one item that was got is done. At as many as there were puts, whoever is in
    /// join() goes on.
    ///
    /// Errors: std::logic_error if called more often than items were put. Any thread.
    void task_done();

    /// Waits until every item that was put has been got and task_done.
    ///
    /// Suspends:      only while there are such items.
    /// Cancellation:  while suspended; the queue is not touched.
    /// Errors:        no_running_task in a loop callback that would have to wait.
    /// Thread-safety: any thread; a plain thread blocks.
    void join();

protected:
    explicit queue_state(std::ptrdiff_t maxsize) noexcept : maxsize_(maxsize) {}
    ~queue_state();

    // Under the gate.
    bool room() const noexcept {
        return maxsize_ <= 0 || stored_ + promised_ < static_cast<std::size_t>(maxsize_);
    }
    /// Throws queue_shutdown once shut down.
    void require_open() const;
    /// Waits as the last putter. True: room was promised and is given, the gate is entered again. False: the
    /// deadline came. Throws cancelled, queue_shutdown.
    bool wait_for_room(gate_lock& lock, const char* what, time_point deadline, std::uint64_t& ticket);
    /// If there is room, promises it to the first putter, and returns that to be woken; else null.
    waiter* promise_room(const gate_lock& lock) noexcept;
    /// Parks a getter, whose waiter is linked. Not under the gate.
    wait_outcome wait_for_item(waiter& getter, time_point deadline) noexcept;
    /// Wakes all getters and putters with the news, and those in join() if nothing is left to be done.
    void close(const gate_lock& lock, wake_batch& batch) noexcept;
    /// n items will never be task_done.
    void forget(std::size_t n, const gate_lock& lock, wake_batch& batch) noexcept;

    static void wake(waiter* w) noexcept {
        if (w)
            waiter::wake(*w);
    }
    [[noreturn]] static void throw_empty();
    [[noreturn]] static void throw_full();
    [[noreturn]] static void throw_shutdown();

    mutable gate gate_;
    bool shut_down_ = false;
    bool emptied_ = false;  // by shutdown(immediate): what is given back is dropped
    const std::ptrdiff_t maxsize_;
    std::size_t stored_ = 0;      // items in the queue; may exceed maxsize_ by what was given back
    std::size_t promised_ = 0;    // putters that were woken and have not run yet
    std::size_t unfinished_ = 0;  // items put and not task_done
    std::uint64_t next_ticket_ = 0;
    wait_list getters_;  // none can be woken while stored_ > 0
    wait_list putters_;  // none can be woken while room()
    wait_list joiners_;  // none can be woken while unfinished_ is 0
};

}  // namespace weft::detail
