#include "task/loop_state.hpp"

#include <cxxabi.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <string>
#include <typeinfo>
#include <unordered_map>

namespace weft::detail {
namespace {

constexpr std::uint64_t id_block = 1 << 20;

struct directory {
    std::mutex mutex;
    std::unordered_map<std::uint64_t, loop_state*> open;
    std::uint64_t last_serial = 0;
};
directory& loops() {
    static directory d;
    return d;
}

std::uint64_t enter_directory(loop_state& s) {
    std::lock_guard lock(loops().mutex);
    const std::uint64_t serial = ++loops().last_serial;
    loops().open.emplace(serial, &s);
    return serial;
}

loop_layer::engine_choice choice_of(engine e) {
    switch (e) {
        case engine::automatic: return loop_layer::engine_choice::automatic;
        case engine::epoll: return loop_layer::engine_choice::epoll;
        case engine::io_uring: return loop_layer::engine_choice::io_uring;
    }
    throw std::invalid_argument("run_options::io_engine=" + std::to_string(static_cast<int>(e)) + ": no such engine");
}

}  // namespace

loop_state::loop_state(const run_options& o)
    : options(o),
      core(o.stack_size, choice_of(o.io_engine)),
      facade(*this),
      serial(enter_directory(*this)),
      thread(kernel::this_thread().id) {
    core.scheduler.loop = this;
    set_debug(o.debug);
}

loop_state::~loop_state() { close(); }

void loop_state::refuse_tasks() noexcept {
    std::lock_guard lock(loops().mutex);
    takes_tasks = false;
}

void loop_state::leave_directory() noexcept {
    std::lock_guard lock(loops().mutex);
    loops().open.erase(serial);
}

void loop_state::close() {
    if (closed) return;
    leave_directory();
    // What other threads posted until now: calls that will not run any more.
    core.scheduler.enter();
    // What is freed here may schedule and start more: that is freed, or ended before it has begun, in the next round.
    while (core.scheduler.mailbox().deliver() || first_pending || first_task || descriptors || signals) {
        closing = true;
        std::exchange(descriptors, nullptr).reset();
        std::exchange(signals, nullptr).reset();
        // Out of every queue and list before the first is freed.
        std::vector<std::shared_ptr<handle_state>> dropped;
        core.scheduler.drop_callbacks();
        while (handle_state* h = first_pending) {
            h->cancelled.store(true, std::memory_order_relaxed);
            core.scheduler.timers().remove(*h);
            h->leave();
            h->loop = nullptr;
            dropped.push_back(std::move(h->self));
        }
        for (const auto& h : dropped) {
            h->f = nullptr;
            h->values.clear();
        }
        while (first_task) core.turn();
    }
    main_context.clear();
    core.scheduler.leave();
    core.close();
    closed = true;
}

bool loop_state::if_open(std::uint64_t serial, const std::function<void(loop_state&)>& f) {
    std::lock_guard lock(loops().mutex);
    auto found = loops().open.find(serial);
    if (found == loops().open.end()) return false;
    f(*found->second);
    return true;
}

void loop_state::enter(const char* call) {
    if (closed) throw invalid_state(std::string(call) + ": the loop is closed");
    if (kernel::scheduler::current())
        throw std::logic_error(std::string(call) +
                               ": a loop is running on this thread already; call the function, or create_task it");
    if (!on_its_thread()) throw std::logic_error(std::string(call) + ": the loop was made by another thread, and runs only there");
    core.scheduler.enter();
    if (core.host) core.host->entering();
    running.store(true, std::memory_order_relaxed);
}

void loop_state::leave() noexcept {
    running.store(false, std::memory_order_relaxed);
    if (core.host) core.host->leaving();
    core.scheduler.leave();
}

void loop_state::stop() noexcept {
    stopping.store(true, std::memory_order_relaxed);
    if (on_its_thread()) core.do_not_sleep();
    else core.scheduler.mailbox().ring();
}

std::shared_ptr<handle_state> loop_state::schedule(std::function<void()> f) {
    auto h = std::make_shared<handle_state>(*this, std::move(f));
    h->self = h;
    h->enter();
    core.scheduler.ready(*h);
    scheduled();
    return h;
}

std::shared_ptr<handle_state> loop_state::post(std::function<void()> f) {
    auto h = std::make_shared<handle_state>(*this, std::move(f));
    h->self = h;
    core.scheduler.mailbox().post(*h);
    return h;
}

void loop_state::set_debug(bool on) noexcept {
    debug.store(on, std::memory_order_relaxed);
    core.observer = on ? &debugging : nullptr;
}

namespace {

std::atomic<std::uint64_t> id_blocks{0};   // relaxed: ids only need to differ

}  // namespace

void loop_state::take_id_block() noexcept {
    next_id = id_blocks.fetch_add(id_block, std::memory_order_relaxed);
    last_id = next_id + id_block;
}

void loop_state::number_from_anywhere(task_core& t) noexcept {
    if (loop_state* here = current()) {
        here->number(t);
    } else {
        // A block for those who have no loop.
        static std::mutex mutex;
        static std::uint64_t next = 0, last = 0;
        const std::lock_guard lock(mutex);
        if (next == last) last = (next = id_blocks.fetch_add(id_block, std::memory_order_relaxed)) + id_block;
        t.id_ = ++next;
    }
    t.home_ = this;
    t.loop_serial_ = serial;
}

std::vector<task_handle> loop_state::tasks() const {
    std::vector<task_handle> all;
    for (task_core* t = first_task; t; t = t->next_) {
        t->retain_found();
        all.emplace_back(t);
    }
    return all;
}

void loop_state::report(const exception_context& reported) noexcept {
    if (!exception_handler) return print_exception(reported);
    exception_context context;
    std::function<void(weft::loop&, const exception_context&)> handler;
    try {
        context = reported;
        if (context.task && context.created_at.empty()) context.created_at = context.task.core()->created_at().describe();
        handler = exception_handler;   // it may replace itself
    } catch (const std::bad_alloc&) {
        return print_exception(reported);
    }
    try {
        handler(facade, context);
    } catch (...) {
        print_exception("the exception handler threw", std::current_exception());
        print_exception(context);
    }
}

void loop_state::report_from_anywhere(std::uint64_t serial, exception_context context) noexcept {
    struct on_its_way {
        explicit on_its_way(exception_context c) : context(std::move(c)) {}
        exception_context context;
        bool told = false;
        ~on_its_way() {
            if (!told) print_exception(context);   // the loop is closed, or closed before it arrived
        }
    };
    std::shared_ptr<on_its_way> report;
    try {
        report = std::make_shared<on_its_way>(std::move(context));
    } catch (const std::bad_alloc&) {   // nothing has been moved yet
        return print_exception(context);
    }
    const auto tell = [report](loop_state& s) {
        report->told = true;
        s.report(report->context);
    };
    try {
        if (loop_state* here = current(); here && here->serial == serial)
            here->schedule([tell, here] { tell(*here); });
        else
            if_open(serial, [&](loop_state& s) { s.post([tell, &s] { tell(s); }); });
    } catch (const std::bad_alloc&) {   // then it is printed as it dies
    }
}

end_watch::end_watch(loop_state& s, const task_handle& t) : loop_(s), task_(*t.core()) {
    completed = [](joiner& j, task_core&, const gate_lock&, wake_batch&) noexcept {
        static_cast<end_watch&>(j).loop_.core.do_not_sleep();
    };
    task_.add_joiner(*this);
}

end_watch::~end_watch() { task_.remove_joiner(*this); }

bool left_idle_wait(const std::exception_ptr& error) noexcept {
    try {
        std::rethrow_exception(error);
    } catch (const cancelled& c) {
        return c.idle();
    } catch (...) {
        return false;
    }
}

std::string describe_exception(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& e) {
        return readable(typeid(e).name()) + ": " + e.what();
    } catch (const cancelled& c) {
        return "weft::cancelled" + (c.message().empty() ? std::string() : ": " + c.message());
    } catch (...) {
        const std::type_info* type = abi::__cxa_current_exception_type();
        return type ? readable(type->name()) : std::string("unknown exception");
    }
}

