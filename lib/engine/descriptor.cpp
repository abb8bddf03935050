#include "engine/descriptor.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <system_error>
#include <utility>

#include <weft/error.hpp>

#include "kernel/scheduler.hpp"

namespace weft::engine_layer {

using detail::gate_lock;
using detail::waiter;

bool registration::idle() noexcept {
    gate_lock lock(gate_);
    return !reader_ && !writer_;
}

bool registration::enter_waiter(direction way, waiter& w) noexcept {
    gate_lock lock(gate_);
    waiter*& place = way == direction::read ? reader_ : writer_;
    if (place) return false;
    place = &w;
    return true;
}

bool registration::leave_waiter(direction way, waiter& w) noexcept {
    gate_lock lock(gate_);
    waiter*& place = way == direction::read ? reader_ : writer_;
    if (place != &w) return false;
    place = nullptr;
    return true;
}

void registration::ready(bool readable, bool writable) noexcept {
    if (readable) expects_data = true;
    detail::wake_batch batch;
    gate_lock lock(gate_);
    for (waiter** place : {readable ? &reader_ : nullptr, writable ? &writer_ : nullptr}) {
        // It stays entered until it has run: a close that comes before then must reach it.
        if (place && *place && (*place)->claim(lock)) batch.add(**place);
    }
    lock.leave();
    batch.wake_all();
}

void registration::wake_closed(const gate_lock& lock, detail::wake_batch& batch) noexcept {
    for (waiter** place : {&reader_, &writer_}) {
        waiter* w = std::exchange(*place, nullptr);
        if (!w) continue;
        if (w->claim(lock)) batch.add(*w);
        // Also for one that is timed out or cancelled already and has not run yet, or runs just now: it is gone once it sees
        // this.
        std::atomic_ref(w->slot).store(closed_mark, std::memory_order_release);
    }
}

void registration::ready(waiter& w) noexcept {
    gate_lock lock(gate_);
    const bool claimed = w.claim(lock);
    lock.leave();
    if (claimed) waiter::wake(w);
}

bool registration::retire(bool closing) noexcept {
    detail::wake_batch batch;
    gate_lock lock(gate_);
    wake_closed(lock, batch);
    engine* e = engine_.load(std::memory_order_relaxed);
    engine_.store(nullptr, std::memory_order_relaxed);
    if (!e) {
        lock.leave();
        batch.wake_all();
        delete this;
        return false;
    }
    detached_ = e->detach(*this);
    if (&e->home() == kernel::scheduler::current()) {
        lock.leave();
        leave();
        batch.wake_all();
        end();
        return false;
    }
    // Another thread's: it may be dealing with an event for this at this moment, and frees it between two turns.
    closes_file_ = closing && !detached_;
    if (detached_) file = -1;
    const bool takes_file = closes_file_;
    deliver = [](message& m) noexcept { static_cast<registration&>(m).deliver_retired(); };
    e->home().mailbox().post(*this);   // under the gate: the engine cannot die before it is posted
    lock.leave();
    batch.wake_all();
    return takes_file;
}

void registration::deliver_retired() noexcept {
    gate_lock(gate_).leave();   // who posted this may not have left it yet
    engine* e = kernel::scheduler::current()->engine;   // null: it has closed meanwhile, and holds no file any more
    if (!detached_ && e) e->detach(*this);
    if (closes_file_) ::close(file);
    leave();
    end();
}

void registration::end() noexcept {
    if (in_flight > 0) kept_ = true;
    else delete this;
}

void registration::operation_over() noexcept {
    if (--in_flight == 0 && kept_) delete this;
}

bool registration::retired() noexcept {
    gate_lock lock(gate_);
    return !engine_.load(std::memory_order_relaxed);
}

void registration::abandon() noexcept {
    gate_lock lock(gate_);
    if (engine* e = engine_.load(std::memory_order_relaxed)) {
        e->detach(*this);
        engine_.store(nullptr, std::memory_order_relaxed);
    }
    leave();
}

void registration::enter(registration*& first) noexcept {
    list_ = &first;
    next_ = first;
    if (first) first->previous_ = this;
    first = this;
}

void registration::leave() noexcept {
    if (!list_) return;
    (previous_ ? previous_->next_ : *list_) = next_;
    if (next_) next_->previous_ = previous_;
    list_ = nullptr;
    next_ = previous_ = nullptr;
}

int descriptor::move_to(engine& e) noexcept {
    if (registered) {
        if (!registered->idle()) return -EALREADY;
        std::exchange(registered, nullptr)->retire();
    }
    auto* made = new (std::nothrow) registration(file, e);
    if (!made) return -ENOMEM;
    if (const int error = e.attach(*made); error < 0) {
        delete made;
        return error;
    }
    registered = made;
    return 0;
}

descriptor_ptr adopt(int fd) {
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0 || (!(flags & O_NONBLOCK) && ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0))
        throw std::system_error(errno, std::generic_category(), "taking over descriptor " + std::to_string(fd));
    return descriptor_ptr(new descriptor(fd));
}

descriptor_ptr adopt_shared(int fd) { return descriptor_ptr(new descriptor(fd)); }

int fd_of(const descriptor& d) noexcept { return d.file; }

void set_owner(descriptor& d, const void* owner) noexcept { d.owner = owner; }

int close(descriptor& d) noexcept {
    const int fd = std::exchange(d.file, -1);
    if (d.registered && std::exchange(d.registered, nullptr)->retire(true)) return 0;
    if (fd < 0) return -EBADF;
    // EINTR: the file is closed on Linux all the same.
    return ::close(fd) < 0 && errno != EINTR ? -errno : 0;
}

int release(descriptor_ptr d) noexcept {
    if (d->registered) std::exchange(d->registered, nullptr)->retire();
    return std::exchange(d->file, -1);
}

void descriptor_closer::operator()(descriptor* d) const noexcept {
    close(*d);
    delete d;
}

engine& current_engine(const char* call) {
    kernel::scheduler* s = kernel::scheduler::current();
    if (!s) throw no_running_loop(call);
    if (!s->may_park()) throw no_running_task(call);
    return *s->engine;
}

}  // namespace weft::engine_layer
