#include "kernel/boost_bridge.hpp"

#include <link.h>

#include <boost/context/stack_traits.hpp>
#include <boost/fiber/scheduler.hpp>

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <utility>

#include "kernel/scheduler.hpp"

namespace weft::kernel {
namespace {

namespace bf = boost::fibers;

// [temp.spec]/6 lets an explicit instantiation name private members; the friend hands the member pointer out.
struct context_switch_state {
    friend constexpr auto member(context_switch_state);
};
struct fiber_stack_pointer {
    friend constexpr auto member(fiber_stack_pointer);
};
struct scheduler_algorithm {
    friend constexpr auto member(scheduler_algorithm);
};
struct scheduler_workers {
    friend constexpr auto member(scheduler_workers);
};
template <class Tag, auto Member>
struct reach {
    friend constexpr auto member(Tag) { return Member; }
};
template struct reach<context_switch_state, &bf::context::c_>;
template struct reach<fiber_stack_pointer, &boost::context::fiber::fctx_>;
template struct reach<scheduler_algorithm, &bf::scheduler::algo_>;
template struct reach<scheduler_workers, &bf::scheduler::worker_queue_>;

std::mutex free_mutex;
boost_bridge* first_free = nullptr;   // those without a loop hold one reference to themselves

bf::scheduler& boost_scheduler() noexcept { return *bf::context::active()->get_scheduler(); }

thread_local bool this_thread_over = false;

/// At the end of a thread Boost's scheduler runs its dispatcher until every context has ended. Where schedulers of ours are still
/// there (std::exit in a task, a runner that lives as long as the program) their workers never do: so Boost is made to forget
/// them, and what they are made of is left to the system.
class thread_end {
public:
    /// After Boost's own thread_local was made, so that this one goes first.
    thread_end() { bf::context::active(); }
    ~thread_end() {
        if (schedulers == 0) return;
        this_thread_over = true;
        (boost_scheduler().*member(scheduler_workers{})).clear();
        if (scheduler* running = scheduler::current()) running->abandon();
    }

    int schedulers = 0;
};
thread_local thread_end end_of_this_thread;

/// A fiber that Boost made (boost::fibers::fiber in a task): scheduled by us, but not a worker.
class foreign_fiber final : public bf::fiber_properties {
public:
    foreign_fiber(scheduler& s, bf::context* c) : fiber_properties(c), control(s), link(control) {
        control.context = c;
        control.boost_stack_pointer = stack_pointer_of(*c);
        control.foreign = true;
        control.tsan_fiber = create_tsan_fiber();
#if WEFT_ASAN
        // Boost does not say where the stack lies: its frames are below the context, within the default size as a rule.
        const std::size_t size = boost::context::stack_traits::default_size();
        control.stack = {reinterpret_cast<char*>(c) - size, size, 0};
#endif
    }
    ~foreign_fiber() override { destroy_tsan_fiber(control.tsan_fiber); }

    fiber control;
    fiber_link link;
};

fiber* control_of(bf::context& c) noexcept {
    bf::fiber_properties* properties = c.get_properties();
    if (auto* ours = dynamic_cast<fiber_link*>(properties)) return ours->linked;
    if (auto* foreign = dynamic_cast<foreign_fiber*>(properties)) return &foreign->control;
    return nullptr;
}

/// Boost's stack allocator for a worker: hands out what lies below the control block, gives nothing back by itself.
struct worker_stack {
    fiber* worker;
    char* top;
    void (*ended)(fiber&) noexcept;

