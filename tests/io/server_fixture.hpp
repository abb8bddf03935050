#pragma once

/// What the tests of servers share.

#include <string>

#include "fixture.hpp"

namespace io_test {

inline void echo(weft::stream s) {
    for (std::string part; !(part = s.read(10000)).empty();) s.write(part);
}

inline weft::stream connect_to(const weft::server& s) {
    const weft::endpoint where = s.endpoints().front();
    return weft::open_connection(where.host(), where.port());
}

inline std::string ask(weft::stream& s, const std::string& line) {
    s.write(line + '\n');
    return s.read_line();
}

/// Closes a server whose connections have ended, and waits until nothing of it is left.
inline void finish(weft::server& s) {
    s.close();
    s.wait_closed();
    CHECK(weft::all_tasks().size() == 1);
}

}  // namespace io_test
