#pragma once

/// epoll_set: an epoll instance with what it watches: registrations, edge-triggered in both directions, and watches,
/// level-triggered. Both engines keep watches in one.
///
/// Invariants: events are collected and handed out by dispatch() only, on the loop's own stack. A watch that is taken out of
/// the set while a batch is handed out gets no event of that batch; nor does a registration that is forgotten. The batch is the
/// loop's thread's alone: what another thread takes out must live until the batch has been handed out.

#include <sys/epoll.h>

#include <cstdint>

#include "engine/descriptor.hpp"
#include "engine/engine.hpp"

namespace weft::engine_layer {

class epoll_set {
public:
    /// Throws std::system_error.
    epoll_set();
    ~epoll_set();
    epoll_set(const epoll_set&) = delete;
    epoll_set& operator=(const epoll_set&) = delete;

    int fd() const noexcept { return epoll_; }

    // 0 or -errno.
    int add(registration& r) noexcept;
    int add(watch& w) noexcept { return control(EPOLL_CTL_ADD, w); }
    int modify(watch& w) noexcept { return control(EPOLL_CTL_MOD, w); }
    /// A file whose edges end dispatch() and are for nobody.
    int add_doorbell(int file) noexcept;

    void remove(registration& r) noexcept;   // any thread
    void forget(registration& r) noexcept;   // the loop's: the batch that is being handed out
    void remove(watch& w) noexcept;

    /// Waits for events until the deadline and hands them out.
    void dispatch(time_point deadline) noexcept;

private:
    int control(int operation, watch& w) noexcept;
    void forget(std::uint64_t tagged) noexcept;
    int collect(time_point deadline) noexcept;

    static constexpr int batch_size = 256;

    const int epoll_;
    bool no_pwait2_ = false;
    int batch_count_ = 0;
    int batch_next_ = 0;
    epoll_event batch_[batch_size];
};

}  // namespace weft::engine_layer
