#include <weft/error.hpp>

namespace weft {

cancelled::cancelled(std::string message, bool idle) : cancelled(std::move(message)) { idle_ = idle; }

cancelled::cancelled(std::string message) {
    if (!message.empty()) message_ = std::make_shared<const std::string>(std::move(message));
}

const std::string& cancelled::message() const noexcept {
    static const std::string none;
    return message_ ? *message_ : none;
}

no_running_loop::no_running_loop(const std::string& call)
    : std::logic_error(call + ": no loop runs on this thread; call it inside weft::run") {}

no_running_task::no_running_task(const std::string& call)
    : std::logic_error(call + ": would have to wait, and a loop callback cannot; call it in a task") {}

timeout_error::timeout_error() : std::runtime_error("timed out") {}
queue_empty::queue_empty() : std::runtime_error("the queue is empty") {}
queue_full::queue_full() : std::runtime_error("the queue is full") {}
queue_shutdown::queue_shutdown() : std::runtime_error("the queue was shut down") {}
broken_barrier::broken_barrier() : std::runtime_error("the barrier was aborted or reset") {}

remote_error::remote_error(std::string type_name, const std::string& what)
    : std::runtime_error(type_name + ": " + what),
      type_name_(std::make_shared<const std::string>(std::move(type_name))) {}

incomplete_read_error::incomplete_read_error(std::string partial, std::size_t expected)
    : std::runtime_error("the stream ended after " + std::to_string(partial.size()) + " bytes" +
                         (expected == std::string::npos ? std::string(" without the separator")
                                                        : " of " + std::to_string(expected) + " expected")),
      partial_(std::make_shared<const std::string>(std::move(partial))),
      expected_(expected) {}

limit_overrun_error::limit_overrun_error(const std::string& what, std::size_t consumed)
    : std::runtime_error(what), consumed_(consumed) {}

interrupted::interrupted() : std::runtime_error("interrupted (SIGINT)") {}

}  // namespace weft
