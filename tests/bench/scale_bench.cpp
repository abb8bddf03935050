// Scale: what a parked fiber costs in memory and time where a thousand, or a million, are parked, and whether an operation
// costs the same among many as among few. Memory is what the system counts: resident pages and page tables.

#include <time.h>

#include <chrono>
#include <fstream>
#include <random>
#include <string>

#include <weft/event.hpp>
#include <weft/run.hpp>
#include <weft/task.hpp>

#include "peers.hpp"

namespace {

using clock_type = std::chrono::steady_clock;

/// VmRSS + VmPTE, in bytes.
double resident_bytes() {
    std::ifstream status("/proc/self/status");
    double bytes = 0;
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmRSS:") || line.starts_with("VmPTE:")) bytes += 1024 * std::stod(line.substr(line.find_first_of("0123456789")));
    return bytes;
}

double seconds_since(clock_type::time_point start) { return std::chrono::duration<double>(clock_type::now() - start).count(); }

/// Creates and parks `fibers` fibers, then ends them. Time: creating and parking, for each.
void parked(benchmark::State& state, std::size_t fibers, std::size_t stack_size) {
    weft::run({.stack_size = stack_size}, [&] {
        for (auto _ : state) {
            std::vector<weft::task<>> tasks;
            tasks.reserve(fibers);
            weft::event over;
            const double before = resident_bytes();
            auto start = clock_type::now();
            for (std::size_t i = 0; i < fibers; ++i) tasks.push_back(weft::create_task([&] { over.wait(); }));
            weft::yield_now();   // all have run, and are parked
            const double each = 1.0 / static_cast<double>(fibers);
            state.SetIterationTime(seconds_since(start) * each);
            state.counters["KiB_each"] = (resident_bytes() - before) * each / 1024;
            start = clock_type::now();
            over.set();
            for (auto& t : tasks) t.join();
            state.counters["ns_to_wake_and_end"] = seconds_since(start) * each * 1e9;
        }
    });
}

double processor_seconds() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/// `fibers` sleepers with random deadlines within a second. Time: the processor's, to create, set, fire and end, for each.
void sleepers(benchmark::State& state, std::size_t fibers) {
    weft::run({.stack_size = 64 * 1024}, [&] {
        for (auto _ : state) {
            std::mt19937_64 random(1);
            std::vector<weft::task<>> tasks;
            tasks.reserve(fibers);
            const double start = processor_seconds();
            for (std::size_t i = 0; i < fibers; ++i)
                tasks.push_back(weft::create_task([for_this_long = std::chrono::nanoseconds(random() % 1'000'000'000)] {
                    weft::sleep(for_this_long);
                }));
            for (auto& t : tasks) t.join();
            state.SetIterationTime((processor_seconds() - start) / static_cast<double>(fibers));
        }
    });
}

/// Every one of `fibers` fibers yields to the next; time for each yield.
void yields(benchmark::State& state, std::size_t fibers) {
    weft::run({.stack_size = 64 * 1024}, [&] {
        for (auto _ : state) {
            const std::size_t turns = std::max<std::size_t>(2, 1'000'000 / fibers);
            std::vector<weft::task<>> tasks;
            tasks.reserve(fibers);
            for (std::size_t i = 0; i < fibers; ++i)
                tasks.push_back(weft::create_task([turns] {
                    for (std::size_t k = 0; k <= turns; ++k) weft::yield_now();
                }));
            weft::yield_now();   // all have run once
            const auto start = clock_type::now();
            for (auto& t : tasks) t.join();
            state.SetIterationTime(seconds_since(start) / static_cast<double>(fibers * turns));
        }
    });
}

void parked_64(benchmark::State& state) { parked(state, static_cast<std::size_t>(state.range(0)), 64 * 1024); }
void parked_256(benchmark::State& state) { parked(state, static_cast<std::size_t>(state.range(0)), 256 * 1024); }
void sleepers_many(benchmark::State& state) { sleepers(state, static_cast<std::size_t>(state.range(0))); }
void yields_many(benchmark::State& state) { yields(state, static_cast<std::size_t>(state.range(0))); }

// On the program's own stack: a thread's would be mapped and unmapped with it, and be counted.
#define SCALES Arg(1'000)->Arg(10'000)->Arg(100'000)->Arg(1'000'000)->UseManualTime()->Iterations(1)
BENCHMARK(parked_64)->Name("scale: park, 64 KiB stacks/weft")->SCALES;
BENCHMARK(parked_256)->Name("scale: park, 256 KiB stacks/weft")->SCALES;
BENCHMARK(sleepers_many)->Name("scale: sleepers/weft")->SCALES;
BENCHMARK(yields_many)->Name("scale: yield/weft")->SCALES;
#undef SCALES

}  // namespace
