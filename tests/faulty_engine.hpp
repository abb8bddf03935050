#pragma once

/// faulty_engine: an engine that passes on what it is asked, and misbehaves as networks and kernels do, by a seed: it
/// transfers less than it could, is late to begin and late to tell, says that something is ready which is not, fails.
///
/// What it does may never lose anything: an operation is failed before it is begun, and one that was done is told, however
/// late. EINTR, which engines deal with themselves, comes from signals (signal_storm).

#include <pthread.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "engine/engine.hpp"
#include "kernel/park.hpp"
#include "kernel/scheduler.hpp"
#include "loop/core.hpp"

namespace weft_test {

/// How often, of a thousand times.
struct fault_rates {
    unsigned seed = 1;
    unsigned short_transfer = 0;
    unsigned late_begin = 0;    // some turns before it is tried: a storm of EAGAIN
    unsigned late_end = 0;      // some turns after it was done
    unsigned false_ready = 0;   // of polls
    unsigned reset = 0;         // ECONNRESET of a transfer
    unsigned no_buffers = 0;    // ENOBUFS of a send
    unsigned no_files = 0;      // EMFILE of an accept, and of opening a file
    unsigned aborted = 0;       // ECONNABORTED of an accept
    int accept_error = 0;       // of the first accepts,
    long failing_accepts = 0;   // so many
};

class faulty_engine final : public weft::engine_layer::engine {
    using descriptor = weft::engine_layer::descriptor;
    using direction = weft::engine_layer::direction;
    using io_result = weft::engine_layer::io_result;
    using registration = weft::engine_layer::registration;
    using time_point = weft::detail::time_point;
    using watch = weft::engine_layer::watch;
    using file_call = weft::engine_layer::file_call;

public:
    faulty_engine(std::unique_ptr<engine> real, fault_rates rates)
        : real_(std::move(real)), rates_(rates), random_(rates.seed) {}

    static inline std::atomic<long> faults{0};   // so many have been made, by all of them

    const char* name() const noexcept override { return real_->name(); }
    void wait(time_point deadline) noexcept override { real_->wait(deadline); }

    io_result accept(descriptor& d, sockaddr* a, socklen_t* size, int flags, time_point deadline) noexcept override {
        late(rates_.late_begin);
        if (accepts_++ < rates_.failing_accepts) {
            faults.fetch_add(1, std::memory_order_relaxed);
            return -rates_.accept_error;
        }
        if (happens(rates_.no_files)) return -EMFILE;
        if (happens(rates_.aborted)) return -ECONNABORTED;
        return told_late(real_->accept(d, a, size, flags, deadline));
    }
    io_result connect(descriptor& d, const sockaddr* a, socklen_t size, time_point deadline) noexcept override {
        late(rates_.late_begin);
        return told_late(real_->connect(d, a, size, deadline));
    }
    io_result receive(descriptor& d, msghdr& message, int flags, time_point deadline) noexcept override {
        late(rates_.late_begin);
        if (happens(rates_.reset)) return -ECONNRESET;
        if (!is_stream(d) || !happens(rates_.short_transfer)) return told_late(real_->receive(d, message, flags, deadline));
        msghdr less = message;
        std::vector<iovec> pieces = cut(message);
        less.msg_iov = pieces.data();
        less.msg_iovlen = pieces.size();
        const io_result r = real_->receive(d, less, flags, deadline);
        message.msg_flags = less.msg_flags;
        message.msg_namelen = less.msg_namelen;
        message.msg_controllen = less.msg_controllen;
        return told_late(r);
    }
    io_result receive_bytes(descriptor& d, void* to, std::size_t room, time_point deadline) noexcept override {
        late(rates_.late_begin);
        if (happens(rates_.reset)) return -ECONNRESET;
        return told_late(real_->receive_bytes(d, to, is_stream(d) ? shorter(room) : room, deadline));
    }
    io_result send(descriptor& d, const msghdr& message, int flags, time_point deadline) noexcept override {
        late(rates_.late_begin);
        if (const int error = failure(rates_.reset, rates_.no_buffers)) return -error;
        if (!is_stream(d) || !happens(rates_.short_transfer)) return told_late(real_->send(d, message, flags, deadline));
        msghdr less = message;
        std::vector<iovec> pieces = cut(message);
        less.msg_iov = pieces.data();
        less.msg_iovlen = pieces.size();
        return told_late(real_->send(d, less, flags, deadline));
    }
    io_result read(descriptor& d, void* to, std::size_t size, time_point deadline) noexcept override {
        late(rates_.late_begin);
        return told_late(real_->read(d, to, shorter(size), deadline));
    }
    io_result write(descriptor& d, const void* from, std::size_t size, time_point deadline) noexcept override {
        late(rates_.late_begin);
        return told_late(real_->write(d, from, shorter(size), deadline));
    }
    io_result send_file(descriptor& to, int from, off_t* offset, std::size_t size, time_point deadline) noexcept override {
        late(rates_.late_begin);
        if (const int error = failure(rates_.reset, 0)) return -error;
        return told_late(real_->send_file(to, from, offset, shorter(size), deadline));
    }
    io_result poll(descriptor& d, direction way, time_point deadline) noexcept override {
        late(rates_.late_begin);
        if (happens(rates_.false_ready)) return way == direction::read ? POLLIN : POLLOUT;
        return told_late(real_->poll(d, way, deadline));
    }
    io_result poll_fd(int fd, direction way, time_point deadline, const char* what) noexcept override {
        if (happens(rates_.false_ready)) return way == direction::read ? POLLIN : POLLOUT;
        return told_late(real_->poll_fd(fd, way, deadline, what));
    }
    io_result perform(const file_call& call, const char* what) noexcept override {
        file_call less = call;
        using kind = file_call::kind;
        if (call.what == kind::read || call.what == kind::write) less.size = shorter(call.size);
        const bool opens = call.what == kind::open || call.what == kind::load || call.what == kind::store;
        if (opens && happens(rates_.no_files)) return -EMFILE;
        return told_late(real_->perform(less, what));
    }

