#pragma once

/// process_pool_state: jobs, the sockets of the workers, and the thread that listens to them.
///
/// Whoever submits a job writes the request into an idle worker's socket itself, as far as it goes in; the dispatcher, a
/// thread of the pool, writes the rest, receives the answers, gives idle workers the next job, and hears from the server which
/// workers have ended. So a call that is small costs one wake-up of the worker, one of the dispatcher, and one of the waiter.
///
/// Invariants
///  - mutex_ guards all of it, except what belongs to the dispatcher alone (finished jobs on their way out).
///  - Jobs wait in the queue only while no worker is idle. A worker has at most one job.
///  - A worker whose socket has ended keeps its job until the server has said how it died; then the pool breaks.
///  - Once broken_ or stopping_, no job is taken. Once the workers have ended the dispatcher closes the control socket, reaps
///    the server, sets ended_, and leaves.
///
/// Rejected: one pipe that all workers take requests from (a job could not be told from its worker when that dies); a fiber of
/// each loop that receives its own answers (a descriptor may be used by one loop only, so each loop would need workers of its
/// own, and std::future the dispatcher all the same).

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <weft/detail/process_job.hpp>
#include <weft/event.hpp>
#include <weft/process_pool.hpp>

#include "exec/frame.hpp"
#include "exec/server_process.hpp"

namespace weft::detail {

struct process_pool_state : std::enable_shared_from_this<process_pool_state> {
    /// Starts the server, its workers and the dispatcher.
    static std::shared_ptr<process_pool_state> start(std::size_t workers);
    ~process_pool_state();

    void enqueue(process_job& j);
    /// Takes j out of the queue; false if a worker has it.
    bool withdraw(process_job& j) noexcept;
    void stop(bool cancel_pending) noexcept;
    /// Waits until the processes and the dispatcher have ended.
    void join();

private:
    struct worker {
        int socket = -1;             // -1: closed, it is ending
        process_job* job = nullptr;
        std::size_t sent = 0;        // bytes of the job's request
        exec_layer::frame_reader answer;
        bool ended = false;          // the server said so
        bool idle() const noexcept { return socket >= 0 && !job; }
        bool sending() const noexcept;
    };
    class finished_jobs;

    process_pool_state() = default;
    void add_worker();
    void dispatch() noexcept;
    void serve_worker(worker& w, short events, finished_jobs& finished);
    void receive(worker& w, finished_jobs& finished);
    void lose(worker& w);                                        // its socket has ended before its time
    void hear_server(finished_jobs& finished);
    bool give(worker& w, process_job& j) noexcept;               // false: some of the request is left
    bool send_more(worker& w) noexcept;                          // likewise
    void give_next(worker& w) noexcept;
    void let_idle_workers_end() noexcept;
    void fail_all(const std::string& reason, finished_jobs& finished);
    void ring() noexcept;
    process_job* pop() noexcept;
    void unlink(process_job& j) noexcept;
    bool over() const noexcept;
    void close_all() noexcept;

    std::mutex mutex_;
    process_job* first_ = nullptr;
    process_job* last_ = nullptr;
    std::vector<worker> workers_;
    exec_layer::server_process server_;
    int doorbell_ = -1;              // an eventfd
    bool stopping_ = false;
    std::string broken_;             // why; empty: it is not
    std::unique_ptr<char[]> buffer_; // the dispatcher's
    event ended_;
    std::mutex join_mutex_;
    std::thread dispatcher_;
};

}  // namespace weft::detail
