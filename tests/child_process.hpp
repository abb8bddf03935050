#pragma once

/// in_child: runs a function in a forked process, for tests of how a process dies.

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include <catch2/catch.hpp>

namespace weft_test {

struct child_result {
    std::string error_output;
    int status = 0;

    bool died_of(int signal) const { return WIFSIGNALED(status) && WTERMSIG(status) == signal; }
    bool exited_with(int code) const { return WIFEXITED(status) && WEXITSTATUS(status) == code; }
    /// In how many places the text stands in what was written to standard error.
    int said(const std::string& text) const {
        int count = 0;
        for (auto at = error_output.find(text); at != std::string::npos; at = error_output.find(text, at + 1)) ++count;
        return count;
    }
};

/// The child exits with 0 when f returns, with f's result if that is an int, with 99 if it throws.
template <class F>
child_result in_child(F f) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        const rlimit no_core{0, 0};
        ::setrlimit(RLIMIT_CORE, &no_core);
        ::dup2(ends[1], STDERR_FILENO);
        ::close(ends[0]);
        ::close(ends[1]);
        int code = 0;
        try {
            if constexpr (std::is_void_v<std::invoke_result_t<F>>) f();
            else code = f();
        } catch (...) {
            code = 99;
        }
        ::_exit(code);
    }
    ::close(ends[1]);
    child_result result;
    char buffer[4096];
    for (;;) {
        const ssize_t size = ::read(ends[0], buffer, sizeof buffer);
        if (size < 0 && errno == EINTR) continue;
        if (size <= 0) break;
        result.error_output.append(buffer, static_cast<std::size_t>(size));
    }
    ::close(ends[0]);
    while (::waitpid(child, &result.status, 0) < 0 && errno == EINTR) {}
    return result;
}

}  // namespace weft_test
