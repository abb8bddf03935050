#pragma once

// What the loads measure: latencies, and of the server's process the processor time and the memory.

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

/// The line that run.py reads. \param all  with what came before the counting began
inline void report(const histogram& latencies, unsigned long long all, double used, double seconds, double memory) {
    std::printf("{\"requests\": %llu, \"all\": %llu, \"used\": %.6f, \"seconds\": %.6f, \"memory\": %.3f, ",
                static_cast<unsigned long long>(latencies.total()), all, used, seconds, memory);
    std::printf("\"p50\": %.1f, \"p99\": %.1f, \"p999\": %.1f}\n", latencies.quantile(0.5), latencies.quantile(0.99),
                latencies.quantile(0.999));
    std::fflush(stdout);
}
