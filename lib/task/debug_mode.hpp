#pragma once

/// debug_mode: times what runs on a loop, one thing after the other, and reports what holds the loop for too long.

#include <chrono>

#include <weft/task.hpp>

#include "loop/core.hpp"

namespace weft::detail {

class debug_mode : public loop_layer::step_observer {
public:
    explicit debug_mode(loop_state& s) noexcept;

private:
    void begin(kernel::runnable& r) noexcept;
    void end() noexcept;

    loop_state& loop_;
    time_point began_{};
    task_handle task_;       // what runs, if it is a task's: it may end, and go, meanwhile
    call_site created_at_;   // of what runs
};

}  // namespace weft::detail
