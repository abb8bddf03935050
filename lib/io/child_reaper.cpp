// Who watches the children of loops that have closed: one thread for the process, with all signals blocked, started with the first
// such child and ended with the last.
//
// Invariants
//  - running says that the thread will look into `fresh` again; it is cleared only under the mutex and with nothing left.
//  - The state is never destroyed: the thread may run while the process exits.

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "io/child.hpp"

namespace weft::detail {
namespace {

struct reaper {
    std::mutex mutex;
    std::vector<std::shared_ptr<child>> fresh;   // that the thread has not seen
    bool running = false;
    const int wakeup = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);   // -1: it looks twice a second
};

reaper& the_reaper() {
    static reaper& r = *new reaper;
    return r;
}

void run(reaper& r) {
    std::vector<std::shared_ptr<child>> watched;
    for (;;) {
        {
            const std::lock_guard lock(r.mutex);
            watched.insert(watched.end(), std::move_iterator(r.fresh.begin()), std::move_iterator(r.fresh.end()));
            r.fresh.clear();
            std::erase_if(watched, [](const auto& c) { return c->look(); });
            if (watched.empty()) {
                r.running = false;
                return;
            }
        }
        std::vector<pollfd> files{{r.wakeup, POLLIN, 0}};   // a negative one is passed over
        for (const auto& c : watched) files.push_back({c->pidfd(), POLLIN, 0});
        ::poll(files.data(), files.size(), r.wakeup < 0 ? 500 : -1);
        std::uint64_t count = 0;
        [[maybe_unused]] const ssize_t drained = ::read(r.wakeup, &count, sizeof count);
    }
}

}  // namespace

void watch_without_loop(std::shared_ptr<child> c) noexcept {
    reaper& r = the_reaper();
    const std::lock_guard lock(r.mutex);
    r.fresh.push_back(std::move(c));
    if (r.running) {
        const std::uint64_t one = 1;
        [[maybe_unused]] const ssize_t written = ::write(r.wakeup, &one, sizeof one);
        return;
    }
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);   // the thread begins with it
    try {
        std::thread(run, std::ref(r)).detach();
        r.running = true;
    } catch (const std::system_error&) {
        // No more threads: the next child that is left behind tries again.
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace weft::detail
