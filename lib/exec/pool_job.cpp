#include <weft/detail/pool_job.hpp>

#include <weft/detail/cancellation.hpp>
#include <weft/error.hpp>

#include "exec/thread_pool.hpp"

namespace weft::detail {

void job_end::signal() noexcept {
    gate_lock lock(gate_);
    ended_ = true;
    waiter* w = waiters_.claim_front(lock);
    lock.leave();
    if (w) waiter::wake(*w);
}

void job_end::wait_on(waiter& cancelled) noexcept {
    gate_lock lock(gate_);
    if (cancelled.linked()) waiters_.remove(cancelled);
    if (ended_) return;
    waiter again(cancelled.what(), cancelled.object());
    waiters_.push_back(again);
    lock.leave();
    park_uncancellable(again);
}

void awaited_job::wait_in(const std::shared_ptr<thread_pool_state>& pool, const char* what, std::shared_ptr<awaited_job> self,
                          std::stop_source* stop) {
    check_cancelled();
    waiter waiting(what, pool.get());
    end_.expect(waiting);
    const bool may_be_abandoned = self != nullptr;
    self_ = std::move(self);
    values_ = context::copy_of_current();
    try {
        pool->enqueue(*this);
    } catch (...) {
        self_ = nullptr;
        throw;
    }
    if (park(waiting) == wait_outcome::woken) return;
    if (!waiting.was_woken()) {
        if (pool->withdraw(*this)) {
            self_ = nullptr;   // not the last: the caller has one, too
        } else {
            if (may_be_abandoned) end_.leave(waiting);
            // The callbacks of the token run here. They may block, but not throw, and so not be cancelled once more; a job on
            // this stack cannot end the wait before it ends.
            if (stop) {
                const cancellation_hold hold;
                stop->request_stop();
            }
            if (!may_be_abandoned) end_.wait_on(waiting);
        }
    }
    throw_cancelled();
}

void awaited_job::run() noexcept {
    const std::shared_ptr<awaited_job> self = std::move(self_);
    try {
        const context_scope in_context(values_);
        invoke();
    } catch (...) {
        error_ = std::current_exception();
    }
    if (self) discard();   // nobody may be there to do it
    end_.signal();
}

void awaited_job::drop() noexcept {
    const std::shared_ptr<awaited_job> self = std::move(self_);
    error_ = std::make_exception_ptr(cancelled("the pool was shut down before the job began"));
    if (self) discard();
    end_.signal();
}

}  // namespace weft::detail
