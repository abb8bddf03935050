// <weft/run.hpp>: options, the environment, Ctrl-C.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>
#include <stdexcept>

#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

namespace {

/// An environment variable for the length of a test.
class environment {
public:
    environment(const char* name, const std::string& value) : name_(name) {
        if (const char* old = std::getenv(name))
            old_ = old;
        ::setenv(name, value.c_str(), 1);
    }
    ~environment() {
        if (old_)
            ::setenv(name_, old_->c_str(), 1);
        else
            ::unsetenv(name_);
    }
    environment(const environment&) = delete;
    environment& operator=(const environment&) = delete;

private:
    const char* name_;
    std::optional<std::string> old_;
};

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

bool interrupt_kills() {
    struct sigaction now {};
    ::sigaction(SIGINT, nullptr, &now);
    return now.sa_handler == SIG_DFL;
}

/// Uses `bytes` of the calling fiber's stack.
[[gnu::noinline]] int deep(std::size_t bytes) {
    volatile char page[4096];
    page[0] = static_cast<char>(bytes);
    return bytes <= sizeof page ? page[0] : deep(bytes - sizeof page) + page[0];
}

}  // namespace

TEST_CASE_METHOD(fixture,
                 "run: a bad environment variable is an invalid_argument that names it and its value") {
    const std::pair<const char*, const char*> bad[] = {
        {"WEFT_ENGINE", "kqueue"},
        {"WEFT_ENGINE", ""},
        {"WEFT_ENGINE", "EPOLL"},
        {"WEFT_DEBUG", "yes"},
        {"WEFT_DEBUG", "2"},
        {"WEFT_DEBUG", ""},
        {"WEFT_STACK_SIZE", "big"},
        {"WEFT_STACK_SIZE", "64k"},
        {"WEFT_STACK_SIZE", "-1"},
        {"WEFT_STACK_SIZE", ""},
        {"WEFT_STACK_SIZE", "0"},
        {"WEFT_STACK_SIZE", "1000"},
        {"WEFT_STACK_SIZE", "1e6"},
        {"WEFT_STACK_SIZE", " 99"},
        {"WEFT_STACK_SIZE", "99999999999999999999999999"},
    };
    for (const auto& [name, value] : bad) {
        environment set(name, value);
        bool ran = false;
        const std::string message = thrown_by<std::invalid_argument>([&] { run([&] { ran = true; }); });
        INFO(name << "=" << value << ": " << message);
        CHECK(contains(message, name));
        CHECK(contains(message, value));
        CHECK_FALSE(ran);
    }
}

TEST_CASE_METHOD(fixture, "run: a bad option is an invalid_argument that names it") {
    CHECK(contains(thrown_by<std::invalid_argument>([] { run({.stack_size = 1}, [] {}); }), "stack_size"));
    CHECK(contains(thrown_by<std::invalid_argument>([] { run({.stack_size = SIZE_MAX}, [] {}); }),
                   "stack_size"));
    CHECK(contains(thrown_by<std::invalid_argument>([] { run({.slow_callback_duration = -1ns}, [] {}); }),
                   "slow_callback_duration"));
}

TEST_CASE_METHOD(fixture, "run: debug is off, and is set by the option and by the environment") {
    const auto debug = [] { return get_running_loop().get_debug(); };
    environment quiet("WEFT_DEBUG", "0");
    CHECK_FALSE(run(debug));
    ::unsetenv("WEFT_DEBUG");
    CHECK_FALSE(run(debug));
    CHECK(run({.debug = true}, debug));
    environment loud("WEFT_DEBUG", "1");
    CHECK(run(debug));
}

TEST_CASE_METHOD(fixture, "run: stacks are as large as the option says") {
    run({.stack_size = 8 * 1024 * 1024}, [] {
        deep(4 * 1024 * 1024);
        create_task([] { deep(4 * 1024 * 1024); }).get();
    });
}

TEST_CASE_METHOD(fixture, "run: stacks are as large as the environment says") {
    environment large("WEFT_STACK_SIZE", std::to_string(8 * 1024 * 1024));
    run([] { deep(4 * 1024 * 1024); });
}

TEST_CASE_METHOD(fixture, "run: a task's own stack size goes before the loop's") {
    run([] { create_task({.stack_size = 8 * 1024 * 1024}, [] { deep(4 * 1024 * 1024); }).get(); });
}

TEST_CASE_METHOD(fixture, "run: WEFT_ENGINE=epoll is understood") {
    environment set("WEFT_ENGINE", "epoll");
    CHECK(run([] { return 1; }) == 1);
}

TEST_CASE_METHOD(fixture, "run: Ctrl-C cancels the main task, and run throws interrupted") {
    bool unwound = false;
    const auto program = [&] {
        at_exit leave{[&] { unwound = true; }};
        ::raise(SIGINT);
        park();
    };
    CHECK_THROWS_AS(run(program), interrupted);
    CHECK(unwound);
    CHECK(interrupt_kills());
}

