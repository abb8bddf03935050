#include <dirent.h>

#include <map>
#include <numeric>
#include <optional>
#include <tuple>

#include "exec/process_fixture.hpp"

namespace {

struct point {
    int x, y;
    friend bool operator==(const point&, const point&) = default;
};
enum class colour : char { red, green };

/// Does not travel by itself.
struct person {
    std::string name;
    std::unique_ptr<int> age;
};

/// Travels in one direction only.
struct one_way {
    bool fails_to_leave = false;
};

}  // namespace

template <>
struct weft::serializer<person> {
    static void write(byte_writer& out, const person& p) {
        out.write(p.name);
        out.write(*p.age);
    }
    static person read(byte_reader& in) {
        auto name = in.read<std::string>();
        return {name, std::make_unique<int>(in.read<int>())};
    }
};
template <>
struct weft::serializer<one_way> {
    static void write(byte_writer& out, const one_way& w) {
        if (w.fails_to_leave) throw std::range_error("it cannot be written");
        out.write(1);
    }
    static one_way read(byte_reader&) { throw std::domain_error("it cannot be read"); }
};

namespace {

using namespace exec_test;

// Functions for the workers.
std::string join(const std::vector<std::string>& words, std::string_view separator) {
    std::string all;
    for (const auto& w : words) all += (all.empty() ? "" : std::string(separator)) + w;
    return all;
}
point mirrored(point p) { return {p.y, p.x}; }
colour other(colour c) { return c == colour::red ? colour::green : colour::red; }
std::map<std::string, std::optional<double>> halves(std::map<std::string, int> m) {
    std::map<std::string, std::optional<double>> result;
    for (const auto& [key, value] : m) result[key] = value % 2 ? std::nullopt : std::optional(value / 2.0);
    return result;
}
std::tuple<int, std::pair<bool, char>, std::array<short, 2>> mixture() { return {1, {true, 'c'}, {2, 3}}; }
person older(person p) {
    ++*p.age;
    return p;
}
one_way pass(one_way w) { return w; }
one_way make_one_way(bool fails) { return {fails}; }
void nothing(std::string&&) {}
std::string repeat(const std::string& s, int times) {
    std::string all;
    while (times-- > 0) all += s;
    return all;
}
std::size_t length(const std::string& s) { return s.size(); }
const std::string initialized_before_main = "static";
int changed_by_main = 0;
std::pair<std::string, int> look_at_globals() { return {initialized_before_main, changed_by_main}; }
int fail(int how) {
    if (how == 0) throw std::out_of_range("too far");
    if (how == 1) throw 5;
    throw cancelled("there");
}
std::vector<std::string> open_files() {
    std::vector<std::string> files;
    DIR* folder = ::opendir("/proc/self/fd");
    while (const dirent* entry = ::readdir(folder)) {
        if (entry->d_name[0] == '.' || std::atoi(entry->d_name) == ::dirfd(folder)) continue;
        char target[64] = {};
        const std::string path = std::string("/proc/self/fd/") + entry->d_name;
        if (::readlink(path.c_str(), target, sizeof target - 1) > 0 && std::atoi(entry->d_name) > 2) files.push_back(target);
    }
    ::closedir(folder);
    return files;
}
bool environment_is_clean() { return !std::getenv("WEFT_PROCESS_POOL"); }
int run_a_loop(int a) {
    return run([a] { return std::get<0>(gather([a] { return to_thread([a] { return a + 1; }); })); });
}
int nested(int a) {
    process_pool_executor inner(1);
    return inner.submit(add, a, a).get();
}

TEST_CASE_METHOD(processes_fixture, "process pool: calls functions of this program in other processes") {
    changed_by_main = 1;
    process_pool_executor pool(2);
    CHECK(pool.submit(own_pid).get() != ::getpid());
    CHECK(pool.submit(join, std::vector<std::string>{"a", "b"}, "-").get() == "a-b");
    CHECK(pool.submit(join, std::vector<std::string>{"a", "b"}, std::string_view("--")).get() == "a--b");
    CHECK(pool.submit(mirrored, point{1, 2}).get() == point{2, 1});
    CHECK(pool.submit(other, colour::red).get() == colour::green);
    CHECK(pool.submit(halves, std::map<std::string, int>{{"a", 1}, {"b", 4}}).get() ==
          std::map<std::string, std::optional<double>>{{"a", std::nullopt}, {"b", 2.0}});
    CHECK(pool.submit(mixture).get() == mixture());
    const person p = pool.submit(older, person{"Ada", std::make_unique<int>(36)}).get();
    CHECK(p.name == "Ada");
    CHECK(*p.age == 37);
    pool.submit(nothing, "text").get();
    CHECK(pool.submit(look_at_globals).get() == std::pair(std::string("static"), 0));
    CHECK(pool.submit(+[](int i) { return i + 1; }, 1).get() == 2);
    run([&] {
        CHECK(run_in_executor(pool, add, 3, short(4)) == 7);
        run_in_executor(pool, nothing, "text");
    });
}

TEST_CASE_METHOD(processes_fixture, "process pool: an exception comes back as remote_error") {
    process_pool_executor pool(1);
    const auto error = [&](int how) -> std::pair<std::string, std::string> {
        try {
            run_in_executor(pool, fail, how);
        } catch (const remote_error& e) {
            return {e.type_name(), e.what()};
        }
        return {};
    };
    CHECK(error(0).first == "std::out_of_range");
    CHECK_THAT(error(0).second, Catch::Contains("too far"));
    CHECK(error(1).first == "int");
    CHECK(error(2).first == "weft::cancelled");
    CHECK(throws<remote_error>([&] { pool.submit(fail, 0).get(); }));
    CHECK(pool.submit(add, 1, 1).get() == 2);   // the worker goes on
}

TEST_CASE_METHOD(processes_fixture, "process pool: what fails to travel is an error, at each of the four ends") {
    process_pool_executor pool(1);
    CHECK(throws<std::range_error>([&] { pool.submit(pass, one_way{true}); }));
    CHECK(throws<std::range_error>([&] { run_in_executor(pool, pass, one_way{true}); }));
    CHECK_THAT(thrown_by<remote_error>([&] { pool.submit(pass, one_way{}).get(); }), Catch::Contains("it cannot be read"));
    CHECK_THAT(thrown_by<remote_error>([&] { pool.submit(make_one_way, true).get(); }), Catch::Contains("it cannot be written"));
    CHECK(throws<std::domain_error>([&] { pool.submit(make_one_way, false).get(); }));
    CHECK(throws<std::domain_error>([&] { run_in_executor(pool, make_one_way, false); }));
    CHECK(pool.submit(add, 1, 1).get() == 2);
}

TEST_CASE_METHOD(processes_fixture, "process pool: huge arguments and results go both ways at once") {
    process_pool_executor pool(2);
    const std::string megabyte(1 << 20, 'm');
    run([&] {
        std::vector<task<std::string>> calls;
        for (int i = 0; i < 4; ++i) calls.push_back(create_task([&] { return run_in_executor(pool, repeat, megabyte, 16); }));
        for (auto& c : calls) CHECK(c.get() == repeat(megabyte, 16));
    });
    auto big = pool.submit(length, std::string(64 << 20, 'x'));
    CHECK(pool.submit(add, 1, 2).get() == 3);
    CHECK(big.get() == std::size_t{64} << 20);
}

TEST_CASE_METHOD(processes_fixture, "process pool: many calls from tasks, other loops and plain threads") {
    process_pool_executor pool(2);
    std::atomic<int> sum{0};
    const auto use = [&] {
        for (int i = 0; i < rounds(300); ++i) sum += run_in_executor(pool, add, i % 2, 0);
    };
    {
        loop_thread a([&] { gather(use, use); });
        loop_thread b(use);
        thread c(use);
        std::vector<std::future<int>> results;
        for (int i = 0; i < rounds(300); ++i) results.push_back(pool.submit(add, i % 2, 0));
        for (auto& r : results) sum += r.get();
    }
    CHECK(sum == 5 * (rounds(300) / 2));
}

TEST_CASE_METHOD(processes_fixture, "process pool: workers run at the same time, and the loop goes on") {
    process_pool_executor pool(2);
    named_pipe first, second;
    run([&] {
        auto a = create_task([&] { return run_in_executor(pool, read_pipe, first.path()); });
        auto b = create_task([&] { return run_in_executor(pool, read_pipe, second.path()); });
        first.wait_begun();
        second.wait_begun();
        second.let_end();
        CHECK(b.get() == 1);
        CHECK_FALSE(a.done());
        first.let_end();
        CHECK(a.get() == 1);
    });
}

TEST_CASE_METHOD(processes_fixture, "process pool: a job that no worker has yet is dropped when its waiter is cancelled") {
    process_pool_executor pool(1);
    named_pipe first, second;
    run([&] {
        auto running = create_task([&] { return run_in_executor(pool, read_pipe, first.path()); });
        first.wait_begun();
        auto dropped = create_task([&] { return run_in_executor(pool, read_pipe, second.path()); });
        turns(3);
        dropped.cancel("not begun");
        CHECK(thrown_by([&] { dropped.get(); }) == "not begun");
        CHECK_FALSE(running.done());
        first.let_end();
        CHECK(running.get() == 1);
        CHECK(run_in_executor(pool, add, 1, 2) == 3);
        CHECK_FALSE(second.begun());
    });
}

TEST_CASE_METHOD(processes_fixture, "process pool: while a job runs a cancelled waiter stays, then throws") {
    process_pool_executor pool(1);
    named_pipe pipe;
    run([&] {
        auto t = create_task([&] { return run_in_executor(pool, read_pipe, pipe.path()); });
        pipe.wait_begun();
        t.cancel("while it runs");
        turns(20);
        CHECK_FALSE(t.done());
        pipe.let_end();
        CHECK(thrown_by([&] { t.get(); }) == "while it runs");
        CHECK(run_in_executor(pool, add, 1, 2) == 3);
    });
}

TEST_CASE_METHOD(processes_fixture, "process pool: a cancel after the job's end, but before the waiter has run, wins") {
    process_pool_executor pool(1);
    run([&] {
        auto t = create_task([&] { return run_in_executor(pool, add, 1, 2); });
        yield_now();
        pool.submit(add, 1, 2).get();   // blocks the loop until the job behind it has ended
        t.cancel("late");
        CHECK(thrown_by([&] { t.get(); }) == "late");
        auto early = create_task([&] {
            current_task().cancel("early");
            run_in_executor(pool, add, 1, 2);
        });
        CHECK(thrown_by([&] { early.get(); }) == "early");
    });
}

TEST_CASE_METHOD(processes_fixture, "process pool: cancellations race with answers, again and again") {
    process_pool_executor pool(2);
    run([&] {
        for (int i = 0; i < rounds(500); ++i) {
            auto t = create_task([&] { return run_in_executor(pool, add, i, 1); });
            for (int k = i % 9; k > 0; --k) {
                yield_now();
                std::this_thread::yield();
            }
            t.cancel();
            t.join();
            if (!t.cancelled()) CHECK(t.result() == i + 1);
        }
    });
}

TEST_CASE_METHOD(processes_fixture, "process pool: shutdown lets what is pending run, and then takes no more") {
    process_pool_executor pool(1);
    named_pipe pipe;
    auto running = pool.submit(read_pipe, pipe.path());
    auto pending = pool.submit(add, 1, 2);
    pipe.wait_begun();
    run([&] {
        auto shutting = create_task([&] { pool.shutdown(); });
        turns(3);
        CHECK_FALSE(shutting.done());
        pipe.let_end();
        shutting.get();
    });
    CHECK(running.get() == 1);
    CHECK(pending.get() == 3);
    CHECK(thrown_by<invalid_state>([&] { pool.submit(add, 1, 2); }) ==
          "process_pool_executor: it is shut down and takes no more jobs");
    CHECK(throws<invalid_state>([&] { run_in_executor(pool, add, 1, 2); }));
    pool.shutdown();
}

TEST_CASE_METHOD(processes_fixture, "process pool: shutdown with cancel_pending drops what has not begun") {
    process_pool_executor pool(1);
    named_pipe pipe;
    run([&] {
        auto running = create_task([&] { return run_in_executor(pool, read_pipe, pipe.path()); });
        pipe.wait_begun();
        auto waiting = create_task([&] { run_in_executor(pool, add, 1, 2); });
        auto submitted = pool.submit(add, 1, 2);
        turns(3);
        auto shutting = create_task([&] { pool.shutdown(true); });
        CHECK(thrown_by([&] { waiting.get(); }) == "the pool was shut down before the job began");
        CHECK(throws<std::future_error>([&] { submitted.get(); }));
        pipe.let_end();
        CHECK(running.get() == 1);
        shutting.get();
    });
}

TEST_CASE_METHOD(processes_fixture, "process pool: one that was never used ends, also in a callback") {
    process_pool_executor pool(3);
    auto other = std::make_unique<process_pool_executor>();
    run([&] { in_callback([&] { other.reset(); }); });
}

TEST_CASE_METHOD(processes_fixture, "process pool: a worker has no descriptor of the program's, and a clean environment") {
    const int leaky = ::dup(STDIN_FILENO);   // not close-on-exec
    process_pool_executor first(1);
    process_pool_executor pool(2);
    const auto files = pool.submit(open_files).get();
    CHECK(files.size() == 1);   // its own socket
    CHECK(files.at(0).substr(0, 7) == "socket:");
    CHECK(pool.submit(environment_is_clean).get());
    ::close(leaky);
}

TEST_CASE_METHOD(processes_fixture, "process pool: a job may run a loop, and have a pool of its own") {
    process_pool_executor pool(1);
    CHECK(pool.submit(run_a_loop, 1).get() == 2);
    CHECK(pool.submit(nested, 2).get() == 4);
}

TEST_CASE_METHOD(processes_fixture, "process pool: misuse is refused") {
    CHECK(thrown_by<std::invalid_argument>([] { process_pool_executor pool(1000); }) ==
          "process_pool_executor: workers=1000: must be at most 256");
    process_pool_executor pool(1);
    int (*none)(int, int) = nullptr;
    CHECK(throws<std::invalid_argument>([&] { pool.submit(none, 1, 2); }));
    run([&] { in_callback([&] { CHECK(throws<no_running_task>([&] { run_in_executor(pool, add, 1, 2); })); }); });
    CHECK(pool.submit(add, 1, 2).get() == 3);
}

}  // namespace
