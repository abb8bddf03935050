// What ThreadSanitizer cannot see in any test program: the references to an exception are counted inside libstdc++.so, which is not
// instrumented. Whoever frees an exception that another thread has looked at would seem to race with it. So whatever drops
// a reference stands here once more, and says what the atomic count in the library does: each drop happens after those before
// it. Rejected: to suppress the reports by the names of those who free, since that hides real races in them, too.

#include <weft/detail/config.hpp>

#if WEFT_TSAN
#include <dlfcn.h>

#include <exception>

#include <sanitizer/tsan_interface.h>

namespace {

template <class Function>
Function* original(const char* name) noexcept {
    return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

/// std::exception_ptr::_M_release(): drops a reference, and with the last one the exception.
void _ZNSt15__exception_ptr13exception_ptr10_M_releaseEv(void** exception) {
    static const auto release = original<void(void**)>("_ZNSt15__exception_ptr13exception_ptr10_M_releaseEv");
    __tsan_release(*exception);
    __tsan_acquire(*exception);
    release(exception);
}

/// The end of a catch block drops the reference that the throw, or the rethrow, held. Here another one outlives it, which
/// the function above drops.
void __cxa_end_catch() {
    static const auto end_catch = original<void()>("__cxa_end_catch");
    const std::exception_ptr held = std::current_exception();
    end_catch();
}

}  // extern "C"
#endif
