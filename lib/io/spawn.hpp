#pragma once

/// spawn: starts a program in a child process, and says why if that fails.
///
/// The child begins as a clone that shares this process's memory, while the calling thread is held (as vfork does): its cost
/// does not depend on how much memory that is. It has its own descriptors, working directory and signal table, sets them up
/// and executes the program; if it cannot, it leaves the reason in the shared memory and ends.
///
/// Rejected: posix_spawn. It is the same inside, but does not tell a missing working directory from a missing program, has
/// no way to search another PATH than this process's without a process for each directory, and gives no pidfd.

#include <sys/types.h>

#include <string>
#include <vector>

namespace weft::detail {

/// What the child does with its descriptors 0, 1 and 2, where that is not a descriptor's number.
enum : int { spawn_inherit = -1, spawn_same_as_output = -2 };

struct spawn_request {
    const char* call = nullptr;            // the public call, for what is thrown
    std::vector<std::string> argv;         // not empty
    std::vector<std::string> env;          // "NAME=value"; only with own_env
    bool own_env = false;
    std::string cwd;                       // empty: this process's
    bool new_session = false;
    int standard[3] = {spawn_inherit, spawn_inherit, spawn_inherit};   // above 2, or one of the values above
    std::vector<int> keep;                 // descriptors that stay open
};

struct spawned {
    pid_t pid;
    int pidfd;                             // close-on-exec; the caller's
};

/// Any thread. Throws std::system_error; then there is no child, and none to be waited for.
spawned spawn(const spawn_request& request);

}  // namespace weft::detail
