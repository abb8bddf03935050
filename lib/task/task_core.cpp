#include <weft/detail/task_core.hpp>

#include <memory>
#include <optional>
#include <vector>

#include <weft/error.hpp>
#include <weft/task.hpp>

#include "kernel/park.hpp"
#include "kernel/scheduler.hpp"
#include "task/loop_state.hpp"
#include "task/extras.hpp"

namespace weft::detail {

void task_core::forget_extras() noexcept { delete extras_; }

task_core::extras& task_core::more() {
    if (!extras_) {
        auto made = std::make_unique<extras>();
        made->update.task = this;
        std::atomic_ref(extras_).store(made.release(), std::memory_order_relaxed);   // see nested::close()
    }
    return *extras_;
}

task_core* task_core::current() noexcept {
    kernel::scheduler* s = kernel::scheduler::current();
    return s ? static_cast<task_core*>(s->running_fiber().work) : nullptr;
}

task_core& task_core::require_current(const char* what) {
    if (task_core* t = current()) return *t;
    if (!kernel::scheduler::current()) throw no_running_loop(what);
    throw no_running_task(what);
}

void task_core::run() noexcept {
    if (cancel_deliverable()) [[unlikely]] {   // before its first turn: the function never runs
        cancelled_ = true;
        error_ = std::make_exception_ptr(take_request());
        discard();
    } else {
        try {
            invoke();
        } catch (const weft::cancelled&) {
            cancelled_ = true;
            error_ = std::current_exception();
        } catch (...) {
            error_ = std::current_exception();
        }
    }
    finish();
}

void task_core::refuse() noexcept {
    error_ = std::current_exception();
    discard();
    finish();
}

void task_core::finish() noexcept {
    loop_state& loop = *home_;
    context_.clear();   // here, on the loop's thread: the last handle may die on another one
    loop.remove(*this);

    const bool biased = gate_.enter();
    bottom_.undelivered = 0;
    if (cancel_deliverable()) [[unlikely]] set_cancel_deliverable(false);
    on = nullptr;
    done_.store(true, std::memory_order_release);
    joiner* const j = first_joiner_;
    if ((j && (j->next || j->completed)) || extras_ || !loop.deferred_stops.empty()) [[unlikely]] return finish_shared(biased);
    // What nearly every task ends with: at most one who waits.
    waiter* woken = nullptr;
    if (j) {
        first_joiner_ = last_joiner_ = nullptr;
        j->linked = false;
        if (j->waiting && j->waiting->claim(biased)) woken = j->waiting;
    }
    const bool unheld = references_.load(std::memory_order_acquire) == 0;
    gate_.leave(biased);
    // From here on this may be gone, unless nobody else can hold a reference any more.
    if (woken) waiter::wake(*woken);
    if (unheld) dispose();
}

void task_core::finish_shared(bool biased) noexcept {
    loop_state& loop = *home_;
    wake_batch batch;
    bool unheld = false;
    bool more_to_do = false;
    {
        gate_lock lock(gate_, biased);
        while (joiner* j = first_joiner_) {
            first_joiner_ = j->next;
            j->linked = false;
            if (j->completed) j->completed(*j, *this, lock, batch);
            else if (j->waiting && j->waiting->claim(lock)) batch.add(*j->waiting);
        }
        last_joiner_ = nullptr;
        unheld = references_.load(std::memory_order_acquire) == 0;
        more_to_do = extras_ || !loop.deferred_stops.empty();
        if (more_to_do) retain();
    }
    // As there; a reference of our own keeps it.
    if (more_to_do) {
        loop.stop_deferred();
        if (extras_) schedule_callbacks();
        release();
    } else if (unheld) {
        dispose();
    }
}

void task_core::schedule_callbacks() noexcept {
    std::vector<extras::callback> callbacks;
    {
        gate_lock lock(gate_);
        callbacks.swap(extras_->callbacks);
    }
    for (extras::callback& c : callbacks) {
        retain();
        context_scope as_registered(c.values);
        home_->facade.call_soon([keep = task_handle(this), f = std::move(c.f)]() mutable { f(*keep.core()); });
    }
}

void task_core::release_last() noexcept {
    if (!done()) [[unlikely]] return release_unfinished();
    gate_.await_last();   // finish() may still be in the section in which it set done_
    if (references_.load(std::memory_order_acquire) != 1) return release();   // there it took one of its own
    dispose();
}

void task_core::release_unfinished() noexcept {
    if (!home_) return dispose();
    {
        const gate_lock lock(gate_, gate_.enter_as_guest());
        if (!done_.load(std::memory_order_relaxed)) {
            references_.fetch_sub(1, std::memory_order_acq_rel);   // not a store: it may have been found in its loop since
            return;
        }
    }
    release();
}

void task_core::dispose() noexcept {
    if (error_ && !cancelled_ && !retrieved_.load(std::memory_order_relaxed)) [[unlikely]] return report_unretrieved();
    delete this;
}

void task_core::report_unretrieved() noexcept {
    references_.store(1, std::memory_order_relaxed);   // alive once more, for the handler to see
    mark_retrieved();
    const std::uint64_t serial = loop_serial_;
    const task_handle self(this);
    constexpr const char* message = "task exception was never retrieved";
    exception_context context;
    try {
        context.message = message;
    } catch (const std::bad_alloc&) {
        return print_exception(message, error_);
    }
    context.exception = error_;
    context.task = self;
    loop_state::report_from_anywhere(serial, std::move(context));
}

const char* task_core::describe() const noexcept {
    if (extras_ && !extras_->name.empty()) return extras_->name.c_str();
    static char text[32];   // only for a process that is about to die
    char* end = text + sizeof text - 1;
    std::uint64_t number = id_;
    do *--end = static_cast<char>('0' + number % 10);
    while (number /= 10);
    for (const char* prefix = "-ksat"; *prefix; ++prefix) *--end = *prefix;
    return end;
}

std::string task_core::name() {
    gate_lock lock(gate_);
    return name(lock);
}

std::string task_core::name(const gate_lock&) const {
    if (extras_ && !extras_->name.empty()) return extras_->name;
    return "task-" + std::to_string(id_);
}

void task_core::set_name(std::string name) {
    gate_lock lock(gate_);
    more().name.swap(name);
}

inline void task_core::link(joiner& j) noexcept {
    j.next = nullptr;
    j.previous = last_joiner_;
    j.linked = true;
// GCC 12 takes a joiner on the stack of who waits for one that is left in the list.
#pragma GCC diagnostic push
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wdangling-pointer"
#endif
    (last_joiner_ ? last_joiner_->next : first_joiner_) = &j;
    last_joiner_ = &j;
#pragma GCC diagnostic pop
}

WEFT_NOINLINE bool task_core::add_joiner(joiner& j) noexcept {
    const gate_lock lock(gate_);
    if (done_.load(std::memory_order_relaxed)) return false;
    link(j);
    return true;
}

bool task_core::remove_joiner(joiner& j) noexcept {
    gate_lock lock(gate_);
    if (!j.linked) return false;
    j.linked = false;
    (j.previous ? j.previous->next : first_joiner_) = j.next;
    (j.next ? j.next->previous : last_joiner_) = j.previous;
    return true;
}

void task_core::join(const char* what) {
    if (done()) return;
    if (this == current()) throw std::logic_error(std::string(what) + ": a task cannot wait for its own end");
    waiter waiting(what, this);
    joiner j;
    j.waiting = &waiting;
    {
        const gate_lock lock(gate_);
        if (done_.load(std::memory_order_relaxed)) return;
        link(j);
    }
    const wait_outcome outcome = park(waiting);
    if (outcome != wait_outcome::woken) remove_joiner(j);
    woken_or_throw(outcome);
}

void task_core::join_forwarding(const char* what) {
    if (done()) return;
    task_core* self = current();
    if (this == self) throw std::logic_error(std::string(what) + ": a task cannot wait for its own end");
    std::optional<waiter> waiting;   // another one after each cancellation that was forwarded: under the gate
    joiner j;
    j.waiting = &waiting.emplace(what, this);
    if (!add_joiner(j)) return;
    bool forwarded = false;
    weft::cancelled taken;
    while (park(*waiting) == wait_outcome::cancelled) {
        forwarded = true;
        try {
            taken = self->take_request();
            cancel(taken.message());
        } catch (...) {   // no memory for the message
            remove_joiner(j);
            throw;
        }
        const gate_lock lock(gate_);
        if (!j.linked) break;
        waiting.emplace(what, this);   // in the same place among those who wait
    }
    if (forwarded) throw taken;
}

std::uint64_t task_core::add_callback(std::function<void(task_core&)> f) {
    {
        gate_lock lock(gate_);
        if (!done_.load(std::memory_order_relaxed)) {
            extras& e = more();
            e.callbacks.push_back({e.next_callback, std::move(f), context::copy_of_current()});
            return e.next_callback++;
        }
    }
    auto call = [keep = (retain(), task_handle(this)), f = std::move(f)] { f(*keep.core()); };
    if (loop_state* here = loop_state::current(); here && here->serial == loop_serial_) {
        here->facade.call_soon(std::move(call));
        return 0;
    }
    if (!loop_state::if_open(loop_serial_, [&](loop_state& s) { s.post(call); }))
        throw invalid_state("add_done_callback: the task is done and its loop is closed: nothing would call it");
    return 0;
}

bool task_core::remove_callback(std::uint64_t number) noexcept {
    std::function<void(task_core&)> removed;   // destroyed outside of the gate, like the values
    context values;
    gate_lock lock(gate_);
    if (!extras_) return false;
    auto& all = extras_->callbacks;
    for (auto c = all.begin(); c != all.end(); ++c) {
        if (c->number != number) continue;
        removed.swap(c->f);
        values.swap(c->values);
        all.erase(c);
        lock.leave();
        return true;
    }
    return false;
}

void throw_no_loop(const char* what) { throw no_running_loop(what); }

namespace {

void apply(const spawn_options& options, task_core& t) {
    if (options.stack_size != 0) {
        if (options.stack_size < kernel::stack_pool::smallest || options.stack_size > kernel::stack_pool::largest)
            throw std::invalid_argument("task_options::stack_size=" + std::to_string(options.stack_size) +
                                        ": must be between 16384 bytes and 64 GiB");
        t.stack_size = options.stack_size;
    }
    if (options.name && !options.name->empty()) t.set_name(*options.name);
}

}  // namespace

void spawn(task_core& t, const spawn_options* options, const char* what, call_site where) {
    loop_state* loop = loop_state::current();
    if (!loop) [[unlikely]] throw_no_loop(what);
    if (options) [[unlikely]] apply(*options, t);
    t.created_at_ = where ? where : call_site::of(__builtin_return_address(0));
    const auto* creator = static_cast<task_core*>(loop->core.scheduler.running_fiber().work);
    const context& values = creator ? creator->context_ : loop->callback_context;
    if (!values.empty()) [[unlikely]] t.context_ = values;
    loop->number(t);
    loop->add(t);
    if (loop->closing) [[unlikely]] t.cancel("the loop is closing");
    if (options && options->eager) [[unlikely]] return loop->core.scheduler.start_now(t);
    loop->core.scheduler.ready(t);
}

void spawn_on(loop_state& loop, task_core& t, const spawn_options* options) {
    struct arrival : message {
        loop_state* loop;
        task_core* task;
    };
    if (options) apply(*options, t);
    auto post = std::make_unique<arrival>();
    post->loop = &loop;
    post->task = &t;
    post->deliver = [](message& m) noexcept {
        const std::unique_ptr<arrival> a(&static_cast<arrival&>(m));
        a->loop->add(*a->task);
        if (a->loop->closing) a->task->cancel("the loop is closing");
        a->loop->core.scheduler.ready(*a->task);
    };
    t.created_at_ = call_site::of(__builtin_return_address(0));
    t.context_ = context::copy_of_current();
    loop.number_from_anywhere(t);
    // A loop that takes tasks delivers what was posted, also when it begins to close meanwhile: then it ends the task.
    loop_state::if_open(loop.serial, [&](loop_state& s) {
        if (s.takes_tasks) s.core.scheduler.mailbox().post(*post.release());
    });
    if (!post) return;
    t.home_ = nullptr;
    throw invalid_state("spawn_on: the loop is closed");
}

}  // namespace weft::detail
