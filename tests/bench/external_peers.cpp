// Peers in other languages: a program that lists its works when run without arguments, and prints the nanoseconds for each
// operation of the work it is given. They take part under the same names as the benchmarks here.

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "peers.hpp"

namespace {

struct pipe_closer {
    void operator()(FILE* f) const noexcept { ::pclose(f); }
};

std::string output_of(const std::string& command) {
    const std::unique_ptr<FILE, pipe_closer> out(::popen((command + " 2>/dev/null").c_str(), "r"));
    std::string text;
    char part[256];
    while (out && std::fgets(part, sizeof part, out.get())) text += part;
    return text;
}

void enter(const std::string& peer, const std::string& command) {
    const std::string works = output_of(command);   // nothing, where it cannot be run
    for (std::size_t at = 0; at < works.size();) {
        const std::size_t end = works.find('\n', at);
        const std::string work = works.substr(at, end - at);
        at = end == std::string::npos ? works.size() : end + 1;
        benchmark::RegisterBenchmark((work + "/" + peer).c_str(), [command, work](benchmark::State& state) {
            for (auto _ : state) {
                const double nanoseconds = std::atof(output_of(command + " '" + work + "'").c_str());
                if (!(nanoseconds > 0)) return state.SkipWithError("the peer said nothing");
                state.SetIterationTime(nanoseconds * 1e-9);
            }
        })->UseManualTime()->Iterations(1);
    }
}

}  // namespace

void bench::enter_external_peers() {
    enter("asyncio", WEFT_PYTHON " " WEFT_BENCH_PEERS "/asyncio_peer.py");
#ifdef WEFT_GO_PEER
    enter("go", WEFT_GO_PEER);
#endif
}
