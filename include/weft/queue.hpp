#pragma once

/// queue, lifo_queue, priority_queue: items from any task, loop or plain thread to any other (asyncio.Queue
/// and its kin).
///
/// Invariants
///  - A getter waits only while nothing is stored, a putter only while no room is left: whoever changes that
///    hands what there is to the first waiter before that runs, so nobody can overtake, get_nowait and
///    put_nowait included.
///  - A getter is handed the item itself, a putter only the promise of room: so a put that is cancelled
///    before its task has run again still has its item, and a get gives its item back to where it was, by the
///    item's ticket.
///  - Tickets say in which order puts came to their turn; items are kept in that order.
///  - Items are moved under the gate, and compared there by a priority_queue; they are destroyed outside of
///    it.
///
/// Rejected: to take a waiting putter's item at once (one switch less, but then a cancelled put cannot be
/// undone); to leave an item in the queue until the getter runs (get_nowait could take another's item, and a
/// woken getter must touch the queue).

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <optional>
#include <type_traits>
#include <utility>

#include <weft/detail/gate.hpp>
#include <weft/detail/queue_items.hpp>
#include <weft/detail/queue_state.hpp>
#include <weft/detail/waiter.hpp>
#include <weft/error.hpp>

namespace weft {

namespace detail {

/// The members of the three queues.
template <class T, class Items> class basic_queue : public queue_state {
    static_assert(std::is_object_v<T> && std::is_move_constructible_v<T>,
                  "a queue's items must be objects that move");

public:
    using value_type = T;
    class iterator;

    /// Adds an item, waiting while the queue is full.
    ///
    /// Suspends:      only while full().
    /// Cancellation:  while suspended; then the item has not been added and is untouched, and the next waiter
    ///                has lost nothing.
    /// Errors:        queue_shutdown once the queue is shut down, also while waiting; std::bad_alloc;
    ///                no_running_task in a loop callback that would have to wait. The item is untouched then.
    /// Thread-safety: any thread; a plain thread blocks.
    void put(T&& item) { store("queue::put", item, time_point::max()); }
    void put(const T& item) requires std::copy_constructible<T> { put(T(item)); }
    /// The same with an item made of the arguments.
    template <class... A>
    requires std::constructible_from<T, A...>
    void emplace(A&&... arguments) { put(T(std::forward<A>(arguments)...)); }

    /// As put, but no longer than `time`: false if no room came, and the item is untouched.
    ///
    /// Suspends:      only while full(); then once even if the time is up.
    /// Cancellation:  while suspended; then the item has not been added and is untouched, and the next waiter
    ///                has lost nothing.
    /// Errors:        as put.
    /// Thread-safety: any thread; a plain thread blocks.
    template <class Rep, class Period>
    [[nodiscard]] bool try_put_for(T&& item, const std::chrono::duration<Rep, Period>& time) {
        return store("queue::try_put_for", item, deadline_after(time));
    }
    template <class Rep, class Period>
    requires std::copy_constructible<T>
    [[nodiscard]] bool try_put_for(const T& item, const std::chrono::duration<Rep, Period>& time) {
        return try_put_for(T(item), time);
    }
    /// The same, until a point in time of any clock.
    template <class Clock, class Duration>
    [[nodiscard]] bool try_put_until(T&& item, const std::chrono::time_point<Clock, Duration>& when) {
        return store("queue::try_put_until", item, deadline_at(when));
    }
    template <class Clock, class Duration>
    requires std::copy_constructible<T>
    [[nodiscard]] bool try_put_until(const T& item, const std::chrono::time_point<Clock, Duration>& when) {
        return try_put_until(T(item), when);
    }

    /// Adds an item at once. Never suspends. Any thread.
    ///
    /// Errors: queue_full if full(); queue_shutdown; std::bad_alloc. The item is untouched then.
    void put_nowait(T&& item) {
        gate_lock lock(gate_);
        require_open();
        if (!room())
            throw_full();
        add(lock, item, next_ticket_++);
    }
    void put_nowait(const T& item) requires std::copy_constructible<T> { put_nowait(T(item)); }

    /// Removes and returns the next item, waiting while the queue is empty.
    ///
    /// Suspends:      only while empty().
    /// Cancellation:  while suspended; then no item has been taken and the next waiter has lost nothing.
    /// Errors:        queue_shutdown once the queue is shut down and drained; no_running_task in a loop
    ///                callback that would have to wait.
    /// Thread-safety: any thread; a plain thread blocks.
    T get() {
        bool drained = false;
        std::optional<T> item = take("queue::get", time_point::max(), drained);
        if (!item)
            throw_shutdown();
        return *std::move(item);
    }

    /// As get, but no longer than `time`: nothing if no item came.
    ///
    /// Suspends:      only while empty(); then once even if the time is up.
    /// Cancellation:  while suspended; then no item has been taken and the next waiter has lost nothing.
    /// Errors:        as get.
    /// Thread-safety: any thread; a plain thread blocks.
    template <class Rep, class Period>
    [[nodiscard]] std::optional<T> try_get_for(const std::chrono::duration<Rep, Period>& time) {
        return try_get_until(deadline_after(time));
    }
    /// The same, until a point in time of any clock.
    template <class Clock, class Duration>
    [[nodiscard]] std::optional<T> try_get_until(const std::chrono::time_point<Clock, Duration>& when) {
        bool drained = false;
        std::optional<T> item = take("queue::try_get_until", deadline_at(when), drained);
        if (drained)
            throw_shutdown();
        return item;
    }

    /// Removes and returns the next item at once. Never suspends. Any thread.
    ///
    /// Errors: queue_empty if empty(); queue_shutdown once the queue is shut down and drained.
    T get_nowait() {
        gate_lock lock(gate_);
        if (stored_ == 0)
            shut_down_ ? throw_shutdown() : throw_empty();
        return *pop(lock);
    }

    /// From now on puts throw queue_shutdown, also those that wait; gets go on until the queue is empty, and
    /// then do the same.
    /// \param immediate  drops all items, and counts them as done: gets throw at once
    /// (asyncio.Queue.shutdown). Any thread.
    void shutdown(bool immediate = false) {
        typename Items::storage dropped;  // destroyed last, outside of the gate
        wake_batch batch;
        gate_lock lock(gate_);
        if (immediate) {
            dropped = items_.release();
            stored_ = 0;
            emptied_ = true;
            forget(dropped.size(), lock, batch);
        }
        close(lock, batch);
    }

    /// For `for (T item : queue)`: takes items as get does, until the queue is shut down and drained. An
    /// iterator holds one item, which moves to whoever takes it from *; several may take from one queue.
    /// begin() and ++ suspend as get does.
    iterator begin() { return iterator(*this); }
    auto end() noexcept {
        if constexpr (std::copy_constructible<T>)
            return iterator();
        else
            return std::default_sentinel;
    }

protected:
    template <class... A>
    explicit basic_queue(std::ptrdiff_t maxsize, A&&... arguments)
        : queue_state(maxsize), items_(std::forward<A>(arguments)...) {}
    ~basic_queue() = default;

private:
    /// What a waiting getter's slot leads to.
    struct receiver : queue_wait {
        std::optional<T> item;
    };

    /// False: the deadline came.
    bool store(const char* what, T& item, time_point deadline) {
        gate_lock lock(gate_);
        require_open();
        std::uint64_t ticket;
        if (room())
            ticket = next_ticket_++;
        else if (!wait_for_room(lock, what, deadline, ticket))
            return false;
        add(lock, item, ticket);
        return true;
    }

    /// Leaves the gate.
    void add(gate_lock& lock, T& item, std::uint64_t ticket) {
        waiter* getter;
        try {
            getter = deliver(lock, item, ticket);
        } catch (...) {
            waiter* putter = promise_room(lock);  // the room that this put had been promised
            lock.leave();
            wake(putter);
            throw;
        }
        ++unfinished_;
        waiter* putter = promise_room(lock);  // the same, if a getter has taken the item
        lock.leave();
        wake(getter);
        wake(putter);
    }

    /// Hands the item to the first getter, and returns that to be woken; or stores it.
    waiter* deliver(gate_lock& lock, T& item, std::uint64_t ticket) {
        waiter* getter = getters_.claim_front(lock);
        if (!getter) {
            items_.push(std::move(item), ticket);
            ++stored_;
            return nullptr;
        }
        receiver& r = *static_cast<receiver*>(static_cast<queue_wait*>(getter->slot));
        r.ticket = ticket;
        if constexpr (std::is_nothrow_move_constructible_v<T>) {
            r.item.emplace(std::move(item));
        } else {
            try {
                r.item.emplace(std::move(item));
            } catch (...) {  // that is this caller's failure: the getter, woken with nothing, waits on
                lock.leave();
                wake(getter);
                lock.enter();
                throw;
            }
        }
        return getter;
    }

    /// Nothing: the deadline came, or `drained`: the queue is shut down and empty.
    std::optional<T> take(const char* what, time_point deadline, bool& drained) {
        receiver r;
        gate_lock lock(gate_);
        for (bool again = false;; again = true) {
            if (stored_ > 0)
                return pop(lock);
            if (shut_down_)
                break;
            waiter self(what, this);
            self.slot = static_cast<queue_wait*>(&r);
            again ? getters_.push_front(self) : getters_.push_back(self);
            lock.leave();
            const wait_outcome outcome = wait_for_item(self, deadline);
            if (r.item && (outcome == wait_outcome::woken || !give_back(r)))
                return std::move(r.item);
            if (!woken_or_throw(outcome))
                return std::nullopt;
            if (r.shut_down)
                break;
            lock.enter();
        }
        drained = true;
        return std::nullopt;
    }

    /// Leaves the gate.
    std::optional<T> pop(gate_lock& lock) {
        std::optional<T> item = items_.pop();
        --stored_;
        waiter* putter = promise_room(lock);
        lock.leave();
        wake(putter);
        return item;
    }

    /// For a getter that was cancelled after an item had been handed to it. False if there is no memory to
    /// keep the item: then get returns it, and the cancellation stays pending.
    bool give_back(receiver& r) noexcept {
        wake_batch batch;
        gate_lock lock(gate_);
        if (emptied_) {
            forget(1, lock, batch);
            return true;
        }
        try {
            if (waiter* getter = deliver(lock, *r.item, r.ticket))
                batch.add(*getter);
        } catch (...) {
            return false;
        }
        return true;
    }

    Items items_;
};

/// Moves on by taking the next item; compares equal to end() once there is none.
template <class T, class Items> class basic_queue<T, Items>::iterator {
public:
    using iterator_concept = std::input_iterator_tag;
    using iterator_category = std::input_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using pointer = T*;
    using reference = T&&;

    iterator() noexcept = default;
    explicit iterator(basic_queue& from) : queue_(&from) { ++*this; }

    T&& operator*() const noexcept { return std::move(*item_); }
    iterator& operator++() {
        bool drained = false;
        item_.reset();
        item_ = queue_->take("queue::iterator", time_point::max(), drained);
        return *this;
    }
    void operator++(int) { ++*this; }

    friend bool operator==(const iterator& a, const iterator& b) noexcept {
        return a.item_.has_value() == b.item_.has_value();
    }
    friend bool operator==(const iterator& i, std::default_sentinel_t) noexcept { return !i.item_; }

private:
    basic_queue* queue_ = nullptr;
    mutable std::optional<T> item_;
};

}  // namespace detail

/// First in, first out (asyncio.Queue). Destroying one that somebody waits for ends the program.
template <class T> class queue : public detail::basic_queue<T, detail::oldest_first<T>> {
public:
    /// \param maxsize  how many items it holds before puts wait; zero or less: any number
    explicit queue(std::ptrdiff_t maxsize = 0) : detail::basic_queue<T, detail::oldest_first<T>>(maxsize) {}
};

/// Last in, first out (asyncio.LifoQueue).
template <class T> class lifo_queue : public detail::basic_queue<T, detail::newest_first<T>> {
public:
    explicit lifo_queue(std::ptrdiff_t maxsize = 0)
        : detail::basic_queue<T, detail::newest_first<T>>(maxsize) {}
};

/// The smallest first, equal ones in the order in which they were put (asyncio.PriorityQueue).
/// \tparam Compare  says whether its first argument is to leave before the second; must not throw, nor use
/// the queue
template <class T, class Compare = std::less<T>>
class priority_queue : public detail::basic_queue<T, detail::smallest_first<T, Compare>> {
public:
    explicit priority_queue(std::ptrdiff_t maxsize = 0, Compare before = Compare())
        : detail::basic_queue<T, detail::smallest_first<T, Compare>>(maxsize, std::move(before)) {}
};

}  // namespace weft
