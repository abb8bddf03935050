#include "kernel/inbox.hpp"

#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <system_error>

namespace weft::kernel {
namespace {

std::mutex free_mutex;
inbox* first_free = nullptr;

}  // namespace

inbox::inbox() : doorbell_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (doorbell_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd for a loop");
}

inbox* inbox::acquire() {
    {
        std::lock_guard lock(free_mutex);
        if (inbox* box = first_free) {
            first_free = box->next_free_;
            box->bell_.store(awake, std::memory_order_relaxed);
            return box;
        }
    }
    return new inbox;
}

void inbox::give_back(inbox* box) noexcept {
    std::lock_guard lock(free_mutex);
    box->next_free_ = first_free;
    first_free = box;
}

void inbox::post(message& m) noexcept {
    message* head = head_.load(std::memory_order_relaxed);
    do m.next = head;
    while (!head_.compare_exchange_weak(head, &m, std::memory_order_seq_cst, std::memory_order_relaxed));
    // From here on m, and the loop itself, may be gone; the inbox is not.
    if (bell_.load(std::memory_order_seq_cst) != awake) ring();
}

void inbox::ring() noexcept {
    if (bell_.exchange(rung, std::memory_order_seq_cst) != asleep) return;
    const int saved = errno;   // may run in a signal handler
    const std::uint64_t one = 1;
    [[maybe_unused]] auto written = ::write(doorbell_, &one, sizeof one);   // full: it has been rung already
    errno = saved;
}

bool inbox::deliver() noexcept {
    if (!full()) return false;
    message* newest = head_.exchange(nullptr, std::memory_order_acquire);
    message* oldest = nullptr;
    while (newest) {
        message* next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        message* m = oldest;
        oldest = m->next;   // before deliver: m may be gone after it
        m->deliver(*m);
    }
    return true;
}

bool inbox::fall_asleep() noexcept {
    int expected = awake;
    if (!bell_.compare_exchange_strong(expected, asleep, std::memory_order_seq_cst)) {
        wake_up();   // a ring came while awake: take it as the reason for a turn
        return false;
    }
    if (head_.load(std::memory_order_seq_cst) == nullptr) return true;
    wake_up();
    return false;
}

void inbox::wake_up() noexcept {
    // Not a store: what the last to ring has written before must be seen in the turn that is its answer.
    bell_.exchange(awake, std::memory_order_seq_cst);   // the eventfd is never read: it is watched for edges
}

bool several_processors() noexcept {
    static const bool several = [] {
        cpu_set_t allowed;
        return ::sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) > 1;
    }();
    return several;
}

}  // namespace weft::kernel
