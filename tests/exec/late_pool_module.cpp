// A library that uses weft, for a program that knows nothing of it: see late_pool_host.cpp.

#include <stdexcept>
#include <string>

#include <weft/process_pool.hpp>

namespace {

int twice(int i) { return 2 * i; }

}  // namespace

/// 0 if the pool was refused as it must be.
extern "C" __attribute__((visibility("default"))) int try_process_pool() {
    try {
        weft::process_pool_executor pool(1);
        pool.submit(twice, 1).get();
        return 1;
    } catch (const std::runtime_error& e) {
        return std::string(e.what()).find("weft was loaded after the program had started") == std::string::npos ? 2 : 0;
    }
}