TEST_CASE_METHOD(fixture, "run: Ctrl-C takes no room on the stack of the fiber that runs") {
    run([] {
        struct sigaction now {};
        REQUIRE(::sigaction(SIGINT, nullptr, &now) == 0);
        CHECK(now.sa_handler != SIG_DFL);
        CHECK((now.sa_flags & SA_ONSTACK) != 0);
    });
}

TEST_CASE_METHOD(fixture, "run: Ctrl-C wakes a loop that sleeps") {
    // ThreadSanitizer forgets a signal that a thread takes while it ends, as the other one might.
    const auto press = [] {
        sigset_t all;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
        ::kill(::getpid(), SIGINT);
    };
    std::thread user;
    CHECK_THROWS_AS(run([&] {
                        user = std::thread(press);
                        park();
                    }),
                    interrupted);
    user.join();
}

TEST_CASE_METHOD(fixture, "run: Ctrl-C pressed in a task that is not the main one cancels the main task") {
    bool cut = false;
    const auto program = [&] {
        create_task([] { ::raise(SIGINT); });
        try {
            park();
        } catch (const cancelled&) {
            cut = true;
            throw;
        }
    };
    CHECK_THROWS_AS(run(program), interrupted);
    CHECK(cut);
}

TEST_CASE_METHOD(fixture, "run: a main task that survives Ctrl-C gives its result") {
    const int result = run([] {
        ::raise(SIGINT);
        CHECK_THROWS_AS(park(), cancelled);
        return 3;
    });
    CHECK(result == 3);
    CHECK(interrupt_kills());
}

TEST_CASE_METHOD(fixture, "run: a main task that fails on Ctrl-C throws its own exception") {
    const auto program = [] {
        ::raise(SIGINT);
        try {
            park();
        } catch (const cancelled&) {
            throw std::runtime_error("at the worst time");
        }
    };
    CHECK_THROWS_AS(run(program), std::runtime_error);
    CHECK(thrown_by<std::runtime_error>([&] { run(program); }) == "at the worst time");
}

TEST_CASE_METHOD(fixture, "run: the second Ctrl-C kills as usual") {
    const pid_t child = ::fork();
    if (child == 0) {
        run([] {
            ::raise(SIGINT);
            try {
                park();
            } catch (const cancelled&) {
                ::raise(SIGINT);
            }
        });
        ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGINT);
}

TEST_CASE_METHOD(fixture, "run: leaves SIGINT alone where it has a handler already") {
    static std::atomic<int> seen{0};
    seen = 0;
    struct sigaction mine {
    }, old{};
    mine.sa_handler = [](int) { ++seen; };
    ::sigaction(SIGINT, &mine, &old);
    CHECK(run([] {
              ::raise(SIGINT);
              sleep(1ms);
              return 1;
          }) == 1);
    CHECK(seen == 1);
    ::sigaction(SIGINT, &old, nullptr);
}

TEST_CASE_METHOD(fixture, "run: Ctrl-C cancels the main task where a handler for one signal has been used up") {
    static std::atomic<int> seen{0};
    seen = 0;
    struct sigaction once {
    }, old{};
    once.sa_sigaction = [](int, siginfo_t*, void*) { ++seen; };
    once.sa_flags = static_cast<int>(SA_SIGINFO | SA_RESETHAND);   // the flags stay when the handler goes
    ::sigaction(SIGINT, &once, &old);
    ::raise(SIGINT);
    CHECK(seen == 1);
    REQUIRE(interrupt_kills());
    const auto program = [] {
        REQUIRE_FALSE(interrupt_kills());
        ::raise(SIGINT);
        park();
    };
    CHECK_THROWS_AS(run(program), interrupted);
    CHECK(interrupt_kills());
    ::sigaction(SIGINT, &old, nullptr);
}

TEST_CASE_METHOD(fixture, "run: leaves SIGINT alone if told so, and on other threads than the main one") {
    run({.handle_sigint = false}, [] { CHECK(interrupt_kills()); });
    bool kills = false;
    std::thread([&] { run([&] { kills = interrupt_kills(); }); }).join();
    CHECK(kills);
}

TEST_CASE_METHOD(fixture, "runner: Ctrl-C ends one run, and the next goes on") {
    runner r;
    bool other_lives = false;
    task_handle other;
    CHECK_THROWS_AS(r.run([&] {
        other = create_task(park);
        ::raise(SIGINT);
        park();
    }),
                    interrupted);
    other_lives = !other.done();
    CHECK(other_lives);
    CHECK(r.run([] {
        sleep(1s);
        return 2;
    }) == 2);
    CHECK_THROWS_AS(r.run([] {
        ::raise(SIGINT);
        park();
    }),
                    interrupted);
}
