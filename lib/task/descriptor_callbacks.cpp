#include "task/descriptor_callbacks.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>

#include <weft/loop.hpp>

#include "task/loop_state.hpp"

namespace weft::detail {

using engine_layer::direction;

namespace {

constexpr int batch_size = 64;

[[noreturn]] void fail(int error, const char* call, int fd) {
    std::string what = std::string(call) + " of descriptor " + std::to_string(fd);
    if (error == EPERM) what += ", a file that is always ready and cannot be watched";
    throw std::system_error(error, std::generic_category(), what);
}

}  // namespace

unsigned descriptor_callbacks::entry::events() const noexcept { return (reader ? EPOLLIN : 0u) | (writer ? EPOLLOUT : 0u); }

descriptor_callbacks::descriptor_callbacks(loop_state& s) : loop_(s) {
    watch_.owner = this;
    watch_.events = EPOLLIN;
    watch_.ready = [](engine_layer::watch& w, unsigned) noexcept { static_cast<set_watch&>(w).owner->look(); };
    watch_.fd = ::epoll_create1(EPOLL_CLOEXEC);
    const int error = watch_.fd < 0 ? errno : -loop_.core.engine->add(watch_);
    if (error == 0) return;
    if (watch_.fd >= 0) ::close(watch_.fd);
    throw std::system_error(error, std::generic_category(), "an epoll set for a loop's readers and writers");
}

descriptor_callbacks::~descriptor_callbacks() {
    loop_.core.engine->remove(watch_);
    ::close(watch_.fd);
}

int descriptor_callbacks::control(int operation, int fd, unsigned events) noexcept {
    epoll_event event{.events = events, .data = {.fd = fd}};
    return ::epoll_ctl(watch_.fd, operation, fd, &event) < 0 ? errno : 0;
}

void descriptor_callbacks::add(int fd, direction way, std::function<void()> f, const char* call) {
    if (fd < 0) throw std::invalid_argument(std::string(call) + ": fd=" + std::to_string(fd) + ": is no descriptor");
    auto made = std::make_shared<recurring_callback>(loop_, std::move(f));
    const auto [place, fresh] = entries_.try_emplace(fd);
    entry& e = place->second;
    std::swap(e.in(way), made);
    int error = fresh ? 0 : control(EPOLL_CTL_MOD, fd, e.events());
    const bool closed = error == ENOENT || error == EBADF;   // the file that had this number
    if (closed) make_anew();
    if (fresh || closed) error = control(EPOLL_CTL_ADD, fd, e.events());
    if (error == EEXIST) error = control(EPOLL_CTL_MOD, fd, e.events());
    if (error == 0) {
        if (made) made->stop();
        return;
    }
    std::swap(e.in(way), made);
    if (fresh) entries_.erase(place);
    fail(error, call, fd);
}

bool descriptor_callbacks::remove(int fd, direction way) noexcept {
    const auto place = entries_.find(fd);
    if (place == entries_.end()) return false;
    const auto removed = std::move(place->second.in(way));   // freed at the end: it may be running, and its end may add others
    if (!removed) return false;
    removed->stop();
    const unsigned events = place->second.events();
    if (events == 0) entries_.erase(place);
    if (control(events ? EPOLL_CTL_MOD : EPOLL_CTL_DEL, fd, events) != 0) make_anew();
    return true;
}

void descriptor_callbacks::look() noexcept {
    epoll_event batch[batch_size];
    const int count = ::epoll_wait(watch_.fd, batch, batch_size, 0);
    bool strangers = false;
    for (int i = 0; i < count; ++i) {
        const auto place = entries_.find(batch[i].data.fd);
        if (place == entries_.end()) {
            strangers = true;
            continue;
        }
        // Failure and hang-up are for both, as in asyncio: who reads or writes finds out.
        if (place->second.reader && batch[i].events & ~unsigned{EPOLLOUT}) place->second.reader->trigger();
        if (place->second.writer && batch[i].events & ~unsigned{EPOLLIN}) place->second.writer->trigger();
    }
    if (strangers) make_anew();
}

void descriptor_callbacks::make_anew() noexcept {
    const int made = ::epoll_create1(EPOLL_CLOEXEC);
    if (made < 0) return;   // no descriptor is left: strangers come again, and with them another attempt
    loop_.core.engine->remove(watch_);
    ::close(std::exchange(watch_.fd, made));
    for (const auto& [fd, e] : entries_) control(EPOLL_CTL_ADD, fd, e.events());   // a closed one stays out
    if (const int error = loop_.core.engine->add(watch_); error < 0)
        loop_.report({"the loop's readers and writers are lost",
                      std::make_exception_ptr(std::system_error(-error, std::generic_category(), "watching their epoll set")), {}});
}

}  // namespace weft::detail
