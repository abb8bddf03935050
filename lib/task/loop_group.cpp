#include <weft/loop_group.hpp>

#include <stdexcept>
#include <string>

#include "task/loop_state.hpp"
#include "task/loop_thread.hpp"

namespace weft {
namespace {

constexpr std::size_t most_loops = 65536;   // as threads of a pool; a negative number is more

}  // namespace

namespace detail {

loop_thread::loop_thread(const run_options& options) {
    std::promise<weft::loop*> made;
    auto making = made.get_future();
    thread_ = std::thread([this, options, m = std::move(made)]() mutable { run(options, std::move(m)); });
    try {
        loop_ = making.get();
    } catch (...) {
        thread_.join();
        throw;
    }
}

void loop_thread::run(const run_options& options, std::promise<weft::loop*> made) noexcept {
    std::unique_ptr<runner> r;
    try {
        r = std::make_unique<runner>(options);
    } catch (...) {
        made.set_exception(std::current_exception());
        return;
    }
    made.set_value(&r->get_loop());
    r->get_loop().run_forever();
    r->close();
    tell_end();
    released_.wait();
}

void loop_thread::stop() noexcept { loop_->stop(); }

void loop_thread::tell_end() noexcept {
    wake_batch batch;
    gate_lock lock(gate_);
    ended_ = true;
    batch.claim_all(waiters_, lock);
    lock.leave();
    batch.wake_all();
}

void loop_thread::wait_for_end() noexcept {
    if (kernel::scheduler* s = kernel::scheduler::current(); s && !s->may_park()) return;   // a callback: all it can do is block
    gate_lock lock(gate_);
    while (!ended_) {
        waiter self("loop_group::~loop_group", this);
        waiters_.push_back(self);
        lock.leave();
        park_uncancellable(self);
        lock.enter();
    }
}

loop_thread::~loop_thread() {
    if (thread_.get_id() == std::this_thread::get_id())
        program_error("a loop_group is destroyed on one of its own loops, whose end it would wait for: destroy it elsewhere");
    stop();
    wait_for_end();   // the tasks of that loop may need this one to end
    released_.count_down();
    thread_.join();
}

}  // namespace detail

loop_group::loop_group(std::size_t loops, run_options options) {
    if (loops == 0 || loops > most_loops)
        throw std::invalid_argument("loop_group: loops=" + std::to_string(loops) + ": must be from 1 to " + std::to_string(most_loops));
    threads_.reserve(loops);
    while (threads_.size() < loops) threads_.push_back(std::make_unique<detail::loop_thread>(options));
}

loop_group::~loop_group() {
    for (const auto& t : threads_) t->stop();   // all at once, then one by one
    threads_.clear();
}

loop& loop_group::operator[](std::size_t number) const {
    if (number >= threads_.size())
        throw std::out_of_range("loop_group: number " + std::to_string(number) + " of " + std::to_string(threads_.size()) + " loops");
    return threads_[number]->loop();
}

}  // namespace weft
