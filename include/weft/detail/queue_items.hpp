#pragma once

/// Where the queues keep their items: in the order of their tickets, or as a heap. Each has push, pop and
/// release.
///
/// An item's ticket says when its put came to its turn. Nearly always the newest ticket comes last; an item
/// that a cancelled getter gives back has an older one and goes where it was.
///
/// Rejected: a list of nodes (nothing to sort, and nothing that can throw, but an allocation for each item).

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace weft::detail {

template <class T> struct queue_item {
    T value;
    std::uint64_t ticket;

    queue_item(T&& from, std::uint64_t number) : value(std::move(from)), ticket(number) {}
    queue_item(queue_item&&) = default;
    // So that items need not be assignable to be sorted.
    queue_item& operator=(queue_item&& other) noexcept(std::is_nothrow_move_assignable_v<T> ||
                                                       !std::is_move_assignable_v<T>) {
        if constexpr (std::is_move_assignable_v<T>) {
            value = std::move(other.value);
        } else if (this != &other) {
            std::destroy_at(&value);
            std::construct_at(&value, std::move(other.value));
        }
        ticket = other.ticket;
        return *this;
    }
};

/// Items in the order of their tickets.
template <class T> class items_by_ticket {
public:
    using storage = std::deque<queue_item<T>>;

    /// If it throws, `value` is untouched, as far as T's own move allows.
    void push(T&& value, std::uint64_t ticket) {
        if (items_.empty() || items_.back().ticket < ticket) {
            items_.emplace_back(std::move(value), ticket);
            return;
        }
        // Given back, or put by one who was promised room a while ago.
        const auto newer =
            std::partition_point(items_.begin(), items_.end(), [&](auto& i) { return i.ticket < ticket; });
        const auto older_ones = newer - items_.begin();
        items_.emplace_front(std::move(value), ticket);
        std::rotate(items_.begin(), items_.begin() + 1, items_.begin() + 1 + older_ones);
    }
    storage release() {
        storage all;
        all.swap(items_);
        return all;
    }

protected:
    storage items_;
};

template <class T> class oldest_first : public items_by_ticket<T> {
public:
    std::optional<T> pop() {
        std::optional<T> item(std::move(this->items_.front().value));
        this->items_.pop_front();
        return item;
    }
};

template <class T> class newest_first : public items_by_ticket<T> {
public:
    std::optional<T> pop() {
        std::optional<T> item(std::move(this->items_.back().value));
        this->items_.pop_back();
        return item;
    }
};

/// A heap: the item that goes before all others first; of equal ones that with the lower ticket.
template <class T, class Compare> class smallest_first {
public:
    using storage = std::vector<queue_item<T>>;

    explicit smallest_first(Compare before) : before_(std::move(before)) {}

    void push(T&& value, std::uint64_t ticket) {
        items_.emplace_back(std::move(value), ticket);
        std::push_heap(items_.begin(), items_.end(), order());
    }
    std::optional<T> pop() {
        std::pop_heap(items_.begin(), items_.end(), order());
        std::optional<T> item(std::move(items_.back().value));
        items_.pop_back();
        return item;
    }
    storage release() { return std::exchange(items_, {}); }

private:
    auto order() noexcept {  // the heap's greatest is the one to leave first
        return [this](const queue_item<T>& a, const queue_item<T>& b) {
            if (before_(b.value, a.value))
                return true;
            if (before_(a.value, b.value))
                return false;
            return b.ticket < a.ticket;
        };
    }

    storage items_;
    Compare before_;
};

}  // namespace weft::detail
