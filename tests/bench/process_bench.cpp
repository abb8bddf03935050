// Subprocesses: one program after another, and many at a time, beside posix_spawn and waitpid. The most of it is the system's,
// which makes a process, runs a program that does nothing, and takes it away.

#include <spawn.h>
#include <sys/wait.h>

#include <stdexcept>

#include <weft/process.hpp>

#include "engines.hpp"

namespace {

constexpr const char* program = "/bin/true";
constexpr std::size_t children = 256;

void must(bool ok, const char* what) {
    if (!ok) throw std::runtime_error(what);
}

void spawn_weft(benchmark::State& state, weft::engine engine, std::size_t at_a_time) {
    weft::run({.io_engine = engine}, [&] {
        bench::timed(state, children, [&] {
            std::vector<weft::process> running;
            for (std::size_t done = 0; done < children; done += at_a_time) {
                for (std::size_t i = 0; i < at_a_time; ++i) running.push_back(weft::create_subprocess_exec({program}));
                for (weft::process& p : running) must(p.wait() == 0, "a child failed");
                running.clear();
            }
        });
    });
}

void spawn_posix(benchmark::State& state, std::size_t at_a_time) {
    bench::timed(state, children, [&] {
        std::vector<pid_t> running;
        for (std::size_t done = 0; done < children; done += at_a_time) {
            for (std::size_t i = 0; i < at_a_time; ++i) {
                char name[] = "/bin/true";
                char* arguments[] = {name, nullptr};
                pid_t made = -1;
                must(::posix_spawn(&made, program, nullptr, nullptr, arguments, environ) == 0, "posix_spawn");
                running.push_back(made);
            }
            for (const pid_t p : running) {
                int status = -1;
                must(::waitpid(p, &status, 0) == p && status == 0, "a child failed");
            }
            running.clear();
        }
    });
}

bool enter(const std::string& work, std::size_t at_a_time) {
    bench::enter_on_engines(work, [=](auto& state, weft::engine engine) { spawn_weft(state, engine, at_a_time); });
    return bench::enter(work, "posix_spawn", [=](auto& state) { spawn_posix(state, at_a_time); });
}
[[maybe_unused]] const bool entered[] = {
    enter("subprocess, spawn and wait", 1),
    enter("subprocess, spawn and wait, 64 at a time", 64),
};

}  // namespace
