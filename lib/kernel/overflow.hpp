#pragma once

/// Stack overflow: a fault in a guard page is reported with the task's name and its stack's size, then the process dies
/// as it would have.

namespace weft::kernel {

/// Installs the process's SIGSEGV handler unless it stands, and an alternate signal stack for this thread if it has none.
class overflow_guard {
public:
    overflow_guard();
    ~overflow_guard();
    overflow_guard(const overflow_guard&) = delete;
    overflow_guard& operator=(const overflow_guard&) = delete;

private:
    void* alternate_ = nullptr;   // the signal stack this made, null if the thread had one
};

}  // namespace weft::kernel
