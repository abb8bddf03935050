#include "dns/inquiry.hpp"

namespace weft::dns_layer {

inquiry::inquiry(const char* call, resolver_state& state, const std::string& name, record_type type)
    : cached_(state.find_cached(question_key(name, type))) {
    if (cached_)
        return;
    const detail::waiter may_wait(call);  // throws no_running_task before anything is sent
    question_ = state.channel_here(call).ask(name, type);
}

inquiry::~inquiry() {
    if (question_ && !question_->ended())
        question_->home->leave(*question_);
}

answer_ptr inquiry::wait(const char* call) {
    if (cached_)
        return cached_;
    question& q = *question_;
    detail::gate_lock lock(q.gate);
    if (q.result)
        return q.result;
    detail::waiter self(call, &q);
    q.waiters.push_back(self);
    lock.leave();
    if (detail::park(self) != detail::wait_outcome::woken) {
        if (!self.was_woken())
            q.waiters.withdraw(self, q.gate);
        detail::throw_cancelled();
    }
    return q.result;
}

}  // namespace weft::dns_layer
