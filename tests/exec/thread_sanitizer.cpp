// What ThreadSanitizer cannot see: the references to an exception are counted inside libstdc++.so, which is not instrumented. So
// whoever frees an exception that another thread has looked at seems to race with it: here, the end of a future's state.

#include <weft/detail/config.hpp>

#if WEFT_TSAN
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() {
    return "race:std::__exception_ptr::exception_ptr::_M_release\nrace:weft::detail::future_state::~future_state\n";
}
#endif
