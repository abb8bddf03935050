// What belongs to a fiber, whatever runs in between: errno and the C++ exception state.

#include <cerrno>
#include <stdexcept>

#include <weft/gather.hpp>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

namespace {

/// Reads and writes errno where no address of it was kept across a switch.
[[gnu::noinline]] void set_errno(int value) {
    asm volatile("" ::: "memory");
    errno = value;
}
[[gnu::noinline]] int get_errno() {
    asm volatile("" ::: "memory");
    return errno;
}

std::string current_text() {
    return reports::text(std::current_exception());
}

/// Blocks in its destructor and notes how many exceptions were on their way, before and after.
struct blocks_at_end {
    std::vector<int>& counts;
    ~blocks_at_end() {
        counts.push_back(std::uncaught_exceptions());
        yield_now();
        counts.push_back(std::uncaught_exceptions());
    }
};

}  // namespace

TEST_CASE_METHOD(fixture, "errno: is the fiber's own") {
    run([] {
        const auto keeps = [](int value) {
            for (int i = 0; i < 20; ++i) {
                set_errno(value + i);
                yield_now();
                if (get_errno() != value + i)
                    return false;
            }
            return true;
        };
        std::vector<task<bool>> all;
        for (int i = 0; i < 10; ++i)
            all.push_back(create_task(keeps, 100 * i + 1));
        for (bool kept : gather(all))
            CHECK(kept);
    });
}

TEST_CASE_METHOD(fixture, "errno: survives sleeping, joining and callbacks that change it") {
    run([] {
        set_errno(EPIPE);
        get_running_loop().call_soon([] { set_errno(EBUSY); });
        sleep(1ms);
        CHECK(get_errno() == EPIPE);
        create_task([] { set_errno(EDOM); }).join();
        CHECK(get_errno() == EPIPE);
        create_task({.eager = true}, [] { set_errno(ERANGE); });
        CHECK(get_errno() == EPIPE);
    });
}

TEST_CASE_METHOD(fixture, "current_exception: stays the fiber's own in a catch block that blocks") {
    run([] {
        const auto worker = [](int number) {
            for (int round = 0; round < 5; ++round) {
                const std::string mine = std::to_string(number) + "/" + std::to_string(round);
                try {
                    throw std::runtime_error(mine);
                } catch (const std::runtime_error& e) {
                    for (int i = 0; i <= number % 3; ++i)
                        yield_now();
                    if (e.what() != mine || current_text() != mine)
                        return false;
                }
                if (std::current_exception())
                    return false;
                yield_now();
            }
            return true;
        };
        std::vector<task<bool>> all;
        for (int i = 0; i < 50; ++i)
            all.push_back(create_task(worker, i));
        for (bool kept : gather(all))
            CHECK(kept);
    });
}

TEST_CASE_METHOD(fixture, "throw; rethrows the fiber's own exception after the catch block blocked") {
    run([] {
        const auto worker = [](int number) {
            try {
                try {
                    throw std::runtime_error(std::to_string(number));
                } catch (...) {
                    sleep(std::chrono::milliseconds(number % 7));
                    throw;
                }
            } catch (const std::exception& e) {
                return std::string(e.what());
            }
        };
        std::vector<task<std::string>> all;
        for (int i = 0; i < 50; ++i)
            all.push_back(create_task(worker, i));
        for (int i = 0; i < 50; ++i)
            CHECK(all[static_cast<std::size_t>(i)].get() == std::to_string(i));
    });
}

TEST_CASE_METHOD(fixture, "nested catch blocks that block each keep their own exception") {
    run([] {
        const auto worker = [](int number) {
            const std::string outer = "outer " + std::to_string(number),
                              inner = "inner " + std::to_string(number);
            bool right = true;
            try {
                throw std::runtime_error(outer);
            } catch (...) {
                yield_now();
                right &= current_text() == outer;
                try {
                    throw std::logic_error(inner);
                } catch (...) {
                    yield_now();
                    right &= current_text() == inner;
                }
                yield_now();
                right &= current_text() == outer;
            }
            yield_now();
            return right && !std::current_exception();
        };
        std::vector<task<bool>> all;
        for (int i = 0; i < 20; ++i)
            all.push_back(create_task(worker, i));
        for (bool kept : gather(all))
            CHECK(kept);
    });
}

TEST_CASE_METHOD(fixture,
                 "uncaught_exceptions: counts the fiber's own, while others throw and while they do not") {
    run([] {
        std::vector<int> counts;
        const auto thrower = [&] {
            CHECK(std::uncaught_exceptions() == 0);
            try {
                blocks_at_end first{counts};
                throw std::runtime_error("flies");
            } catch (const std::runtime_error&) {
                counts.push_back(std::uncaught_exceptions());
            }
        };
        auto quiet = create_task([] {
            for (int i = 0; i < 10; ++i) {
                CHECK(std::uncaught_exceptions() == 0);
                CHECK(std::current_exception() == nullptr);
                yield_now();
            }
        });
        gather(create_task(thrower), create_task(thrower), quiet);
        CHECK(counts == std::vector{1, 1, 1, 0, 1, 0});
    });
}

TEST_CASE_METHOD(fixture, "uncaught_exceptions: nested unwinding that blocks at each level") {
    run([] {
        std::vector<int> counts;
        struct throws_inside {
            std::vector<int>& counts;
            ~throws_inside() {
                try {
                    blocks_at_end inner{counts};
                    throw 1;
                } catch (int) {
                    yield_now();
                    counts.push_back(std::uncaught_exceptions());
                }
            }
        };
        auto other = create_task([] {
            for (int i = 0; i < 10; ++i) {
                CHECK(throws<int>([] {
                    at_exit block{yield_now};
                    throw 2;
                }));
            }
        });
        try {
            throws_inside outer{counts};
            throw std::runtime_error("outer");
        } catch (const std::runtime_error& e) {
            CHECK(e.what() == std::string("outer"));
        }
        CHECK(counts == std::vector{2, 2, 1});
        other.get();
    });
}

TEST_CASE_METHOD(fixture,
                 "a task started while another one handles or throws an exception starts without any") {
    run([] {
        const auto clean = [] { return std::uncaught_exceptions() == 0 && !std::current_exception(); };
        try {
            at_exit leave{[&] {
                CHECK(create_task({.eager = true}, clean).result());
                CHECK(create_task(clean).get());
            }};
            throw 1;
        } catch (int) {
            CHECK(create_task({.eager = true}, clean).result());
            CHECK(create_task(clean).get());
            bool in_callback = false;
            get_running_loop().call_soon([&] { in_callback = clean(); });
            yield_now();
            CHECK(in_callback);
            CHECK(std::current_exception());
        }
    });
}

TEST_CASE_METHOD(fixture, "exception_ptrs kept by one fiber live while others throw") {
    run([] {
        std::vector<std::exception_ptr> kept;
        std::vector<task<>> all;
        for (int i = 0; i < 20; ++i) {
            all.push_back(create_task([&kept, i] {
                try {
                    throw std::runtime_error(std::to_string(i));
                } catch (...) {
                    yield_now();
                    kept.push_back(std::current_exception());
                    yield_now();
                }
            }));
        }
        gather(all);
        REQUIRE(kept.size() == 20);
        for (std::size_t i = 0; i < 20; ++i)
            CHECK(reports::text(kept[i]) == std::to_string(i));
    });
}
