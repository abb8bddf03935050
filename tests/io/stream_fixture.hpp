#pragma once

/// stream_pair: two ends of a connection.

#include <cstddef>
#include <utility>

#include "fixture.hpp"

namespace io_test {

struct stream_pair {
    explicit stream_pair(std::pair<weft::socket, weft::socket> ends = unix_pair(), std::size_t limit = 64 * 1024)
        : near(std::move(ends.first), limit), far(std::move(ends.second)) {}
    weft::stream near, far;
};

}  // namespace io_test
