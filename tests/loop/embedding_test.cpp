// What a loop's host polls. (That a whole loop works in it: tests/task/embedding_test.cpp.)

#include <catch2/catch.hpp>

#include <poll.h>

#include <chrono>
#include <thread>

#include "bare_loop.hpp"
#include "kernel/turnstile.hpp"
#include "leak_check.hpp"
#include "loop/embedding.hpp"

using namespace std::chrono_literals;
using weft_test::bare_loop;
using weft_test::leak_check;

namespace {

bool readable(const weft::loop_layer::embedding& e) {
    pollfd p{e.fd(), POLLIN, 0};
    return ::poll(&p, 1, 0) == 1;
}

}  // namespace

TEST_CASE("embedding: a ring that comes while the loop runs is told when it has left") {
    leak_check leaks;
    bare_loop loop;
    loop.core.host = std::make_unique<weft::loop_layer::embedding>(loop.core);
    auto& host = *loop.core.host;
    host.entering();
    loop.turn();
    host.leaving();
    CHECK_FALSE(readable(host));
    host.entering();
    loop.turn();
    loop.scheduler().mailbox().ring();   // too late for the turn
    host.leaving();
    CHECK(readable(host));
    host.entering();
    loop.turn();
    host.leaving();
    CHECK_FALSE(readable(host));
}

TEST_CASE("embedding: a wake between two runs is told, whichever side is first") {
    leak_check leaks;
    bare_loop loop;
    loop.core.host = std::make_unique<weft::loop_layer::embedding>(loop.core);
    auto& host = *loop.core.host;
    weft_test::turnstile gate;
    int passed = 0;
    loop.start([&] {
        for (int i = 0; i < 300; ++i) {
            gate.take();
            ++passed;
        }
    });
    host.entering();
    loop.settle();
    std::thread other([&] {
        for (int i = 0; i < 300; ++i) gate.give();
    });
    host.leaving();
    while (passed < 300) {
        pollfd p{host.fd(), POLLIN, 0};
        REQUIRE(::poll(&p, 1, 60'000) == 1);
        host.entering();
        loop.turn();
        host.leaving();
    }
    other.join();
    host.entering();
    loop.run();
}

TEST_CASE("embedding: an inbox that its end leaves is awake, for the loop that gets it next") {
    leak_check leaks;
    for (int i = 0; i < 3; ++i) {
        bare_loop loop;
        loop.core.host = std::make_unique<weft::loop_layer::embedding>(loop.core);
        loop.core.host->leaving();
        loop.core.host.reset();
        CHECK(loop.scheduler().mailbox().fall_asleep());
        loop.scheduler().mailbox().wake_up();
    }
}
