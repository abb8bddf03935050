#include "task/debug_mode.hpp"

#include <cstdio>
#include <utility>

#include "task/loop_state.hpp"

namespace weft::detail {

debug_mode::debug_mode(loop_state& s) noexcept : loop_(s) {
    before = [](step_observer& o, kernel::runnable& r) noexcept { static_cast<debug_mode&>(o).begin(r); };
    after = [](step_observer& o) noexcept { static_cast<debug_mode&>(o).end(); };
}

void debug_mode::begin(kernel::runnable& r) noexcept {
    created_at_ = {};
    kernel::job* job = nullptr;
    switch (r.kind) {
        case kernel::runnable_kind::fiber: job = static_cast<kernel::fiber&>(r).work; break;
        case kernel::runnable_kind::job: job = static_cast<kernel::job*>(&r); break;
        case kernel::runnable_kind::callback:
            if (const auto* h = handle_state::of(static_cast<kernel::callback&>(r))) created_at_ = h->created_at;
            break;
        case kernel::runnable_kind::loop: break;
    }
    if (job) {
        auto* t = static_cast<task_core*>(job);
        t->retain_found();
        task_ = task_handle(t);
        created_at_ = t->created_at();
    }
    began_ = now();
}

void debug_mode::end() noexcept {
    const auto took = now() - began_;
    const task_handle task = std::exchange(task_, {});   // its end may report something by itself
    if (took < loop_.options.slow_callback_duration) return;
    char text[96];
    std::snprintf(text, sizeof text, "executing a %s took %.3f seconds, in which nothing else could run",
                  task ? "task" : "callback", std::chrono::duration<double>(took).count());
    loop_.report({text, nullptr, task, created_at_.describe()});
}

}  // namespace weft::detail
