#pragma once

/// What the tests of process pools share: a job that blocks in its worker from when it has begun until the test lets it end.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>

#include "exec/fixture.hpp"

namespace exec_test {

/// Reads a named pipe to its end: opening it waits for the writer.
inline int read_pipe(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    char byte;
    int count = 0;
    while (::read(fd, &byte, 1) == 1) ++count;
    ::close(fd);
    return count;
}

/// The other side of read_pipe, in the test.
class named_pipe {
public:
    named_pipe() {
        char folder[] = "/tmp/weft-exec-XXXXXX";
        REQUIRE(::mkdtemp(folder));
        folder_ = folder;
        path_ = folder_ + "/pipe";
        REQUIRE(::mkfifo(path_.c_str(), 0600) == 0);
    }
    ~named_pipe() {
        if (fd_ >= 0) ::close(fd_);   // nothing is written: the reader may be dead
        ::unlink(path_.c_str());
        ::rmdir(folder_.c_str());
    }
    const std::string& path() const { return path_; }

    /// Waits until a job reads.
    void wait_begun() {
        until([this] {
            fd_ = ::open(path_.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
            return fd_ >= 0;
        });
    }
    bool begun() {
        const int fd = ::open(path_.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        if (fd >= 0) ::close(fd);
        return fd >= 0;
    }
    /// What a job gets that is let end.
    void let_end() {
        if (fd_ < 0) return;
        [[maybe_unused]] const ssize_t written = ::write(fd_, "x", 1);
        ::close(fd_);
        fd_ = -1;
    }

private:
    std::string folder_, path_;
    int fd_ = -1;
};

inline pid_t own_pid() { return ::getpid(); }
inline int add(int a, int b) { return a + b; }

/// A test leaves no child, neither alive nor dead.
struct processes_fixture : threads_fixture {
    ~processes_fixture() { CHECK((::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD)); }
};

}  // namespace exec_test