    boost::context::stack_context allocate() {
        boost::context::stack_context s;
        s.sp = top;
        s.size = static_cast<std::size_t>(top - worker->stack.lowest) - worker->stack.guard;
        return s;
    }
    void deallocate(boost::context::stack_context&) noexcept { ended(*worker); }
};

}  // namespace

bool thread_is_over() noexcept { return this_thread_over; }

void** stack_pointer_of(bf::context& c) noexcept {
    return &((c.*member(context_switch_state{})).*member(fiber_stack_pointer{}));
}

void boost_bridge::make_context(fiber& f, char* top, void (*ended)(fiber&) noexcept) {
    static_assert(sizeof(fiber_link) <= sizeof(fiber::link_storage));
    auto* link = new (static_cast<void*>(f.link_storage)) fiber_link(f);
    scheduler* s = scheduler_;
    auto made = bf::make_worker_context_with_properties(bf::launch::post, link, worker_stack{&f, top, ended},
                                                        [s, &f] { s->run_worker(f); });
    bf::context::active()->attach(made.get());
    f.context = made.get();   // the scheduler's own reference keeps it until it has ended
    f.boost_stack_pointer = stack_pointer_of(*made);
}

boost_bridge::pointer boost_bridge::acquire(scheduler& s) {
    pointer bridge;
    {
        std::lock_guard lock(free_mutex);
        if (first_free) {
            bridge = pointer(first_free, false);
            first_free = std::exchange(bridge->next_free_, nullptr);
        }
    }
    if (!bridge) bridge.reset(new boost_bridge);
    ++end_of_this_thread.schedulers;
    bridge->scheduler_ = &s;
    bridge->mailbox_.store(&s.mailbox(), std::memory_order_relaxed);
    bridge->active_slot_ = nullptr;
    return bridge;
}

void boost_bridge::give_back(pointer bridge) noexcept {
    --end_of_this_thread.schedulers;
    std::lock_guard lock(free_mutex);
    bridge->scheduler_ = nullptr;
    bridge->next_free_ = first_free;
    first_free = bridge.detach();
}

fiber& boost_bridge::control_for(bf::context& c) noexcept {
    fiber* f = control_of(c);
    if (!f) {
        auto* made = new foreign_fiber(*scheduler_, &c);   // noexcept here: no memory ends the process, as in Boost
        c.set_properties(made);
        f = &made->control;
    }
    f->home = scheduler_;   // a fiber of Boost's may have been here in another run, on another loop
    return *f;
}

WEFT_UNTRACED void boost_bridge::awakened(bf::context* c) noexcept {
    if (c->is_context(bf::type::dispatcher_context)) {
        dispatcher_ = c;
        return;
    }
    if (c == scheduler_->own_stack().context) detail::program_error("a Boost.Fiber primitive waited in a loop callback: wait in a task");
    fiber& f = control_for(*c);
    // launch::dispatch: Boost has begun a fiber of its own without asking pick_next(), and this is called on it already.
    bf::context* active = bf::context::active();
    if (&f == &scheduler_->running_fiber() && active != c) scheduler_->note_boost_switch(control_for(*active));
    scheduler_->ready(f);
}

WEFT_UNTRACED bf::context* boost_bridge::pick_next() noexcept {
    if (uninstalling_) {
        if (dispatcher_) return std::exchange(dispatcher_, nullptr);
        fiber& f = static_cast<fiber&>(leaving_.pop_front());
        scheduler_->hand_to_boost(f);
        return f.context;
    }
    bf::context* running = bf::context::active();
    if (running->is_context(bf::type::dispatcher_context)) {
        if (probing_) {
            for (int i = 0; i < candidate_count_;) {
                if (*candidates_[i] == running) ++i;
                else candidates_[i] = candidates_[--candidate_count_];
            }
        }
        if (!std::exchange(said_idle_, true)) return nullptr;
        scheduler_->prepare_boost_switch(scheduler_->own_stack());
        return scheduler_->own_stack().context;
    }
    touched_ = true;
    fiber& self = scheduler_->running_fiber();
    if (&self == &scheduler_->own_stack())
        detail::program_error("a Boost.Fiber primitive waited in a loop callback: wait in a task");
    fiber* next = &scheduler_->next_fiber();
    if (next == &self) {   // it yielded and is the only one: let the loop have its turn
        scheduler_->ready_first(self);
        next = &scheduler_->own_stack();
    }
    scheduler_->prepare_boost_switch(*next);
    return next->context;
}

bool boost_bridge::has_ready_fibers() const noexcept { return uninstalling_ && (dispatcher_ || !leaving_.empty()); }

void boost_bridge::suspend_until(std::chrono::steady_clock::time_point const& when) noexcept { deadline_ = when; }

void boost_bridge::notify() noexcept {
    notified_.store(true, std::memory_order_release);
    mailbox_.load(std::memory_order_relaxed)->ring();
}

void boost_bridge::dispatch() noexcept {
    if (!dispatcher_) return;
    touched_ = false;
    notified_.store(false, std::memory_order_seq_cst);   // before it drains: a later notification counts again
    deadline_ = detail::time_point::max();
    said_idle_ = false;
    bf::context* c = std::exchange(dispatcher_, nullptr);
    scheduler_->switch_to_dispatcher(*c);
}

void boost_bridge::install() {
    bf::scheduler& boost = boost_scheduler();
    outside_ = boost.*member(scheduler_algorithm{});
    boost.set_algo(this);
    touched_ = true;   // wakes may have come, and times passed, since the last run
    if (!active_slot_) find_active_slot();
}

void boost_bridge::uninstall() noexcept {
    dispatch();
    scheduler_->take_foreign(leaving_);
    uninstalling_ = true;
    boost_scheduler().set_algo(std::move(outside_));
    uninstalling_ = false;
}

void boost_bridge::abandon() noexcept {
    if (!active_slot_) {
        // Boost would go on where the loop's own stack was left.
        std::fputs("weft: a task ended the process, or the thread, while its loop ran: here this ends it at once, without what else "
                   "was to be done at its end\n", stderr);
        std::_Exit(EXIT_FAILURE);
    }
    fiber& own_stack = scheduler_->own_stack();
    *active_slot_ = own_stack.context;
    *own_stack.boost_stack_pointer = nullptr;   // where Boost made the switch from it: what it frees there, it would unwind
    uninstalling_ = true;   // Boost asks for the dispatcher once more, and comes back
}

void boost_bridge::find_active_slot() {
#if WEFT_INLINE_SWITCH
    // Candidates: words of the thread-locals of the module that Boost.Fiber's code lies in, which hold the active context.
    struct search {
        const char* code;
        void* wanted;
        boost_bridge* bridge;
    } s{reinterpret_cast<const char*>(&bf::context::active), bf::context::active(), this};
    candidate_count_ = 0;
    ::dl_iterate_phdr(
        [](dl_phdr_info* module, std::size_t, void* argument) {
            auto& s = *static_cast<search*>(argument);
            bool holds_code = false;
            std::size_t size = 0;
            for (int i = 0; i < module->dlpi_phnum; ++i) {
                const auto& header = module->dlpi_phdr[i];
                const char* start = reinterpret_cast<const char*>(module->dlpi_addr + header.p_vaddr);
                if (header.p_type == PT_LOAD && s.code >= start && s.code < start + header.p_memsz) holds_code = true;
                if (header.p_type == PT_TLS) size = header.p_memsz;
            }
            if (!holds_code) return 0;
            auto** words = static_cast<void**>(module->dlpi_tls_data);
            for (std::size_t i = 0; words && i < size / sizeof(void*); ++i)
                if (words[i] == s.wanted && s.bridge->candidate_count_ < most_candidates)
                    s.bridge->candidates_[s.bridge->candidate_count_++] = &words[i];
            return 1;
        },
        &s);
    // Proof: run the dispatcher through Boost alone; the right word follows, there (pick_next) and back.
    probing_ = true;
    dispatch();
    probing_ = false;
    if (candidate_count_ == 1 && *candidates_[0] == bf::context::active())
        active_slot_ = reinterpret_cast<bf::context**>(candidates_[0]);
#endif
}

}  // namespace weft::kernel
