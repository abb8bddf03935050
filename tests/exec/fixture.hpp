#pragma once

/// What the tests of this layer share, beside what those of tasks and synchronization do: jobs that say when they run, and
/// run until they are told to end.

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <future>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <thread>

#include <weft/cancellation.hpp>
#include <weft/context_var.hpp>
#include <weft/executor.hpp>
#include <weft/gather.hpp>
#include <weft/run.hpp>
#include <weft/task_group.hpp>
#include <weft/timeout.hpp>

#include "sync/fixture.hpp"

namespace exec_test {

using namespace sync_test;

/// A job that blocks its thread from when it has begun until it may end.
class blocking_job {
public:
    int operator()() {
        begun_.store(true);
        may_end_.acquire();
        ended_.store(true);
        return 7;
    }
    /// Waits, as a task or a plain thread, until it runs.
    void wait_begun() const {
        until([this] { return begun_.load(); });
    }
    void let_end() { may_end_.release(); }
    bool begun() const { return begun_.load(); }
    bool ended() const { return ended_.load(); }

private:
    std::atomic<bool> begun_{false}, ended_{false};
    std::binary_semaphore may_end_{0};
};

struct threads_fixture : real_time, count_check {};

}  // namespace exec_test
