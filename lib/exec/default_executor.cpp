// The loop's default executor: made by the first to_thread, shut down at the end of the loop.
//
// It is a member of the loop, which stands below this layer: the loop keeps the pool, without knowing what it is, and the
// function that shuts it down.

#include <stdexcept>

#include <weft/executor.hpp>

#include "kernel/scheduler.hpp"
#include "task/loop_state.hpp"

namespace weft {
namespace {

void keep(detail::loop_state& s, std::shared_ptr<thread_pool_executor> pool) noexcept {
    s.shut_down = [](thread_pool_executor& p) { p.shutdown(); };
    s.default_executor.swap(pool);   // the one before ends last: its destructor may wait
}

}  // namespace

void loop::set_default_executor(std::shared_ptr<thread_pool_executor> pool) {
    check("loop::set_default_executor");
    if (!pool) throw std::invalid_argument("loop::set_default_executor: the executor must not be null");
    keep(state_, std::move(pool));
}

std::shared_ptr<detail::thread_pool_state> detail::default_pool(const char* what) {
    loop_state* s = loop_state::current();
    if (!s) throw no_running_loop(what);
    if (!kernel::this_thread().parkable) throw no_running_task(what);
    if (!s->default_executor) keep(*s, std::make_shared<thread_pool_executor>());
    return s->default_executor->state();
}

}  // namespace weft
