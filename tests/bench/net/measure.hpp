#pragma once

// What the loads have in common: their arguments, and what they measure: latencies, and of the server's process the processor
// time and the memory.

#include <sys/resource.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

using clock_type = std::chrono::steady_clock;

[[noreturn]] inline void fail(const char* what) {
    std::fprintf(stderr, "%s: %s\n", what, std::strerror(errno));
    std::exit(1);
}

/// The arguments of every load.
struct load_arguments {
    std::string server;   // the process
    int port;
    std::size_t count;    // of connections at once
    std::chrono::duration<double> length;
};
inline load_arguments read_arguments(int argc, char** argv) {
    if (argc == 5)
        return {argv[1], std::atoi(argv[2]), std::strtoul(argv[3], nullptr, 10), std::chrono::duration<double>(std::atof(argv[4]))};
    std::fprintf(stderr, "usage: %s SERVER PORT COUNT SECONDS\n", argv[0]);
    std::exit(2);
}

/// As many as the system lets this process have.
inline void allow_many_files() {
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
}

/// Latencies: sixteen steps to each doubling of a microsecond's eighth.
class histogram {
public:
    void add(clock_type::duration latency) {
        const auto ns = static_cast<std::uint64_t>(latency.count());
        const unsigned doubling = 63 - static_cast<unsigned>(__builtin_clzll(ns | 128));
        const std::uint64_t step = (ns >> (doubling > 4 ? doubling - 4 : 0)) & 15;
        ++counts_[doubling * 16 + step];
        ++total_;
    }
    double quantile(double q) const {
        std::uint64_t left = static_cast<std::uint64_t>(q * static_cast<double>(total_));
        for (std::size_t i = 0; i < counts_.size(); ++i) {
            if (counts_[i] > left) return static_cast<double>((16 + i % 16) << (i / 16)) / 16 / 1000;
            left -= counts_[i];
        }
        return 0;
    }
    std::uint64_t total() const { return total_; }

private:
    std::array<std::uint64_t, 64 * 16> counts_{};
    std::uint64_t total_ = 0;
};

/// What the system has counted for a process's threads, in nanoseconds.
inline double processor_seconds(const std::string& process) {
    double nanoseconds = 0;
    for (const auto& thread : std::filesystem::directory_iterator("/proc/" + process + "/task")) {
        double one = 0;
        std::ifstream(thread.path() / "schedstat") >> one;
        nanoseconds += one;
    }
    return nanoseconds * 1e-9;
}

/// Resident pages and page tables, in KiB.
inline double resident_kib(const std::string& process) {
    std::ifstream status("/proc/" + process + "/status");
    double kib = 0;
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmRSS:") || line.starts_with("VmPTE:")) kib += std::stod(line.substr(6));
    return kib;
}

/// What counts: the requests of some time, after half a second to get warm, and what the server used meanwhile.
class measurement {
public:
    explicit measurement(const load_arguments& load)
        : server_(load.server), begin_(clock_type::now() + std::chrono::milliseconds(500)),
          end_(begin_ + std::chrono::duration_cast<clock_type::duration>(load.length)) {}

    /// Whether the time is up; to be asked all the time.
    bool over() {
        const auto now = clock_type::now();
        if (!counting_ && now >= begin_) {
            counting_ = true;
            used_ = processor_seconds(server_);
            begin_ = clock_type::now();
        }
        if (now < end_) return false;
        used_ = processor_seconds(server_) - used_;
        seconds_ = std::chrono::duration<double>(clock_type::now() - begin_).count();
        return true;
    }
    void add(clock_type::time_point begun) {
        ++all_;
        if (counting_) latencies_.add(clock_type::now() - begun);
    }
    /// Prints the line that run.py reads. \param memory  of each connection, in KiB
    void report(double memory) const {
        std::printf("{\"requests\": %llu, \"all\": %llu, \"used\": %.6f, \"seconds\": %.6f, \"memory\": %.3f, ",
                    static_cast<unsigned long long>(latencies_.total()), all_, used_, seconds_, memory);
        std::printf("\"p50\": %.1f, \"p99\": %.1f, \"p999\": %.1f}\n", latencies_.quantile(0.5), latencies_.quantile(0.99),
                    latencies_.quantile(0.999));
        std::fflush(stdout);
    }

private:
    const std::string server_;
    clock_type::time_point begin_;
    const clock_type::time_point end_;
    bool counting_ = false;
    double used_ = 0;
    double seconds_ = 0;
    histogram latencies_;
    unsigned long long all_ = 0;   // with those before the beginning
};
