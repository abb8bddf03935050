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

std::string readable(const char* mangled) {
    int status = 0;
    char* text = abi::__cxa_demangle(mangled, nullptr, nullptr, &status);
    std::string name = text ? text : mangled;
    std::free(text);
    return name;
}

}  // namespace

loop_state::loop_state(const run_options& o)
    : options(o),
      core(o.stack_size, choice_of(o.io_engine)),
      facade(*this),
      serial(enter_directory(*this)),
      debug(o.debug) {
    core.scheduler.loop = this;
}

loop_state::~loop_state() { close(); }

void loop_state::close() {
    if (closed) return;
    {
        std::lock_guard lock(loops().mutex);
        loops().open.erase(serial);
    }
    // What other threads posted until now: calls that will not run any more.
    core.scheduler.enter();
    core.scheduler.mailbox().deliver();
    while (first_pending) {
        // Out of every queue and list before the first is freed: what a function's end schedules comes in the next round.
        std::vector<std::shared_ptr<handle_state>> dropped;
        core.scheduler.drop_callbacks();
        while (handle_state* h = first_pending) {
            h->cancelled = true;
            core.scheduler.timers().remove(*h);
            h->leave();
            h->loop = nullptr;
            dropped.push_back(std::move(h->self));
        }
        for (const auto& h : dropped) {
            h->f = nullptr;
            h->values.clear();
        }
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

void loop_state::add(task_core& t) noexcept {
    if (next_id == last_id) {
        static std::atomic<std::uint64_t> blocks{0};   // relaxed: ids only need to differ
        next_id = blocks.fetch_add(id_block, std::memory_order_relaxed);
        last_id = next_id + id_block;
    }
    t.id_ = ++next_id;
    t.home_ = this;
    t.loop_serial_ = serial;
    t.previous_ = last_task;
    t.next_ = nullptr;
    (last_task ? last_task->next_ : first_task) = &t;
    last_task = &t;
}

void loop_state::remove(task_core& t) noexcept {
    (t.previous_ ? t.previous_->next_ : first_task) = t.next_;
    (t.next_ ? t.next_->previous_ : last_task) = t.previous_;
    t.next_ = t.previous_ = nullptr;
    if (closing && !first_task) core.do_not_sleep();
}

std::vector<task_handle> loop_state::tasks() const {
    std::vector<task_handle> all;
    for (task_core* t = first_task; t; t = t->next_) {
        t->retain();
        all.emplace_back(t);
    }
    return all;
}

void loop_state::report(const exception_context& context) noexcept {
    if (!exception_handler) return print_exception(context);
    try {
        auto handler = exception_handler;   // it may replace itself
        handler(facade, context);
    } catch (...) {
        print_exception({"the exception handler threw", std::current_exception(), {}});
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
    auto report = std::make_shared<on_its_way>(std::move(context));
    const auto tell = [report](loop_state& s) {
        report->told = true;
        s.report(report->context);
    };
    if (loop_state* here = current(); here && here->serial == serial)
        here->facade.call_soon(tell, std::ref(*here));
    else
        if_open(serial, [&](loop_state& s) { s.facade.call_soon_threadsafe(tell, std::ref(s)); });
}

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
    std::string text = "weft: " + context.message;
    if (context.task) text += " (task '" + context.task.name() + "')";
    if (context.exception) text += ": " + describe_exception(context.exception);
    text += '\n';
    std::fputs(text.c_str(), stderr);
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
