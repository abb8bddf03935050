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
    wait_until(call, detail::time_point::max());
    return cached_ ? cached_ : question_->result;
}

bool inquiry::wait_until(const char* call, detail::time_point deadline) {
    if (ended())
        return true;
    question& q = *question_;
    detail::gate_lock lock(q.gate);
    detail::waiter self(call, &q);
    q.waiters.push_back(self);
    lock.leave();
    const detail::wait_outcome outcome = detail::park(self, deadline);
    if (outcome == detail::wait_outcome::woken)
        return true;
    if (!self.was_woken())
        q.waiters.withdraw(self, q.gate);
    return detail::woken_or_throw(outcome);
}

}  // namespace weft::dns_layer