    int add(watch& w) noexcept override { return real_->add(w); }
    int modify(watch& w) noexcept override { return real_->modify(w); }
    void remove(watch& w) noexcept override { real_->remove(w); }
    int fd() noexcept override { return real_->fd(); }
    int attach(registration& r) noexcept override { return real_->attach(r); }
    bool detach(registration& r) noexcept override { return real_->detach(r); }
    weft::kernel::scheduler& home() noexcept override { return real_->home(); }

private:
    bool happens(unsigned rate) noexcept {
        if (rate == 0 || random_() % 1000 >= rate) return false;
        faults.fetch_add(1, std::memory_order_relaxed);
        return true;
    }
    int failure(unsigned reset, unsigned no_buffers) noexcept {
        if (happens(reset)) return ECONNRESET;
        return happens(no_buffers) ? ENOBUFS : 0;
    }
    /// Others run a few times. A cancellation that comes meanwhile stays pending.
    bool late(unsigned rate) noexcept {
        if (!happens(rate)) return false;
        for (unsigned turns = 1 + static_cast<unsigned>(random_()) % 4; turns > 0; --turns) home().yield();
        return true;
    }
    io_result told_late(io_result r) noexcept {
        late(rates_.late_end);
        return r;
    }
    std::size_t shorter(std::size_t size) noexcept {
        return size > 1 && happens(rates_.short_transfer) ? 1 + random_() % (size - 1) : size;
    }
    static bool is_stream(const descriptor& d) noexcept {
        int type = 0;
        socklen_t size = sizeof type;
        return ::getsockopt(weft::engine_layer::fd_of(d), SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
    }
    /// The first bytes of a message, fewer than it has, but one at least.
    std::vector<iovec> cut(const msghdr& message) {
        std::vector<iovec> pieces(message.msg_iov, message.msg_iov + message.msg_iovlen);
        std::size_t total = 0;
        for (const iovec& piece : pieces) total += piece.iov_len;
        std::size_t left = total > 1 ? 1 + random_() % std::min<std::size_t>(total - 1, 1000) : total;
        for (iovec& piece : pieces) left -= piece.iov_len = std::min(piece.iov_len, left);
        return pieces;
    }

    std::unique_ptr<engine> real_;
    const fault_rates rates_;
    std::minstd_rand random_;
    long accepts_ = 0;
};

/// While it lives every loop that is made has a faulty engine.
class faults_installed {
public:
    explicit faults_installed(fault_rates r) {
        rates() = r;
        faulty_engine::faults = 0;
        weft::loop_layer::installed_engine_wrapper =
            [](std::unique_ptr<weft::engine_layer::engine> real) -> std::unique_ptr<weft::engine_layer::engine> {
            return std::make_unique<faulty_engine>(std::move(real), rates());
        };
    }
    ~faults_installed() { weft::loop_layer::installed_engine_wrapper = nullptr; }
    faults_installed(const faults_installed&) = delete;
    faults_installed& operator=(const faults_installed&) = delete;

private:
    static fault_rates& rates() {
        static fault_rates r;
        return r;
    }
};

/// While it lives the thread that made it gets a signal, without SA_RESTART, some thousand times a second.
class signal_storm {
public:
    signal_storm() : victim_(::pthread_self()) {
        struct sigaction nothing {};
        nothing.sa_handler = [](int) {};
        ::sigaction(SIGUSR2, &nothing, &before_);
        thread_ = std::thread([this] {
            while (!over_) {
                ::pthread_kill(victim_, SIGUSR2);
                std::this_thread::sleep_for(std::chrono::microseconds(200));
            }
        });
    }
    ~signal_storm() {
        over_ = true;
        thread_.join();
        ::sigaction(SIGUSR2, &before_, nullptr);
    }
    signal_storm(const signal_storm&) = delete;
    signal_storm& operator=(const signal_storm&) = delete;

private:
    const pthread_t victim_;
    std::atomic<bool> over_{false};
    struct sigaction before_ {};
    std::thread thread_;
};

}  // namespace weft_test
