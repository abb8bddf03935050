// The benchmark program: runs what was asked for, then prints each figure as a ratio to its peers of the same run.
//
// A benchmark is called WORK/PEER, as "yield/weft" and "yield/boost_fiber". Absolute times differ from machine to machine and
// from minute to minute; the ratios are what counts. Every benchmark runs several times and the median is used.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "peers.hpp"

namespace {

class ratio_reporter : public benchmark::ConsoleReporter {
public:
    void ReportRuns(const std::vector<Run>& runs) override {
        for (const Run& r : runs) {
            if (r.error_occurred || r.run_type != Run::RT_Iteration) continue;
            const std::string name = r.run_name.function_name;
            const auto slash = name.rfind('/');
            if (slash == std::string::npos) continue;
            const std::string work = name.substr(0, slash) + (r.run_name.args.empty() ? "" : ", " + r.run_name.args);
            if (!figures_.contains(work)) order_.push_back(work);
            figures_[work][name.substr(slash + 1)].push_back(r.GetAdjustedRealTime());
            for (const auto& [what, counter] : r.counters) counters_[work][what].push_back(counter.value);
        }
        ConsoleReporter::ReportRuns(runs);
    }

    void Finalize() override {
        std::printf("\n%-34s %10s   ratios: weft / peer (below 1: weft is faster)\n", "medians", "weft");
        for (const std::string& work : order_) {
            auto& peers = figures_[work];
            if (!peers.contains("weft")) {
                for (auto& [peer, times] : peers) std::printf("%-34s %7.1f ns   (%s alone)\n", work.c_str(), median(times), peer.c_str());
                continue;
            }
            const double own = median(peers["weft"]);
            std::printf("%-34s %7.1f ns  ", work.c_str(), own);
            for (auto& [peer, times] : peers)
                if (peer != "weft") std::printf("  %s %.1f ns: %.2f", peer.c_str(), median(times), own / median(times));
            if (peers.size() == 1 && figures_.contains("jump"))
                std::printf("  %.1f bare jumps", own / median(figures_["jump"].begin()->second));
            for (auto& [what, values] : counters_[work]) std::printf("  %s %.2f", what.c_str(), median(values));
            std::printf("\n");
        }
    }

private:
    static double median(std::vector<double>& times) {
        std::sort(times.begin(), times.end());
        return times[times.size() / 2];
    }

    std::map<std::string, std::map<std::string, std::vector<double>>> figures_;    // work, peer
    std::map<std::string, std::map<std::string, std::vector<double>>> counters_;   // work, what
    std::vector<std::string> order_;
};

}  // namespace

int main(int argc, char** argv) {
    std::vector<char*> arguments(argv, argv + argc);
    char repetitions[] = "--benchmark_repetitions=5";
    char interleaved[] = "--benchmark_enable_random_interleaving=true";
    // Before the caller's own arguments, so that those win.
    arguments.insert(arguments.begin() + 1, {repetitions, interleaved});
    int count = static_cast<int>(arguments.size());
    benchmark::Initialize(&count, arguments.data());
    if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 2;
    bench::enter_external_peers();
    ratio_reporter reporter;
    benchmark::RunSpecifiedBenchmarks(&reporter);
    return 0;
}
