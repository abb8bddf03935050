#include <weft/gather.hpp>

namespace weft::detail {

void wait_for_tasks(const std::vector<task_core*>& tasks, time_point deadline, return_when until,
                    std::vector<bool>& ended) {
    completions all(tasks, "wait");
    std::size_t index = 0;
    bool enough = false;
    const auto take = [&] {
        ended[index] = true;
        const task_core& t = *tasks[index];
        if (until == return_when::first_completed) enough = true;
        if (until == return_when::first_exception && t.error() && !t.cancelled()) enough = true;
    };
    while (all.try_next(index)) take();
    while (!enough && all.remaining() > 0) {
        if (!woken_or_throw(all.next(index, deadline))) break;
        take();
    }
    while (all.try_next(index)) take();   // what ended in the same turn, also after the deadline
}

}  // namespace weft::detail
