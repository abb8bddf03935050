#pragma once

/// trying_engine: the operations as both engines can do them: try, and if that would have to wait, wait until the file is
/// ready, and try again. An engine says how it waits, and does otherwise what it can do better.

#include "engine/descriptor.hpp"
#include "engine/engine.hpp"
#include "kernel/scheduler.hpp"

namespace weft::engine_layer {

class trying_engine : public engine {
public:
    io_result accept(descriptor&, sockaddr*, socklen_t*, int flags, time_point deadline) noexcept override;
    io_result connect(descriptor&, const sockaddr*, socklen_t, time_point deadline) noexcept override;
    io_result receive(descriptor&, msghdr&, int flags, time_point deadline) noexcept override;
    io_result receive_bytes(descriptor&, void* to, std::size_t room, time_point deadline) noexcept override;
    io_result send(descriptor&, const msghdr&, int flags, time_point deadline) noexcept override;
    io_result read(descriptor&, void* to, std::size_t size, time_point deadline) noexcept override;
    io_result write(descriptor&, const void* from, std::size_t size, time_point deadline) noexcept override;
    io_result send_file(descriptor& to, int from, off_t* offset, std::size_t size, time_point deadline) noexcept override;
    io_result poll(descriptor&, direction, time_point deadline) noexcept override;
    io_result poll_fd(int fd, direction, time_point deadline, const char* what) noexcept override;
    kernel::scheduler& home() noexcept override { return scheduler_; }

protected:
    trying_engine();

    /// Suspends until it makes sense to try again; also at once. 0, or how the wait ended otherwise.
    virtual io_result wait_ready(descriptor&, direction, time_point deadline, const char* what) noexcept = 0;

    /// recvmsg, of a stream, and sendmsg, by the shorter way where there is one buffer and nothing else.
    static ssize_t receive_now(int fd, msghdr& message, int flags) noexcept;
    static ssize_t send_now(int fd, const msghdr& message, int flags) noexcept;

    /// The poll(2) events that are there; -1 with errno EAGAIN: none.
    static ssize_t look(int fd, direction way) noexcept;

    /// Waits for the file by a watch. The file may be watched or registered already.
    io_result wait_watched(int fd, direction, time_point deadline, const char* what) noexcept;

    /// Says what the running fiber will touch when it goes on.
    void will_touch(const descriptor& d, const registration& r) noexcept {
        const void** const hints = scheduler_.running_fiber().touched_by_engine;
        hints[0] = &d;
        hints[1] = d.owner;
        hints[2] = &r;
    }

private:
    template <class Attempt>
    io_result perform(descriptor&, direction, time_point deadline, const char* what, Attempt) noexcept;
    template <class Attempt>
    io_result go_on(descriptor&, direction, time_point deadline, const char* what, Attempt) noexcept;

    kernel::scheduler& scheduler_;
};

}  // namespace weft::engine_layer
