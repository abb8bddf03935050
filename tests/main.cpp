// Catch2's main, compiled once for every test program.
//
// Catch2's own signal handlers stay out: they would replace the library's handler for stack overflow, and the
// sanitizers', at the start and end of each test case.

#define CATCH_CONFIG_RUNNER
#define CATCH_CONFIG_NO_POSIX_SIGNALS
#include <catch2/catch.hpp>

#include <signal.h>

int main(int argc, char** argv) {
    // What a shell runs in the background begins with these ignored, and some tests send them to themselves.
    for (const int signo : {SIGINT, SIGQUIT}) ::signal(signo, SIG_DFL);
    return Catch::Session().run(argc, argv);
}
