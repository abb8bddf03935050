#pragma once

/// Children that do as they are told, and what the system knows of them.

#include <signal.h>
#include <sys/wait.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <weft/process.hpp>

#include "fixture.hpp"

namespace io_test {

using weft::create_subprocess_exec;
using weft::create_subprocess_shell;
using weft::process;
using weft::process_options;
using weft::stdio;

inline process_options piped() {
    process_options o;
    o.std_in = o.std_out = o.std_err = stdio::pipe;
    return o;
}
inline process_options read_from() {
    process_options o;
    o.std_in = stdio::devnull;
    o.std_out = stdio::pipe;
    return o;
}

/// What a program prints.
inline std::string output_of(std::vector<std::string> argv, process_options o = read_from()) {
    o.std_out = stdio::pipe;
    return create_subprocess_exec(std::move(argv), std::move(o)).communicate().first;
}

/// Runs until its standard input is closed.
inline process endless() {
    process_options o;
    o.std_in = stdio::pipe;
    o.std_out = stdio::devnull;
    return create_subprocess_exec({"cat"}, o);
}

/// 'R', 'S', 'Z' … ; 0: there is no such process.
inline char state_of(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const auto end_of_name = text.rfind(')');
    return end_of_name == text.npos ? 0 : text[end_of_name + 2];
}

/// This process has no child: none that runs, and no zombie.
inline bool childless() {
    siginfo_t info;
    return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD;
}

/// Lets the loop, or the thread, go on until something that another process does is true. What never comes is found out by
/// the test's own deadline.
template <class Condition>
void until(Condition condition) {
    while (!condition()) weft::sleep(1ms);
}

}  // namespace io_test
