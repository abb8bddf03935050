#include <weft/cancel_scope.hpp>

#include "kernel/scheduler.hpp"
#include "task/loop_state.hpp"

namespace weft {

namespace detail {

/// What a scope and those who may cancel it share; outlives both. All under the gate, but for `running`, which is of the
/// loop's thread.
struct scope_state {
    enum class phase { fresh, running, ended };

    explicit scope_state(cancel_scope_options o, source_place p) : options(std::move(o)), where(p) {}

    /// Under the gate; if nothing has been asked yet.
    void pass_deadline() noexcept {
        asked = by_deadline = true;
        const auto grace = std::max(options.grace, std::chrono::nanoseconds::zero());
        cancel_at = options.deadline > time_point::max() - grace ? time_point::max() : options.deadline + grace;
    }

    mutable gate gate_;
    cancel_scope_options options;
    const source_place where;
    phase at = phase::fresh;
    bool asked = false;
    bool by_deadline = false;
    bool caught = false;
    unsigned cancels = 0;                       // calls of cancel() without grace
    time_point cancel_at = time_point::max();   // once asked
    std::string reason;
    source_place cancelled_at;                  // the cancel() that gave the reason
    std::uint64_t loop = 0;                     // the serial number of the loop it runs on
    running_scope* running = nullptr;

    /// Has apply() called, from wherever this is. Not under the gate.
    static void apply(const std::shared_ptr<scope_state>& state, std::uint64_t loop) {
        const auto now = [state] {
            if (state->running) state->running->apply();
        };
        if (loop_state* here = loop_state::current(); here && here->serial == loop) now();
        else loop_state::if_open(loop, [&](loop_state& s) { s.post(now); });
    }
};

running_scope::running_scope(std::shared_ptr<scope_state> state)
    : request_scope("cancel_scope::run", state->where, state->options.shield), state_(std::move(state)) {
    {
        gate_lock lock(state_->gate_);
        if (state_->at != scope_state::phase::fresh) {
            lock.leave();
            throw invalid_state("cancel_scope::run: a scope runs one body, once; make another scope");
        }
        state_->at = scope_state::phase::running;
        state_->loop = loop_state::current()->serial;
    }
    state_->running = this;
    fire = [](kernel::timer& t) noexcept { static_cast<running_scope&>(t).apply(); };
    apply();
}

running_scope::~running_scope() {
    state_->running = nullptr;
    if (armed()) kernel::scheduler::current()->timers().remove(*this);
    gate_lock lock(state_->gate_);
    state_->at = scope_state::phase::ended;
}

void running_scope::apply() noexcept {
    const time_point now = detail::now();
    time_point next;
    unsigned cancels = 0;
    bool asked = false;
    {
        gate_lock lock(state_->gate_);
        if (!state_->asked && state_->options.deadline <= now) state_->pass_deadline();
        asked = state_->asked;
        next = asked ? state_->cancel_at : state_->options.deadline;
        cancels = state_->cancels;
    }
    if (armed()) kernel::scheduler::current()->timers().remove(*this);
    if (asked) ask();
    if (asked && next <= now) {
        if (!raised()) raise();
        else if (cancels != cancels_seen_) raise_again();
        cancels_seen_ = cancels;
    } else if (next != time_point::max()) {
        when = next;
        kernel::scheduler::current()->timers().add(*this);
    }
}

bool running_scope::take(const cancelled& c) noexcept {
    const bool own = (raised() && withdraw()) || (asked() && c.idle());
    gate_lock lock(state_->gate_);
    return state_->caught = own;
}

std::string running_scope::origin() const {
    std::string name, reason;
    bool by_deadline = false;
    source_place cancelled_at;
    {
        gate_lock lock(state_->gate_);
        name = state_->options.name;
        reason = state_->reason;
        by_deadline = state_->by_deadline;
        cancelled_at = state_->cancelled_at;
    }
    const std::string scope = (name.empty() ? "a scope" : "scope " + name) + ", " + state_->where.text();
    if (by_deadline) return "deadline of " + scope;
    return scope + ", cancelled at " + cancelled_at.text() + (reason.empty() ? "" : ": " + reason);
}

bool cancel(const std::shared_ptr<scope_state>& scope, time_point when, std::string reason, source_place where) {
    const bool at_once = when <= now();
    bool running = false;
    std::uint64_t loop = 0;
    {
        gate_lock lock(scope->gate_);
        if (scope->at == scope_state::phase::ended) return false;
        if (at_once || !scope->asked || when < scope->cancel_at) {   // says something new
            scope->reason.swap(reason);
            scope->cancelled_at = where;
            scope->by_deadline = false;
        }
        scope->cancel_at = scope->asked ? std::min(scope->cancel_at, when) : when;
        scope->asked = true;
        if (at_once) ++scope->cancels;
        running = scope->at == scope_state::phase::running;
        loop = scope->loop;
    }
    if (running) scope_state::apply(scope, loop);
    return true;
}

}  // namespace detail

using detail::gate_lock;
using detail::scope_state;

cancel_scope::cancel_scope(cancel_scope_options options, detail::source_place where) {
    if (options.grace < std::chrono::nanoseconds::zero())
        throw std::invalid_argument("cancel_scope_options::grace must not be negative");
    state_ = std::make_shared<scope_state>(std::move(options), where);
}

bool cancel_scope::cancel_requested() const noexcept {
    gate_lock lock(state_->gate_);
    return state_->asked;
}

bool cancel_scope::cancelled_caught() const noexcept {
    gate_lock lock(state_->gate_);
    return state_->caught;
}

std::string cancel_scope::reason() const {
    gate_lock lock(state_->gate_);
    return state_->reason;
}

cancel_scope::time_point cancel_scope::deadline() const noexcept {
    gate_lock lock(state_->gate_);
    return state_->options.deadline;
}

bool cancel_scope::reschedule(time_point deadline) {
    bool running = false;
    std::uint64_t loop = 0;
    {
        gate_lock lock(state_->gate_);
        if (state_->asked || state_->at == scope_state::phase::ended) return false;
        state_->options.deadline = deadline;
        running = state_->at == scope_state::phase::running;
        loop = state_->loop;
    }
    if (running) scope_state::apply(state_, loop);
    return true;
}

}  // namespace weft
