#include "loop/embedding.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <system_error>

#include "loop/core.hpp"

namespace weft::loop_layer {

embedding::embedding(core& c) : core_(c) {
    const auto watch = [&](int fd, unsigned edges = 0) {
        epoll_event event{.events = EPOLLIN | edges, .data = {.fd = fd}};
        return fd >= 0 && ::epoll_ctl(set_, EPOLL_CTL_ADD, fd, &event) == 0;
    };
    set_ = ::epoll_create1(EPOLL_CLOEXEC);
    timer_ = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    work_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (set_ < 0 || !watch(timer_) || !watch(work_) || !watch(core_.engine->fd()) ||
        !watch(core_.scheduler.mailbox().doorbell(), EPOLLET)) {
        const int error = errno;
        close_all();
        throw std::system_error(error, std::generic_category(), "descriptors for loop::fd");
    }
    take_ring();   // of an earlier loop that had the same doorbell
}

embedding::~embedding() {
    if (asleep_) core_.scheduler.mailbox().wake_up();
    close_all();
}

void embedding::take_ring() noexcept {
    epoll_event seen[4];
    ::epoll_wait(set_, seen, 4, 0);
}

void embedding::close_all() noexcept {
    for (const int fd : {set_, timer_, work_})
        if (fd >= 0) ::close(fd);
}

void embedding::entering() noexcept {
    away_ = false;
    if (asleep_) core_.scheduler.mailbox().wake_up();
    asleep_ = false;
    take_ring();
    std::uint64_t count;
    [[maybe_unused]] const auto taken = ::read(work_, &count, sizeof count);
}

void embedding::leaving() noexcept {
    away_ = true;
    announce();
}

void embedding::refresh() noexcept {
    if (away_) announce();
}

void embedding::announce() noexcept {
    const detail::time_point next = core_.scheduler.next_deadline();
    bool work = core_.scheduler.anything_ready() || next <= detail::now();
    if (!work && !asleep_) {
        asleep_ = core_.scheduler.mailbox().fall_asleep();
        work = !asleep_;   // a message, or a ring
    }
    if (work) {
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto written = ::write(work_, &one, sizeof one);
        return;
    }
    itimerspec at{};   // zero: none
    if (next != detail::time_point::max()) {
        const auto since = next.time_since_epoch();
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since);
        at.it_value.tv_sec = seconds.count();
        at.it_value.tv_nsec = std::chrono::nanoseconds(since - seconds).count();
    }
    ::timerfd_settime(timer_, TFD_TIMER_ABSTIME, &at, nullptr);
}

}  // namespace weft::loop_layer
