// Catch2's main, compiled once for every test program.
//
// Catch2's own signal handlers stay out: they would replace the library's handler for stack overflow, and the
// sanitizers', at the start and end of each test case.

#define CATCH_CONFIG_MAIN
#define CATCH_CONFIG_NO_POSIX_SIGNALS
#include <catch2/catch.hpp>
