#pragma once

/// What few tasks have, kept apart from the task so that the many stay small. Guarded by the task's gate.

#include <cstdint>
#include <functional>
#include <stop_token>
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
    struct stop {
        const cancel_frame* frame;    // a request in it stops it ...
        const nested* level;          // ... if made by this scope or one around it; null: by any
        std::stop_source source;
    };
    std::vector<stop> stops;
    /// Those that a request by `scope` in `frame` stops; null: by a request from outside. To be stopped outside of the gate.
    std::vector<std::stop_source> stopped_by(const cancel_frame& frame, const nested* scope) const;
    std::uint64_t next_callback = 1;
};

/// Stops them now, or, while the gate of a task is held on this thread, when it has been left.
void stop_all(std::vector<std::stop_source>& sources);

}  // namespace weft::detail
