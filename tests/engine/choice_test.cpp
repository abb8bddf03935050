// Which engine a loop gets, also where the kernel refuses io_uring.

#include <catch2/catch.hpp>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cstddef>
#include <string>
#include <system_error>

#include "child_process.hpp"
#include "loop/core.hpp"

using weft::loop_layer::core;
using weft::loop_layer::engine_choice;

namespace {

/// From here on io_uring_setup fails with this error, as where a container or an administrator forbids it.
void refuse_io_uring(int error) {
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog filter{sizeof program / sizeof *program, program};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
        throw std::system_error(errno, std::generic_category(), "seccomp");
}

std::string engine_of(engine_choice choice) { return core(64 * 1024, choice).engine->name(); }

/// What goes wrong, and why.
std::string refusal_of(engine_choice choice) {
    try {
        return engine_of(choice);
    } catch (const std::system_error& error) {
        return error.what();
    }
}

}  // namespace

TEST_CASE("engine: the one that is asked for by name is the one that there is") {
    CHECK(engine_of(engine_choice::epoll) == "epoll");
    CHECK(engine_of(engine_choice::io_uring) == "io_uring");
}

TEST_CASE("engine: where the kernel refuses io_uring it is epoll, unless it was asked for by name") {
    const auto child = weft_test::in_child([] {
        refuse_io_uring(EPERM);
        if (engine_of(engine_choice::automatic) != "epoll") return 1;
        const std::string text = refusal_of(engine_choice::io_uring);
        if (text.find("io_uring engine: the kernel refuses") == std::string::npos) return 2;
        return text.find("Operation not permitted") == std::string::npos ? 3 : 0;
    });
    CHECK(child.exited_with(0));
}

TEST_CASE("engine: where the kernel is too old for io_uring it is epoll, unless it was asked for by name") {
    const auto child = weft_test::in_child([] {
        refuse_io_uring(EINVAL);
        if (engine_of(engine_choice::automatic) != "epoll") return 1;
        return refusal_of(engine_choice::io_uring).find("too old, it needs Linux 6.1") == std::string::npos ? 2 : 0;
    });
    CHECK(child.exited_with(0));
}
