#pragma once

/// The run queue: everything that is ready on one loop, first in, first out, linked through the things themselves.

#include <weft/detail/job.hpp>

namespace weft::kernel {

class run_queue {
public:
    bool empty() const noexcept { return first_ == nullptr; }
    runnable* front() const noexcept { return first_; }

    void push_back(runnable& r) noexcept {
        r.next = nullptr;
        *end_ = &r;
        end_ = &r.next;
    }
    void push_front(runnable& r) noexcept {
        r.next = first_;
        if (!first_) end_ = &r.next;
        first_ = &r;
    }
    runnable& pop_front() noexcept {
        runnable& r = *first_;
        first_ = r.next;
        if (!first_) end_ = &first_;
        return r;
    }

    /// The entry with this number, counted from the front, becomes the first one.
    void bring_forward(std::size_t number) noexcept {
        if (number == 0) return;
        runnable* before = first_;
        while (--number > 0) before = before->next;
        runnable& r = *before->next;
        before->next = r.next;
        if (!r.next) end_ = &before->next;
        push_front(r);
    }

private:
    runnable* first_ = nullptr;
    runnable** end_ = &first_;
};

}  // namespace weft::kernel
