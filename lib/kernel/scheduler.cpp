#include "kernel/scheduler.hpp"

#include <cxxabi.h>
#include <pthread.h>

#include <algorithm>

#include <weft/error.hpp>

namespace weft::kernel {
namespace {

/// Tops of stacks differ by multiples of this, so that the frames that every switch touches do not all fall into the
/// same sets of the first-level cache.
constexpr std::size_t colour_step = 256;
constexpr std::size_t colours = 5;

/// How many workers end before Boost's dispatcher frees them.
constexpr std::size_t retire_batch = 256;

}  // namespace

scheduler::scheduler(std::size_t stack_size)
    : running_(&own_stack_), own_stack_(*this, runnable_kind::loop), dispatcher_(*this), mailbox_(inbox::acquire()) {
    pools_.push_back(std::make_unique<stack_pool>(stack_size));
    stack_size_ = pools_.front()->stack_size();
    bridge_ = boost_bridge::acquire(*this);
}

scheduler::~scheduler() {
    enter();   // Boost frees contexts only where its dispatcher runs
    retire_idle(0);
    for (int i = 0; i < 4 && workers_; ++i) bridge_->dispatch();
    leave();
    destroy_tsan_fiber(dispatcher_.tsan_fiber);
    if (workers_) detail::program_error("a loop was destroyed while fibers of it still exist");
    boost_bridge::give_back(std::move(bridge_));
    inbox::give_back(mailbox_);
}

void scheduler::enter() {
    if (this_thread().running) throw std::logic_error("a loop is already running on this thread");
    if (this_thread().id == 0) assign_thread_id();
    exceptions_ = reinterpret_cast<exception_state*>(abi::__cxa_get_globals());
    errno_ = &errno;
    control_words_ = control_words::current();
    own_stack_.context = boost::fibers::context::active();
    own_stack_.boost_stack_pointer = stack_pointer_of(*own_stack_.context);
    own_stack_.stack_pointer = nullptr;
    own_stack_.tsan_fiber = current_tsan_fiber();
#if WEFT_ASAN
    pthread_attr_t attributes;
    if (::pthread_getattr_np(::pthread_self(), &attributes) == 0) {
        void* lowest = nullptr;
        std::size_t size = 0;
        ::pthread_attr_getstack(&attributes, &lowest, &size);
        own_stack_.stack = {static_cast<char*>(lowest), size, 0};
        ::pthread_attr_destroy(&attributes);
    }
#endif
    thread_ = &this_thread();
    set_running(own_stack_);
    if (detail::gate::bias_possible()) thread_->gate_home = thread_->id;
    thread_->running = this;
    bridge_->install();
    active_slot_ = bridge_->active_slot();
}

void scheduler::leave() noexcept {
    bridge_->uninstall();
    this_thread().running = nullptr;
}

void scheduler::abandon() noexcept {
    bridge_->abandon();
    this_thread().running = nullptr;
    this_thread().parkable = nullptr;
}

WEFT_UNTRACED void scheduler::jump(fiber& to) noexcept { to.context->resume(); }

WEFT_UNTRACED void scheduler::prepare_boost_switch(fiber& to) noexcept {
    fiber& from = running_ == &own_stack_ ? dispatcher_ : *running_;   // the loop's own stack never asks Boost
    finish_sanitizer_switch();
#if !WEFT_BOOST_SWAPS_EXCEPTION_STATE
    save_and_load(from, to);
#endif
    change_control_words(from, to);
    set_running(to);
    from.stack_pointer = nullptr;   // from here on Boost has it
    hand_to_boost(to);
    begin_sanitizer_switch(from, to);
}

WEFT_UNTRACED void scheduler::note_boost_switch(fiber& to) noexcept {
    fiber& from = *running_;
    finish_sanitizer_switch();
#if !WEFT_BOOST_SWAPS_EXCEPTION_STATE
    save_and_load(from, to);
#endif
    change_control_words(from, to);
    set_running(to);
    from.stack_pointer = nullptr;
    begin_sanitizer_switch(from, to);
    finish_sanitizer_switch();
}

void scheduler::hand_to_boost(fiber& f) noexcept {
    if (f.stack_pointer) *f.boost_stack_pointer = std::exchange(f.stack_pointer, nullptr);
}

void scheduler::take_foreign(run_queue& to) noexcept {
    run_queue ours;
    while (!queue_.empty()) {
        runnable& r = queue_.pop_front();
        const bool foreign = r.kind == runnable_kind::fiber && static_cast<fiber&>(r).foreign;
        (foreign ? to : ours).push_back(r);
    }
    while (!ours.empty()) queue_.push_back(ours.pop_front());
}

void scheduler::drop_callbacks() noexcept {
    run_queue kept;
    while (!queue_.empty()) {
        runnable& r = queue_.pop_front();
        if (r.kind != runnable_kind::callback) kept.push_back(r);
    }
    while (!kept.empty()) queue_.push_back(kept.pop_front());
}

void scheduler::switch_to_dispatcher(boost::fibers::context& c) noexcept {
    dispatcher_.context = &c;
    // Always by Boost: it happens once before the loop sleeps, and it is what find_active_slot() watches.
    fiber& from = *running_;
    from.stack_pointer = nullptr;
    finish_sanitizer_switch();
    save_and_load(from, dispatcher_);
    change_control_words(from, dispatcher_);
#if WEFT_TSAN
    constexpr std::size_t room = 3000;   // contexts; retire_batch and what ends in a turn fit in many times
    const bool renew = !dispatcher_.tsan_fiber || contexts_ended_ > room / 2;
    if (renew) {
        destroy_tsan_fiber(dispatcher_.tsan_fiber);
        dispatcher_.tsan_fiber = create_tsan_fiber();
        contexts_ended_ = 0;
    }
#endif
    begin_sanitizer_switch(from, dispatcher_);
#if WEFT_TSAN
    if (renew) expect_tsan_returns(room);
#endif
    c.resume();
    finish_sanitizer_switch();
    set_running(own_stack_);
}

/// next_fiber() where the front of the queue is not a fiber, or may not run in this turn.
fiber& scheduler::next_of_other_kind() noexcept {
    runnable* r = queue_.front();
    if (!r) return own_stack_;
    if (r->kind == runnable_kind::job && budget_ > 0) {
        job& j = static_cast<job&>(*r);
        if (fiber* worker = take_worker(j.stack_size)) {
            --budget_;
            queue_.pop_front();
            assign_suspended(*worker, j);
            return *worker;
        }
    }
    return r->kind == runnable_kind::loop ? static_cast<fiber&>(queue_.pop_front()) : own_stack_;
}

void scheduler::run_worker(fiber& self) noexcept {
    for (;;) {
        finish_sanitizer_switch();
        if (self.retire) return;   // Boost's terminate() asks pick_next() where to go
        *errno_ = 0;
        self.work->run();   // ends by forgetting self
        self.work = nullptr;
        runnable* r = queue_.front();
        if (r && r->kind == runnable_kind::job && budget_ > 0) {
            job& j = static_cast<job&>(*r);
            const std::size_t wanted = j.stack_size != 0 ? j.stack_size : stack_size_;
            if (wanted == self.stack.size) {   // the next job, on this stack: no switch at all
                --budget_;
                queue_.pop_front();
                assign(self, j);
                control_words_.restore();
                continue;
            }
        }
        if (self.stack.size == stack_size_) {
            self.next = idle_;
            idle_ = &self;
            ++idle_count_;
        } else {
            self.retire = true;   // stacks of unusual sizes are not kept
            return;
        }
        fiber& next = next_fiber();
        if (&next != &self) switch_to(next);
    }
}

fiber& scheduler::make_worker(std::size_t stack_size) {
    stack_pool& pool = pool_for(stack_size);
    const stack_pool::entry entry = pool.take();
    char* top = entry.span.top() - sizeof(fiber);
    top = reinterpret_cast<char*>(reinterpret_cast<std::uintptr_t>(top) & ~std::uintptr_t{63});
    top -= entry.number % colours * colour_step;
    fiber& f = *new (top) fiber(*this);
    f.stack = entry.span;
    f.stack_number = entry.number;
    f.valgrind_stack = register_stack(entry.span.lowest, top);
    f.tsan_fiber = create_tsan_fiber();
    try {
        enter_tsan_fiber(f.tsan_fiber);   // Boost runs the first instructions of the context while it makes it
        const real_frames outlive(running_->stack.lowest, running_->stack.size);
        bridge_->make_context(f, top, &worker_ended);
        enter_tsan_fiber(running_->tsan_fiber);
    } catch (...) {
        enter_tsan_fiber(running_->tsan_fiber);
        destroy_tsan_fiber(f.tsan_fiber);
        deregister_stack(f.valgrind_stack);
        pool.give_back(entry.number, false);
        throw;
    }
    f.all_next = workers_;
    if (workers_) workers_->all_previous = &f;
    workers_ = &f;
    ++worker_count_;
    return f;
}

void scheduler::worker_ended(fiber& f) noexcept {
    scheduler& s = *f.home;
    if (f.all_previous) f.all_previous->all_next = f.all_next;
    else s.workers_ = f.all_next;
    if (f.all_next) f.all_next->all_previous = f.all_previous;
    --s.worker_count_;
    ++s.contexts_ended_;
    deregister_stack(f.valgrind_stack);
    destroy_tsan_fiber(f.tsan_fiber);
    const std::size_t number = f.stack_number;
    stack_pool& pool = s.pool_for(f.stack.size);
    // SAFETY: Boost calls this on the loop's side, when the worker's stack is not run on any more.
    pool.give_back(number, true);
}

stack_pool& scheduler::pool_for(std::size_t stack_size) {
    if (stack_size == 0) return *pools_.front();
    for (auto& pool : pools_)
        if (pool->stack_size() == stack_size) return *pool;
    auto pool = std::make_unique<stack_pool>(stack_size);
    for (auto& other : pools_)
        if (other->stack_size() == pool->stack_size()) return *other;   // the same, once rounded
    pools_.push_back(std::move(pool));
    return *pools_.back();
}

void scheduler::start(job& j) noexcept {
    fiber* worker = take_worker(j.stack_size);
    if (!worker) {
        try {
            worker = &make_worker(j.stack_size);
        } catch (...) {
            j.refuse();
            return;
        }
    }
    assign_suspended(*worker, j);
    switch_to(*worker);
}

void scheduler::start_now(job& j) noexcept {
    fiber* worker = take_worker(j.stack_size);
    if (!worker) {
        // Boost makes contexts on any stack; the caller's is as good as the loop's.
        try {
            worker = &make_worker(j.stack_size);
        } catch (...) {
            j.refuse();
            return;
        }
    }
    assign_suspended(*worker, j);
    queue_.push_front(*running_);
    started_eagerly_ = running_;
    switch_to(*worker);
}

/// Where thousands of fibers wait for the system, each has lost its lines in the caches, and its pages in the translation caches,
/// when its turn comes. What is asked for two fibers ahead comes while the system calls of the first one are made. The fiber
/// behind that is asked for here, so that its own places are at hand in the next call.
void scheduler::look_ahead() const noexcept {
    constexpr int line = 64;
    constexpr int below = 3;    // lines of frames that the calls to come will need
    constexpr int above = 11;   // ... that the call which waits returns through
    const runnable* second = queue_.front() ? queue_.front()->next : nullptr;
    if (!second || second->kind != runnable_kind::fiber) return;
    const auto& f = static_cast<const fiber&>(*second);
    if (const char* frames = static_cast<const char*>(f.stack_pointer))
        for (int i = -below; i < above; ++i) __builtin_prefetch(frames + i * line, 1);
    for (const void* place : f.touched_by_caller) __builtin_prefetch(place, 1);
    for (const void* place : f.touched_by_engine) __builtin_prefetch(place, 1);
    if (!f.next) return;
    __builtin_prefetch(f.next, 1);
    __builtin_prefetch(reinterpret_cast<const char*>(f.next) + line, 1);
}

void scheduler::run_ready(int budget) noexcept {
    budget_ = budget;
    while (budget_ > 0 && !queue_.empty()) {
        --budget_;
        runnable& r = queue_.pop_front();
        switch (r.kind) {
            case runnable_kind::fiber:
            case runnable_kind::loop:
                switch_to(static_cast<fiber&>(r));
                break;
            case runnable_kind::job:
                start(static_cast<job&>(r));
                break;
            case runnable_kind::callback: {
                auto& c = static_cast<callback&>(r);
                c.run(c);
                break;
            }
        }
    }
}

void scheduler::fire_timers(time_point now) noexcept {
    while (timer* t = timers_.take_due(now)) t->fire(*t);
}

void scheduler::trim() noexcept {
    if (idle_count_ > idle_high_water) retire_idle(std::max(idle_high_water, idle_count_ - retire_batch));
}

void scheduler::retire_idle(std::size_t keep) noexcept {
    if (idle_count_ <= keep) return;
    const int saved = budget_;
    budget_ = 0;   // a retiring worker comes straight back here
    while (idle_count_ > keep) {
        for (std::size_t i = 0; i < retire_batch && idle_count_ > keep; ++i) {
            fiber& worker = *idle_;
            idle_ = static_cast<fiber*>(worker.next);
            --idle_count_;
            worker.retire = true;
            switch_to(worker);
        }
        bridge_->dispatch();   // frees what has ended
    }
    budget_ = saved;
}

void scheduler::at_close(void (*f)(void*) noexcept, void* argument) { at_close_.push_back({f, argument}); }

void scheduler::cancel_at_close(void (*f)(void*) noexcept, void* argument) noexcept {
    auto found = std::find_if(at_close_.begin(), at_close_.end(),
                              [&](const close_entry& e) { return e.f == f && e.argument == argument; });
    if (found != at_close_.end()) at_close_.erase(found);
}

void scheduler::close_notify() noexcept {
    while (!at_close_.empty()) {
        const close_entry last = at_close_.back();
        at_close_.pop_back();
        last.f(last.argument);
    }
}

timer_queue* current_timers() noexcept {
    scheduler* s = scheduler::current();
    return s ? &s->timers() : nullptr;
}

void at_loop_close(void (*f)(void*) noexcept, void* argument) {
    scheduler* s = scheduler::current();
    if (!s) throw no_running_loop("at_loop_close");
    s->at_close(f, argument);
}

void cancel_at_loop_close(void (*f)(void*) noexcept, void* argument) noexcept {
    if (scheduler* s = scheduler::current()) s->cancel_at_close(f, argument);
}

}  // namespace weft::kernel
