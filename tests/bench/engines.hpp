#pragma once

/// Works of input and output run on each engine: weft's figure is what a program gets that asks for none, beside it both by name.

#include <benchmark/benchmark.h>

#include <string>
#include <system_error>
#include <utility>

#include <weft/run.hpp>

#include "peers.hpp"

namespace bench {

/// Enters WORK/PEER, which times itself by bench::timed.
template <class Work>
bool enter(const std::string& work, const std::string& peer, Work body) {
    benchmark::RegisterBenchmark((work + '/' + peer).c_str(), std::move(body))->UseManualTime()->Iterations(1);
    return true;
}

/// Enters WORK/weft, WORK/weft_epoll and WORK/weft_io_uring: body(state, engine) once for each.
template <class Work>
bool enter_on_engines(const std::string& work, Work body) {
    static constexpr std::pair<const char*, weft::engine> engines[] = {
        {"weft", weft::engine::automatic}, {"weft_epoll", weft::engine::epoll}, {"weft_io_uring", weft::engine::io_uring}};
    for (const auto& [peer, engine] : engines)
        enter(work, peer, [body, engine = engine](benchmark::State& state) {
            try {
                body(state, engine);
            } catch (const std::system_error& e) {   // the kernel refuses io_uring
                state.SkipWithError(e.what());
            }
        });
    return true;
}

}  // namespace bench
