#include "kernel/timer_queue.hpp"

namespace weft::kernel {

timer* timer_queue::meld(timer* a, timer* b) noexcept {
    if (!a) return b;
    if (!b) return a;
    if (b->when < a->when || (b->when == a->when && b->sequence_ < a->sequence_)) {
        timer* swap = a;
        a = b;
        b = swap;
    }
    b->previous_ = a;
    b->sibling_ = a->child_;
    if (a->child_) a->child_->previous_ = b;
    a->child_ = b;
    return a;
}

/// Melds siblings two by two from the left, then the results from the right: the two-pass rule that makes taking the
/// earliest logarithmic. Without recursion: a million siblings are usual.
timer* timer_queue::merge_pairs(timer* first) noexcept {
    timer* pairs = nullptr;   // linked through sibling_, last pair first
    while (first) {
        timer* a = first;
        timer* b = a->sibling_;
        first = b ? b->sibling_ : nullptr;
        a->sibling_ = nullptr;
        if (b) b->sibling_ = nullptr;
        timer* pair = meld(a, b);
        pair->sibling_ = pairs;
        pairs = pair;
    }
    timer* root = nullptr;
    while (pairs) {
        timer* next = pairs->sibling_;
        pairs->sibling_ = nullptr;
        root = meld(root, pairs);
        pairs = next;
    }
    if (root) root->previous_ = nullptr;
    return root;
}

void timer_queue::add(timer& t) noexcept {
    t.sequence_ = next_sequence_++;
    t.child_ = t.sibling_ = t.previous_ = nullptr;
    t.queued_ = true;
    root_ = meld(root_, &t);
}

void timer_queue::remove(timer& t) noexcept {
    if (!t.queued_) return;
    t.queued_ = false;
    if (&t == root_) {
        root_ = merge_pairs(t.child_);
        return;
    }
    if (t.previous_->child_ == &t) t.previous_->child_ = t.sibling_;
    else t.previous_->sibling_ = t.sibling_;
    if (t.sibling_) t.sibling_->previous_ = t.previous_;
    t.sibling_ = t.previous_ = nullptr;
    if (t.child_) root_ = meld(root_, merge_pairs(t.child_));
}

timer* timer_queue::take_due(time_point now) noexcept {
    if (!root_ || root_->when > now) return nullptr;
    timer* earliest = root_;
    remove(*earliest);
    return earliest;
}

}  // namespace weft::kernel
