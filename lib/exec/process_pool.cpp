#include "exec/process_pool.hpp"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <weft/detail/cancellation.hpp>
#include <weft/error.hpp>

namespace weft {
namespace detail {

using exec_layer::frame_reader;
using exec_layer::server_command;
using exec_layer::server_report;

namespace {

constexpr std::size_t buffer_size = 256 * 1024;
constexpr std::size_t most_workers = 256;   // so that the commands for all fit into the server's socket while it starts

void close_socket(int& fd) noexcept {
    if (fd < 0) return;
    ::shutdown(fd, SHUT_RDWR);   // the end is told also where a process that the program has forked has the socket, too
    ::close(std::exchange(fd, -1));
}

std::string how_it_ended(const server_report& r) {
    if (r.what == server_report::not_started)
        return "a worker process could not be started: " + std::generic_category().message(r.status);
    const std::string who = "a worker process (pid " + std::to_string(r.pid) + ") ";
    if (!WIFSIGNALED(r.status)) return who + "exited with status " + std::to_string(WEXITSTATUS(r.status));
    const int signal = WTERMSIG(r.status);
    const char* name = ::sigdescr_np(signal);
    return who + "was killed by signal " + std::to_string(signal) + (name ? std::string(" (") + name + ")" : std::string());
}

}  // namespace

/// Jobs that have ended, to be told so once the mutex is free.
class process_pool_state::finished_jobs {
public:
    void add(process_job& j, std::exception_ptr error = nullptr) noexcept {
        j.error_ = std::move(error);
        j.next_ = first_;
        first_ = &j;
    }
    void tell() noexcept {
        process_job* oldest = nullptr;
        while (first_) {
            process_job* j = std::exchange(first_, first_->next_);
            j->next_ = std::exchange(oldest, j);
        }
        while (oldest) {
            process_job& j = *oldest;
            oldest = j.next_;   // before ended(): j may be gone after it
            j.ended();
        }
    }

private:
    process_job* first_ = nullptr;   // newest first
};

bool process_pool_state::worker::sending() const noexcept { return socket >= 0 && job && sent < job->request_.size(); }

std::shared_ptr<process_pool_state> process_pool_state::start(std::size_t workers) {
    std::shared_ptr<process_pool_state> pool(new process_pool_state);
    pool->buffer_.reset(new char[buffer_size]);
    pool->doorbell_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pool->doorbell_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd for a process pool");
    pool->server_ = exec_layer::start_server();
    pool->workers_.reserve(workers);
    while (workers-- > 0) pool->add_worker();

    sigset_t all, before;   // signals are for the program's own threads
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
        pool->dispatcher_ = std::thread([self = pool.get(), keep = pool] { self->dispatch(); });
    } catch (...) {
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
        throw;
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    ::pthread_setname_np(pool->dispatcher_.native_handle(), "weft-processes");
    return pool;
}

process_pool_state::~process_pool_state() { close_all(); }

void process_pool_state::add_worker() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        throw std::system_error(errno, std::generic_category(), "socketpair for a worker of a process pool");
    worker w;
    w.socket = ends[0];
    workers_.push_back(std::move(w));   // there is room
    try {
        exec_layer::start_worker(server_, static_cast<std::int32_t>(workers_.size() - 1), ends[1]);
    } catch (...) {
        ::close(ends[1]);
        throw;
    }
    ::close(ends[1]);
}

/// Ends the processes: workers whose socket ends do so by themselves, the others are killed by the server when its socket ends.
void process_pool_state::close_all() noexcept {
    for (worker& w : workers_) close_socket(w.socket);
    close_socket(server_.control);
    close_socket(doorbell_);
    if (server_.pid > 0)
        while (::waitpid(server_.pid, nullptr, 0) < 0 && errno == EINTR) {}
    server_.pid = -1;
}

void process_pool_state::ring() noexcept {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(doorbell_, &one, sizeof one);   // full: it is readable anyway
}

void process_pool_state::enqueue(process_job& j) {
    const std::lock_guard lock(mutex_);
    if (!broken_.empty()) throw broken_process_pool(broken_ + "; the pool is broken, make a new one");
    if (stopping_) throw invalid_state("process_pool_executor: it is shut down and takes no more jobs");
    for (worker& w : workers_) {
        if (!w.idle()) continue;
        if (!give(w, j)) ring();
        return;
    }
    j.next_ = nullptr;
    j.previous_ = last_;
    (last_ ? last_->next_ : first_) = &j;
    last_ = &j;
    j.queued_ = true;
}

void process_pool_state::unlink(process_job& j) noexcept {
    (j.previous_ ? j.previous_->next_ : first_) = j.next_;
    (j.next_ ? j.next_->previous_ : last_) = j.previous_;
    j.queued_ = false;
}

process_job* process_pool_state::pop() noexcept {
    process_job* j = first_;
    if (j) unlink(*j);
    return j;
}

bool process_pool_state::withdraw(process_job& j) noexcept {
    const std::lock_guard lock(mutex_);
    if (!j.queued_) return false;
    unlink(j);
    return true;
}

bool process_pool_state::give(worker& w, process_job& j) noexcept {
    w.job = &j;
    w.sent = 0;
    return send_more(w);
}

bool process_pool_state::send_more(worker& w) noexcept {
    while (w.sending()) {
        const std::string& request = w.job->request_;
        const ssize_t size = ::send(w.socket, request.data() + w.sent, request.size() - w.sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0 && errno != EAGAIN) w.sent = request.size();   // it is gone: the dispatcher sees the end of the socket
        else if (size < 0) return false;
        else w.sent += static_cast<std::size_t>(size);
    }
    return true;
}

void process_pool_state::give_next(worker& w) noexcept {
    if (!w.idle()) return;
    if (process_job* next = pop()) give(w, *next);
}

void process_pool_state::stop(bool cancel_pending) noexcept {
    process_job* dropped = nullptr;
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        if (cancel_pending) {
            dropped = std::exchange(first_, nullptr);
            last_ = nullptr;
            for (process_job* j = dropped; j; j = j->next_) j->queued_ = false;
        }
        if (doorbell_ >= 0) ring();
    }
    while (dropped) {
        process_job& j = *dropped;
        dropped = j.next_;
        j.dropped();
    }
}

