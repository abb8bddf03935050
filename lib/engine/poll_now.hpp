#pragma once

/// poll_now: poll(2) that looks and does not wait. Even so it fails with EINTR, when nothing is ready and a signal is about to
/// be delivered; then it looks again.

#include <poll.h>

#include <cerrno>

namespace weft::engine_layer {

/// 1: p.revents says what it is ready for; 0: nothing; -1, with errno: it failed.
inline int poll_now(pollfd& p) noexcept {
    for (;;) {
        const int count = ::poll(&p, 1, 0);
        if (count >= 0 || errno != EINTR) return count;
    }
}

}  // namespace weft::engine_layer
