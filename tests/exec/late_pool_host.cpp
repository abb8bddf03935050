// A program that loads weft while it runs. It cannot be the server of a process pool, since its main would run again before
// weft is there to prevent it; so the pool must be refused, and main must run once only.

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <initializer_list>

int main(int count, char** arguments) {
    if (std::getenv("WEFT_PROCESS_POOL")) {
        std::fputs("main runs in the server of a process pool\n", stderr);
        std::_Exit(1);
    }
    if (count != 2) return 2;
    for (const int visibility : {RTLD_LOCAL, RTLD_GLOBAL}) {
        void* module = ::dlopen(arguments[1], RTLD_NOW | visibility);
        if (!module) {
            std::fprintf(stderr, "%s\n", ::dlerror());
            return 3;
        }
        const auto try_it = reinterpret_cast<int (*)()>(::dlsym(module, "try_process_pool"));
        if (const int result = try_it(); result != 0) {
            std::fprintf(stderr, "the pool was not refused: %d\n", result);
            return 4;
        }
    }
}