void process_pool_state::join() {
    if (dispatcher_.get_id() == std::this_thread::get_id()) return dispatcher_.detach();
    const kernel::thread_state& here = kernel::this_thread();
    if (!here.running || here.parkable) {   // a callback cannot wait: it blocks in std::thread::join
        const cancellation_hold hold;
        ended_.wait();
    }
    const std::lock_guard one(join_mutex_);
    if (dispatcher_.joinable()) dispatcher_.join();
}

// The dispatcher.

bool process_pool_state::over() const noexcept {
    return !broken_.empty() ||
           (stopping_ && !first_ && std::all_of(workers_.begin(), workers_.end(), [](const worker& w) { return w.ended; }));
}

void process_pool_state::dispatch() noexcept {
    std::vector<pollfd> wanted;
    finished_jobs finished;
    std::unique_lock lock(mutex_);
    for (;;) {
        if (stopping_) let_idle_workers_end();
        if (over()) break;
        wanted.assign({{doorbell_, POLLIN, 0}, {server_.control, POLLIN, 0}});
        for (const worker& w : workers_)   // a closed one has -1 for its socket, which poll passes over
            wanted.push_back({w.socket, static_cast<short>(w.sending() ? POLLIN | POLLOUT : POLLIN), 0});
        lock.unlock();
        while (::poll(wanted.data(), wanted.size(), -1) < 0) {}
        lock.lock();
        if (wanted[0].revents) {
            std::uint64_t rings;
            [[maybe_unused]] const ssize_t size = ::read(doorbell_, &rings, sizeof rings);
        }
        // Answers first: a worker that has answered and then died has answered.
        for (std::size_t i = 0; i < workers_.size(); ++i)
            if (wanted[i + 2].revents && broken_.empty()) serve_worker(workers_[i], wanted[i + 2].revents, finished);
        if (wanted[1].revents && broken_.empty()) hear_server(finished);
        lock.unlock();
        finished.tell();
        lock.lock();
    }
    stopping_ = true;
    close_all();
    lock.unlock();
    ended_.set();
}

