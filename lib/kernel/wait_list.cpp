#include <weft/detail/waiter.hpp>

#include <sched.h>

namespace weft::detail {

void wait_list::push_front(waiter& w) noexcept {
    w.previous = nullptr;
    w.next = first_;
    if (first_) first_->previous = &w;
    else last_ = &w;
    first_ = &w;
    w.linked_.store(waiter::in_list, std::memory_order_relaxed);
}

waiter* wait_list::first_armed() noexcept {
    for (waiter* w = first_; w;) {
        if (w->state_.load(std::memory_order_acquire) == waiter::armed) return w;
        waiter* behind = next(*w);
        drop(*w);
        w = behind;
    }
    return nullptr;
}

std::size_t wait_list::count_armed() const noexcept {
    std::size_t count = 0;
    for (const waiter* w = first_; w; w = next(*w))
        count += w->state_.load(std::memory_order_acquire) == waiter::armed;
    return count;
}

waiter* wait_list::claim_behind(const gate_lock& lock) noexcept {
    while (waiter* w = first_armed()) {
        if (!w->claim(lock)) continue;   // decided on its own loop just now
        remove(*w);
        return w;
    }
    return nullptr;
}

bool wait_list::drop(waiter& w) noexcept {
    std::uint8_t expected = waiter::in_list;
    if (!w.linked_.compare_exchange_strong(expected, waiter::dropped, std::memory_order_acq_rel, std::memory_order_relaxed))
        return false;
    remove(w);
    return true;
}

bool wait_list::begin_to_leave(waiter& w) noexcept {
    std::uint8_t expected = waiter::in_list;
    if (w.linked_.compare_exchange_strong(expected, waiter::leaving, std::memory_order_acq_rel, std::memory_order_acquire))
        return true;
    while (w.linked_.load(std::memory_order_acquire) != waiter::free) ::sched_yield();   // whoever drops it is at it
    return false;
}

void wait_list::withdraw(waiter& w, gate& g) noexcept {
    if (!begin_to_leave(w)) return;
    const gate_lock lock(g);
    remove(w);
}

bool wait_list::somebody_leaves() const noexcept {
    for (const waiter* w = first_; w; w = next(*w))
        if (w->linked_.load(std::memory_order_relaxed) == waiter::leaving) return true;
    return false;
}

void wake_batch::claim_all(wait_list& list, const gate_lock& lock, void* mark) noexcept {
    while (waiter* w = list.claim_front(lock)) {
        if (mark) w->slot = mark;
        add(*w);
    }
    if (!list.empty()) [[unlikely]] let_leave(list, lock);
}

void wake_batch::let_leave(wait_list& list, const gate_lock& lock) noexcept {
    lists_left_[left_++] = &list;
    gate_ = &lock.where();
}

void wake_batch::wake_them() noexcept {
    // They are between two instructions, on other threads; who is woken first might destroy what they still need.
    while (left_ > 0) {
        bool leaving;
        {
            const gate_lock lock(*gate_);
            leaving = lists_left_[left_ - 1]->somebody_leaves();
        }
        if (leaving) ::sched_yield();
        else --left_;
    }
    while (first_) {
        waiter* w = first_;
        first_ = wait_list::next(*w);   // before the wake: w may be gone after it
        waiter::wake(*w);
    }
    last_ = nullptr;
}

}  // namespace weft::detail