void print_exception(const exception_context& context) noexcept {
    try {
        std::string where = context.created_at;
        if (where.empty() && context.task) where = context.task.core()->created_at().describe();
        std::string text = "weft: " + context.message;
        if (context.task) text += " (task '" + context.task.name() + "'" + (where.empty() ? ")" : ", created at " + where + ")");
        else if (!where.empty()) text += " (created at " + where + ")";
        if (context.exception) text += ": " + describe_exception(context.exception);
        text += '\n';
        std::fputs(text.c_str(), stderr);
    } catch (const std::bad_alloc&) {
        print_exception(context.message.c_str(), nullptr);
    }
}

void print_exception(const char* message, const std::exception_ptr& exception) noexcept {
    std::string what;
    try {
        if (exception) what = ": " + describe_exception(exception);
    } catch (const std::bad_alloc&) {
    }
    std::fprintf(stderr, "weft: %s%s\n", message, what.empty() ? "; there is no memory to tell more of it" : what.c_str());
}

run_options with_environment(run_options o) {
    if (const char* value = std::getenv("WEFT_ENGINE")) {
        const std::string name = value;
        if (name == "epoll") o.io_engine = engine::epoll;
        else if (name == "io_uring") o.io_engine = engine::io_uring;
        else throw std::invalid_argument("WEFT_ENGINE='" + name + "': must be epoll or io_uring");
    }
    if (const char* value = std::getenv("WEFT_DEBUG")) {
        const std::string text = value;
        if (text != "0" && text != "1") throw std::invalid_argument("WEFT_DEBUG='" + text + "': must be 0 or 1");
        o.debug = text == "1";
    }
    if (const char* value = std::getenv("WEFT_STACK_SIZE")) {
        const std::string text = value;
        char* end = nullptr;
        errno = 0;
        const unsigned long long bytes = std::strtoull(value, &end, 10);
        if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos || *end || errno == ERANGE)
            throw std::invalid_argument("WEFT_STACK_SIZE='" + text + "': must be a number of bytes");
        o.stack_size = bytes;
        if (bytes < kernel::stack_pool::smallest || bytes > kernel::stack_pool::largest)
            throw std::invalid_argument("WEFT_STACK_SIZE='" + text + "': must be between 16384 bytes and 64 GiB");
    }
    if (o.stack_size < kernel::stack_pool::smallest || o.stack_size > kernel::stack_pool::largest)
        throw std::invalid_argument("run_options::stack_size=" + std::to_string(o.stack_size) +
                                    ": must be between 16384 bytes and 64 GiB");
    if (o.slow_callback_duration <= std::chrono::nanoseconds::zero())
        throw std::invalid_argument("run_options::slow_callback_duration must be positive");
    return o;
}

}  // namespace weft::detail