void process_pool_state::serve_worker(worker& w, short events, finished_jobs& finished) {
    if (events & POLLOUT) send_more(w);
    if (events & (POLLIN | POLLHUP | POLLERR)) receive(w, finished);
    give_next(w);
}

void process_pool_state::receive(worker& w, finished_jobs& finished) {
    while (w.socket >= 0) {
        const ssize_t size = ::recv(w.socket, buffer_.get(), std::min(buffer_size, w.answer.wanted()), MSG_DONTWAIT);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0 && errno == EAGAIN) return;
        if (size <= 0) return lose(w);
        frame_reader::progress progress;
        try {
            progress = w.answer.take(buffer_.get(), static_cast<std::size_t>(size));
        } catch (const std::bad_alloc&) {   // the rest would have to be received all the same
            return fail_all("there is no memory for the answer of a worker process", finished);
        }
        if (progress == frame_reader::progress::more) continue;
        if (progress == frame_reader::progress::broken || !w.job || w.sending())
            return fail_all("a worker process sent what is no answer", finished);
        process_job& j = *std::exchange(w.job, nullptr);
        j.answer_ = w.answer.release();
        finished.add(j);
        return;
    }
}

void process_pool_state::lose(worker& w) {
    close_socket(w.socket);
    // It is dead, or has closed the socket itself, and then it must not live on. Either way the server will report its end.
    const server_command command{server_command::kill, static_cast<std::int32_t>(&w - workers_.data())};
    while (::send(server_.control, &command, sizeof command, MSG_NOSIGNAL) < 0 && errno == EINTR) {}
}

void process_pool_state::hear_server(finished_jobs& finished) {
    for (;;) {
        server_report r;
        const ssize_t size = ::recv(server_.control, &r, sizeof r, MSG_DONTWAIT);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0 && errno == EAGAIN) return;
        if (size != sizeof r) return fail_all("the server process of the pool has died", finished);
        worker& w = workers_.at(static_cast<std::size_t>(r.worker));
        if (w.socket >= 0) receive(w, finished);
        close_socket(w.socket);
        w.ended = true;
        if (!stopping_ || w.job || r.what == server_report::not_started) return fail_all(how_it_ended(r), finished);
    }
}

void process_pool_state::let_idle_workers_end() noexcept {
    for (worker& w : workers_) {
        give_next(w);
        if (w.idle()) close_socket(w.socket);
    }
}

void process_pool_state::fail_all(const std::string& reason, finished_jobs& finished) {
    broken_ = reason;
    const auto error = std::make_exception_ptr(broken_process_pool(reason));
    for (worker& w : workers_)
        if (w.job) finished.add(*std::exchange(w.job, nullptr), error);
    while (process_job* j = pop()) finished.add(*j, error);
}

void enqueue(process_pool_state& pool, process_job& j) { pool.enqueue(j); }

}  // namespace detail

namespace {

std::size_t checked_workers(std::size_t workers) {
    if (workers > detail::most_workers)
        throw std::invalid_argument("process_pool_executor: workers=" + std::to_string(workers) + ": must be at most " +
                                    std::to_string(detail::most_workers));
    return workers != 0 ? workers : std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, detail::most_workers);
}

}  // namespace

process_pool_executor::process_pool_executor(std::size_t workers)
    : state_(detail::process_pool_state::start(checked_workers(workers))) {}

process_pool_executor::~process_pool_executor() { shutdown(); }

void process_pool_executor::shutdown(bool cancel_pending) {
    state_->stop(cancel_pending);
    state_->join();
}

}  // namespace weft
