#pragma once

/// signal_callbacks: the signal handlers of one loop (add_signal_handler). Each is a receiver of the process's one handler,
/// whose eventfd the engine watches.

#include <functional>
#include <map>
#include <memory>

#include "engine/engine.hpp"
#include "engine/signal_receiver.hpp"
#include "task/recurring_callback.hpp"

namespace weft::detail {

class signal_callbacks {
public:
    explicit signal_callbacks(loop_state& s) noexcept : loop_(s) {}

    /// Throws std::invalid_argument, std::system_error.
    void add(int signo, std::function<void()> f);
    bool remove(int signo) noexcept;

private:
    struct entry : engine_layer::watch {
        entry(loop_state& s, int signo);
        ~entry();   // on the loop's thread, while the engine is there

        loop_state& loop;
        engine_layer::signal_receiver receiver;
        std::shared_ptr<recurring_callback> call;
    };

    loop_state& loop_;
    std::map<int, std::unique_ptr<entry>> entries_;
};

}  // namespace weft::detail
