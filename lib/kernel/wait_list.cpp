#include <weft/detail/waiter.hpp>

namespace weft::detail {

void wait_list::push_back(waiter& w) noexcept {
    w.previous_ = last_;
    w.next_ = nullptr;
    (last_ ? last_->next_ : first_) = &w;
    last_ = &w;
    w.linked_.store(true, std::memory_order_relaxed);
}

void wait_list::push_front(waiter& w) noexcept {
    w.previous_ = nullptr;
    w.next_ = first_;
    (first_ ? first_->previous_ : last_) = &w;
    first_ = &w;
    w.linked_.store(true, std::memory_order_relaxed);
}

void wait_list::remove(waiter& w) noexcept {
    (w.previous_ ? w.previous_->next_ : first_) = w.next_;
    (w.next_ ? w.next_->previous_ : last_) = w.previous_;
    w.linked_.store(false, std::memory_order_release);   // last: a loser that sees it may leave
}

bool wait_list::has_armed() noexcept {
    while (first_ && first_->state_.load(std::memory_order_acquire) != waiter::armed) remove(*first_);
    return first_ != nullptr;
}

waiter* wait_list::claim_front(const gate_lock& lock) noexcept {
    while (waiter* w = first_) {
        const bool claimed = w->claim(lock);
        remove(*w);
        if (claimed) return w;
    }
    return nullptr;
}

void wait_list::withdraw(waiter& w, gate& g) noexcept {
    // Not linked: a waker dropped it, and the object may be gone.
    if (!w.linked()) return;
    gate_lock lock(g);
    if (w.linked()) remove(w);
}

void wake_batch::claim_all(wait_list& list, const gate_lock& lock) noexcept {
    while (waiter* w = list.claim_front(lock)) add(*w);
}

void wake_batch::add(waiter& claimed) noexcept {
    claimed.next_ = nullptr;
    (last_ ? last_->next_ : first_) = &claimed;
    last_ = &claimed;
}

void wake_batch::wake_all() noexcept {
    while (first_) {
        waiter* w = first_;
        first_ = w->next_;   // before the wake: w may be gone after it
        waiter::wake(*w);
    }
    last_ = nullptr;
}

}  // namespace weft::detail
