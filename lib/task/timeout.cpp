#include <weft/timeout.hpp>

#include "kernel/scheduler.hpp"

namespace weft {

timeout_scope::timeout_scope(std::chrono::steady_clock::time_point when, const char* what, detail::source_place where)
    : request_(what, where) {
    fire = [](kernel::timer& t) noexcept {
        auto& self = static_cast<timeout_scope&>(t);
        self.expired_ = true;
        self.request_.raise();
    };
    arm(when);
}

timeout_scope::~timeout_scope() {
    if (armed()) kernel::scheduler::current()->timers().remove(*this);
}

void timeout_scope::arm(std::chrono::steady_clock::time_point when) noexcept {
    kernel::timer::when = when;
    if (when == detail::time_point::max()) return;
    if (when <= detail::now()) fire(*this);
    else kernel::scheduler::current()->timers().add(*this);
}

void timeout_scope::reschedule(std::chrono::steady_clock::time_point when) {
    if (expired_) throw invalid_state("timeout_scope::reschedule: the deadline has passed and the body is being cancelled");
    kernel::scheduler::current()->timers().remove(*this);
    arm(when);
}

}  // namespace weft
