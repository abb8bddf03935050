#include "engine/ring.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>
#include <system_error>

#include "kernel/sanitizers.hpp"

namespace weft::engine_layer {
namespace {

[[noreturn]] void missing(int error, const std::string& what) {
    throw std::system_error(error, std::generic_category(), "io_uring engine: " + what + "; the epoll engine works everywhere");
}

}  // namespace

ring::ring() {
    io_uring_params parameters{};
    parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
                       IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    parameters.cq_entries = completions;
    if (const int error = ::io_uring_queue_init_params(entries, &ring_, &parameters); error < 0) {
        if (error == -EINVAL) missing(EINVAL, "the kernel is too old, it needs Linux 6.1");
        missing(-error, "the kernel refuses io_uring_setup");
    }
    constexpr unsigned needed =
        IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_RW_CUR_POS | IORING_FEAT_EXT_ARG | IORING_FEAT_CQE_SKIP;
    bool complete = (parameters.features & needed) == needed;
    if (std::unique_ptr<io_uring_probe, void (*)(io_uring_probe*)> probe(::io_uring_get_probe_ring(&ring_), ::io_uring_free_probe);
        !probe) {
        complete = false;
    } else {
        for (const int operation : {IORING_OP_POLL_ADD, IORING_OP_RECV, IORING_OP_RECVMSG, IORING_OP_ACCEPT, IORING_OP_ASYNC_CANCEL,
                                    IORING_OP_OPENAT, IORING_OP_READ, IORING_OP_WRITE, IORING_OP_CLOSE})
            complete = complete && ::io_uring_opcode_supported(probe.get(), operation);
    }
    if (!complete) {
        ::io_uring_queue_exit(&ring_);
        missing(ENOSYS, "the kernel lacks operations that it needs");
    }
    ::io_uring_register_ring_fd(&ring_);   // saves the look-up of the descriptor; if it fails nothing is lost
}

ring::~ring() {
    ::io_uring_queue_exit(&ring_);
    if (event_ >= 0) ::close(event_);
}

int ring::event_fd() noexcept {
    if (event_ >= 0) return event_;
    const int made = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (made < 0) return -1;
    if (const int error = ::io_uring_register_eventfd(&ring_, made); error < 0) {
        ::close(made);
        errno = -error;
        return -1;
    }
    event_ = made;
    tell_what_is_left();
    return event_;
}

bool ring::has_room() noexcept {
    if (::io_uring_sq_space_left(&ring_) == 0) ::io_uring_submit(&ring_);
    return ::io_uring_sq_space_left(&ring_) > 0;
}

io_uring_sqe& ring::entry(request* r) noexcept {
    io_uring_sqe* made = ::io_uring_get_sqe(&ring_);
    // prep functions set all other fields but leave this one alone
    ::io_uring_sqe_set_data(made, r);
    return *made;
}

bool ring::kernel_has_work() const noexcept {
    return (io_uring_smp_load_acquire(ring_.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

/// What was told before now has been dealt with, or is still there to be seen. The kernel tells only of the first work that
/// it puts off: so the eventfd is emptied first, then that work is done, and what it brings shows as completions. The flag alone
/// says nothing: it is set after the work was put off, and stays when that has been done in between. The eventfd is registered anew
/// each time: work that the write to another eventfd brings is told of by way of a bit, which kernels set only once (6.18 does).
void ring::tell_what_is_left() noexcept {
    ::io_uring_unregister_eventfd(&ring_);
    const bool deaf = ::io_uring_register_eventfd(&ring_, event_) < 0;   // then the loop is to look, again and again
    std::uint64_t count = 0;
    [[maybe_unused]] const auto taken = ::read(event_, &count, sizeof count);
    if (kernel_has_work()) ::io_uring_submit_and_get_events(&ring_);
    if (!deaf && ::io_uring_cq_ready(&ring_) == 0 && ::io_uring_sq_ready(&ring_) == 0) return;
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(event_, &one, sizeof one);
}

void ring::submit_now() noexcept { ::io_uring_submit_and_get_events(&ring_); }

void ring::wait(time_point deadline) noexcept {
    // An interrupted call, and one for which the kernel is short of memory, are made up for in the loop's next turn.
    if (deadline == time_point::min() || ::io_uring_cq_ready(&ring_) > 0) {
        if (::io_uring_sq_ready(&ring_) > 0 || kernel_has_work()) ::io_uring_submit_and_get_events(&ring_);
    } else {
        __kernel_timespec time{};
        const bool forever = deadline == time_point::max();
        if (!forever) {
            const auto left = std::max(deadline - std::chrono::steady_clock::now(), std::chrono::steady_clock::duration::zero());
            const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
            time.tv_sec = seconds.count();
            time.tv_nsec = (left - seconds).count();
        }
        io_uring_cqe* first = nullptr;
        kernel::signals_held until_it_waits;
        sigset_t* const mask = until_it_waits.mask_for_wait();
        if (mask) ::io_uring_submit(&ring_);   // interrupted after it has submitted, the next call would not say so, but wait on
        ::io_uring_submit_and_wait_timeout(&ring_, &first, 1, forever ? nullptr : &time, mask);
    }
    for (unsigned left = ::io_uring_cq_ready(&ring_); left > 0; --left) {
        io_uring_cqe* next = nullptr;
        if (::io_uring_peek_cqe(&ring_, &next) < 0 || !next) break;
        auto* r = static_cast<request*>(::io_uring_cqe_get_data(next));
        const int result = next->res;
        const unsigned flags = next->flags;
        ::io_uring_cqe_seen(&ring_, next);   // before r is told: it may go to the ring itself
        if (r) r->complete(*r, result, flags);
    }
    if (event_ >= 0) tell_what_is_left();
}

}  // namespace weft::engine_layer
