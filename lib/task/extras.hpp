#pragma once

/// What few tasks have, kept apart from the task so that the many stay small. Guarded by the task's gate.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <weft/detail/task_core.hpp>

namespace weft::detail {

struct task_core::extras {
    std::string name;
    std::string message;   // of the last request from outside that is not delivered yet
    struct update : detail::message {
        task_core* task = nullptr;
    } update;              // tells the loop that another thread changed the requests
    struct callback {
        std::uint64_t number;
        std::function<void(task_core&)> f;
        context values;    // of who registered it
    };
    std::vector<callback> callbacks;
    std::uint64_t next_callback = 1;
};

}  // namespace weft::detail
