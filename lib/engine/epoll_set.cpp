#include "engine/epoll_set.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <system_error>

#include "kernel/sanitizers.hpp"

namespace weft::engine_layer {
namespace {

constexpr std::uintptr_t watch_tag = 1;   // in the low bit of an event's pointer; registrations have none

}  // namespace

epoll_set::epoll_set() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_ < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1 for a loop");
}

epoll_set::~epoll_set() { ::close(epoll_); }

int epoll_set::add(registration& r) noexcept {
    epoll_event event{.events = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.u64 = 0}};
    event.data.ptr = &r;
    return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, r.file, &event) < 0 ? -errno : 0;
}

int epoll_set::add_doorbell(int file) noexcept {
    epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.ptr = nullptr}};
    return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, file, &event) < 0 ? -errno : 0;
}

void epoll_set::remove(registration& r) noexcept {
    if (r.file >= 0) ::epoll_ctl(epoll_, EPOLL_CTL_DEL, r.file, nullptr);
}

void epoll_set::forget(registration& r) noexcept { forget(reinterpret_cast<std::uintptr_t>(&r)); }

void epoll_set::remove(watch& w) noexcept {
    control(EPOLL_CTL_DEL, w);
    forget(reinterpret_cast<std::uintptr_t>(&w) | watch_tag);
}

int epoll_set::control(int operation, watch& w) noexcept {
    epoll_event event{.events = w.events, .data = {.u64 = reinterpret_cast<std::uintptr_t>(&w) | watch_tag}};
    return ::epoll_ctl(epoll_, operation, w.fd, &event) < 0 ? -errno : 0;
}

void epoll_set::forget(std::uint64_t tagged) noexcept {
    for (int i = batch_next_; i < batch_count_; ++i)
        if (batch_[i].data.u64 == tagged) batch_[i].data.u64 = 0;
}

void epoll_set::dispatch(time_point deadline) noexcept {
    batch_count_ = collect(deadline);
    constexpr int ahead = 8;   // as far as the first to come is fetched
    for (int i = 0; i < std::min(ahead, batch_count_); ++i) __builtin_prefetch(batch_[i].data.ptr, 1);
    for (batch_next_ = 0; batch_next_ < batch_count_;) {
        if (batch_next_ + ahead < batch_count_) __builtin_prefetch(batch_[batch_next_ + ahead].data.ptr, 1);
        const epoll_event& event = batch_[batch_next_++];
        const auto tagged = event.data.u64;
        if (tagged == 0) continue;   // the doorbell, or forgotten
        if (tagged & watch_tag) {
            watch& w = *reinterpret_cast<watch*>(tagged & ~std::uint64_t{watch_tag});
            w.ready(w, event.events);
        } else {
            registration& r = *reinterpret_cast<registration*>(tagged);
            // The end, told together with the last bytes, is told once: from here on every read is tried.
            if (event.events & (EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) r.short_read_empties = false;
            r.ready(event.events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR),
                    event.events & (EPOLLOUT | EPOLLHUP | EPOLLERR));
        }
    }
    batch_count_ = 0;
}

int epoll_set::collect(time_point deadline) noexcept {
    timespec wait{};
    const bool forever = deadline == time_point::max();
    if (!forever && deadline != time_point::min()) {
        const auto left = std::max(deadline - std::chrono::steady_clock::now(), std::chrono::steady_clock::duration::zero());
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
        wait.tv_sec = seconds.count();
        wait.tv_nsec = (left - seconds).count();
    }
    int count = -1;
    if (!no_pwait2_) {
        kernel::signals_held until_it_waits;
        count = static_cast<int>(::syscall(SYS_epoll_pwait2, epoll_, batch_, batch_size, forever ? nullptr : &wait,
                                           until_it_waits.mask_for_wait(), NSIG / 8));
        if (count < 0 && errno == ENOSYS) no_pwait2_ = true;   // before Linux 5.11
    }
    if (no_pwait2_) {
        const long ms = forever ? -1 : std::min<long>(INT_MAX, wait.tv_sec * 1000 + (wait.tv_nsec + 999999) / 1000000);
        count = ::epoll_wait(epoll_, batch_, batch_size, static_cast<int>(ms));
    }
    return std::max(count, 0);   // EINTR: the loop makes another turn
}

}  // namespace weft::engine_layer
