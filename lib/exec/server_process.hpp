#pragma once

/// server_process: the small process that makes the workers of a process pool, seen from the process that has the pool.
///
/// Every message is one packet on the control socket; a `start` brings the worker's end of its own socket along. When the control
/// socket is closed, the server kills the workers that are left, and ends.

#include <sys/types.h>

#include <cstdint>

namespace weft::exec_layer {

/// To the server.
struct server_command {
    enum : std::int32_t { start, kill } what = start;
    std::int32_t worker = 0;   // a number that the pool chose
};

/// From the server.
struct server_report {
    enum : std::int32_t { not_started, ended } what = ended;
    std::int32_t worker = 0;
    std::int32_t pid = 0;
    std::int32_t status = 0;   // errno of the fork that failed; what waitpid said of the worker that ended
};

struct server_process {
    pid_t pid = -1;
    int control = -1;
};

/// Starts one. Throws std::system_error; std::runtime_error if this program could not become a server.
server_process start_server();

/// Has the server start a worker that serves the other end of the socket. Throws std::system_error.
void start_worker(const server_process& server, std::int32_t worker, int socket);

/// The life of a worker: answers requests until the socket ends.
[[noreturn]] void run_worker(int socket);

}  // namespace weft::exec_layer
