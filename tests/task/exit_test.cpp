// The end of the process while a loop is there.

#include <catch2/catch.hpp>

#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <thread>

#include <weft/event.hpp>
#include <weft/run.hpp>
#include <weft/task.hpp>

#include "child_process.hpp"

using weft_test::in_child;

namespace {

/// A process that does not come to its end is ended, and fails the test.
constexpr unsigned patience = 20;   // seconds

}  // namespace

TEST_CASE("exit: a task ends the process with its status, and what is to be done at the end is done") {
    const auto child = in_child([] {
        ::alarm(patience);
        std::atexit([] { ::_exit(7); });   // not behind it: Catch2's own objects are the parent's
        weft::run([] {
            weft::event never;
            auto parked = weft::create_task([&] { never.wait(); });
            weft::create_task([] { std::exit(3); }).join();
        });
    });
    CHECK(child.exited_with(7));
    CHECK(child.error_output.empty());
}

TEST_CASE("exit: a loop callback ends the process") {
    const auto child = in_child([] {
        ::alarm(patience);
        std::atexit([] { ::_exit(7); });
        weft::run([] {
            weft::get_running_loop().call_soon([] { std::exit(3); });
            weft::sleep(std::chrono::hours(1));
        });
    });
    CHECK(child.exited_with(7));
}

TEST_CASE("exit: a thread of the process ends it in a task") {
    const auto child = in_child([] {
        ::alarm(patience);
        std::atexit([] { ::_exit(7); });
        std::thread([] { weft::run([] { std::exit(3); }); }).join();
    });
    CHECK(child.exited_with(7));
}

TEST_CASE("exit: a runner may live as long as the program") {
    const auto child = in_child([] {
        ::alarm(patience);
        std::atexit([] { ::_exit(7); });   // after the runner, which is made later
        static weft::runner lasting;
        lasting.run([] { weft::create_task([] { weft::sleep(std::chrono::hours(1)); }); });
        std::exit(3);
    });
    CHECK(child.exited_with(7));
}
