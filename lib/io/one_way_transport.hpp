#pragma once

/// one_way_transport: a stream's bytes over a file of one direction: a pipe's end, a standard stream.
///
/// There are two kinds of files, and each has a derived class:
///  - the stream's own (make_pipe_transport): an open file description that nobody else uses, so O_NONBLOCK is set on it;
///  - one that is shared with other processes (standard_stream.cpp): O_NONBLOCK, which belongs to the description and not to
///    the descriptor, would make *their* calls fail, and is left alone.
/// What cannot go on waits with the engine's poll, which needs no O_NONBLOCK.
///
/// SIGPIPE: write_quietly() writes without raising it.

#include <sys/uio.h>

#include <cerrno>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include <weft/error.hpp>

#include "engine/engine.hpp"
#include "io/socket_state.hpp"
#include "io/transport.hpp"

namespace weft::detail {

class one_way_transport : public transport {
public:
    /// \param name  of the file, for messages: "pipe", "standard input"
    one_way_transport(engine_layer::descriptor_ptr file, engine_layer::direction way, std::string name) noexcept
        : file_(std::move(file)), way_(way), name_(std::move(name)) {}

    void write_eof(const char* call) override {
        require(engine_layer::direction::write, call);
        close();
    }
    void close() override { engine_layer::close(*file_); }

protected:
    /// Throws what reading from the writing end must throw, and the reverse.
    void require(engine_layer::direction way, const char* call) const;

    /// Until attempt(fd) does not fail with EAGAIN: what it returned. Throws for any other failure.
    template <class Attempt>
    std::size_t try_or_wait(const char* call, Attempt attempt);

    const engine_layer::descriptor_ptr file_;   // a shell once it is closed
    const engine_layer::direction way_;
    const std::string name_;

private:
    void wait(const char* call);
    void attempt_succeeded() noexcept;
};

template <class Attempt>
std::size_t one_way_transport::try_or_wait(const char* call, Attempt attempt) {
    check_cancelled();
    for (;;) {
        const int fd = engine_layer::fd_of(*file_);
        if (fd < 0) throw_errno(EBADF, call, name_);
        const ssize_t result = attempt(fd);
        if (result >= 0) {
            attempt_succeeded();
            return static_cast<std::size_t>(result);
        }
        if (errno == EAGAIN) wait(call);
        else if (errno != EINTR) throw_errno(errno, call, name_);
    }
}

/// writev(2) that never raises SIGPIPE: -1 and EPIPE instead.
ssize_t write_quietly(int fd, std::span<const iovec> pieces) noexcept;
/// How it does that where the system does not: SIGPIPE is raised for the thread that writes; it is blocked there, and taken back.
ssize_t write_with_signal_blocked(int fd, std::span<const iovec> pieces) noexcept;

/// Takes over an end of a pipe, or another file that is non-blocking and the stream's own.
std::unique_ptr<transport> make_pipe_transport(engine_layer::descriptor_ptr file, engine_layer::direction way,
                                               std::string name);

}  // namespace weft::detail
