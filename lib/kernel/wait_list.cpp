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

waiter* wait_list::claim_behind(bool biased) noexcept {
    while (waiter* w = first_armed()) {
        if (!w->claim(biased)) continue;   // decided on its own loop just now
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

void wait_list::have_left(waiter& w) noexcept {
    if (w.linked_.load(std::memory_order_relaxed) != waiter::awaited) return;   // decided under the gate
    static_cast<wake_batch*>(w.slot)->leaving_.fetch_sub(1, std::memory_order_release);
}

bool wait_list::withdraw(waiter& w, gate& g) noexcept {
    return withdraw(w, g, [](const gate_lock&) {});
}

void wake_batch::claim_all(wait_list& list, const gate_lock& lock, void* mark) noexcept {
    while (waiter* w = list.claim_front(lock)) {
        if (mark) w->slot = mark;
        add(*w);
    }
    if (!list.empty()) [[unlikely]] let_leave(list, lock);
}

void wake_batch::let_leave(wait_list& list, const gate_lock&) noexcept {
    std::uint32_t added = 0;
    std::uint32_t taken_over = 0;
    wake_batch* relieved = nullptr;   // whoever awaits owners in a list awaits all of them that leave: there is one
    for (waiter* w = list.front(); w; w = wait_list::next(*w)) {
        const auto linked = w->linked_.load(std::memory_order_relaxed);
        if (linked == waiter::awaited) {
            relieved = static_cast<wake_batch*>(w->slot);
            ++taken_over;
        } else if (linked != waiter::leaving) {
            continue;
        }
        w->slot = this;
        w->linked_.store(waiter::awaited, std::memory_order_relaxed);
        ++added;
    }
    if (added == 0) return;
    awaits_ = true;
    leaving_.fetch_add(added, std::memory_order_relaxed);
    if (!relieved) return;
    relieved_[relieved_count_++] = relieved;
    relieved->leaving_.fetch_sub(taken_over - 1, std::memory_order_relaxed);   // and waits for this one instead
}

void wake_batch::let_them_leave() noexcept {
    // They are between two instructions, on other threads; who is woken first might destroy what they still need.
    while (leaving_.load(std::memory_order_acquire) > 0) ::sched_yield();
    while (relieved_count_ > 0) relieved_[--relieved_count_]->leaving_.fetch_sub(1, std::memory_order_release);
    awaits_ = false;
}

}  // namespace weft::detail
