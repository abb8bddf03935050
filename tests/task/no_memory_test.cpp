// What happens where memory runs out: this program's operator new fails when it is told to. All kinds of it are replaced, because
// AddressSanitizer's own would not go with our delete.

#include <cstdlib>
#include <new>
#include <stdexcept>

#include "child_process.hpp"
#include "task/fixture.hpp"

using namespace task_test;
using namespace weft;

namespace {

/// How many allocations of this thread may still succeed; negative: all.
thread_local long allocations_left = -1;

void* allocate(std::size_t size, std::size_t alignment) {
    if (allocations_left == 0) throw std::bad_alloc();
    if (allocations_left > 0) --allocations_left;
    if (size == 0) size = 1;
    void* block = alignment == 0 ? std::malloc(size) : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    if (!block) throw std::bad_alloc();
    return block;
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size, 0); }
void* operator new(std::size_t size, std::align_val_t alignment) { return allocate(size, static_cast<std::size_t>(alignment)); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    try {
        return allocate(size, 0);
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    try {
        return allocate(size, static_cast<std::size_t>(alignment));
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, const std::nothrow_t&) noexcept { std::free(block); }
void operator delete(void* block, std::align_val_t, const std::nothrow_t&) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }
void operator delete(void* block, std::align_val_t) noexcept { std::free(block); }
void operator delete(void* block, std::size_t, std::align_val_t) noexcept { std::free(block); }

TEST_CASE_METHOD(fixture, "no memory: an exception that nobody took is told as far as memory goes, and the program goes on") {
    const bool handled = GENERATE(false, true);
    constexpr int times = 16;
    const auto ended = weft_test::in_child([&] {
        int told = 0;
        for (long allowed = 0; allowed < times; ++allowed) {
            run([&] {
                if (handled) get_running_loop().set_exception_handler([&](loop&, const exception_context&) { ++told; });
                {
                    const auto lost = create_task([] { throw std::runtime_error("lost, for nobody asks for it"); });
                    lost.join();
                    allocations_left = allowed;
                }
                yield_now();
                allocations_left = -1;
            });
        }
        return told;
    });
    INFO(ended.error_output);
    const int printed = ended.said("task exception was never retrieved");
    CHECK(printed > 0);
    CHECK((printed < times) == handled);
    CHECK(ended.exited_with(times - printed));
}
