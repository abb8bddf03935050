#pragma once

/// file_state: what a file owns, at an address that stays when the file is moved; and how its calls are made.
///
/// Invariants
///  - closed says that no new call may begin. The descriptor stays open until the calls that are inside have left, since a
///    thread or the kernel may be using its number. Then file is null, or a shell.
///  - users and orphaned: as in socket_state.
///  - unread is what a read up to the end, of a file without positions, had read when it was cut off: it is read first.

#include <string>

#include "engine/engine.hpp"

namespace weft::detail {

struct file_state {
    file_state(engine_layer::descriptor_ptr f, std::string name, bool readiness);

    int fd() const noexcept { return file ? engine_layer::fd_of(*file) : -1; }
    /// No new calls; those that wait for readiness are woken.
    void end() noexcept;

    engine_layer::descriptor_ptr file;
    std::string path;
    int flags = 0;             // as it was opened
    bool has_readiness;        // a FIFO, a terminal …: poll first, then read or write what does not wait
    bool closed = false;
    unsigned users = 0;
    bool orphaned = false;
    std::string unread;
};

/// One read or write; throws nothing. offset: as in file_call. Suspends.
engine_layer::io_result read_once(file_state& s, void* to, std::size_t size, off_t offset, const char* call);
engine_layer::io_result write_once(file_state& s, const void* from, std::size_t size, off_t offset, const char* call);

/// True for what read and write may have to wait for: FIFOs, sockets, terminals and other character devices. Does not wait.
bool has_readiness(int fd) noexcept;

}  // namespace weft::detail
