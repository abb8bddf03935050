#pragma once

/// Stacks: slabs of virtual memory cut into stacks of one size each, with a guard page under every stack.
///
/// Invariants
///  - A stack's memory is touched only by its user: the free list stands beside the slab, not in it.
///  - Guard pages come from MADV_GUARD_INSTALL (Linux >= 6.13; costs no mapping), else from mprotect while the budget of
///    mappings lasts (vm.max_map_count; each guarded stack costs two), else there are none, which is said once.
///  - A stack that is given back cold has returned its pages to the system; a warm one is taken again first.
///  - Stacks lie an odd number of pages apart: the page that each parked fiber uses would otherwise, with sizes that are
///    powers of two, fall into few of the sets of the translation caches, and every switch walk the page tables.
///  - Slabs are never unmapped before the pool dies. One pool for each loop and thread; only the registry of slabs,
///    which the overflow handler reads, is shared.
///
/// Rejected: a mapping per stack (the mapping budget ends at 32,000), huge pages (a parked fiber would cost 2 MiB).

#include <atomic>
#include <cstddef>
#include <memory>
#include <new>
#include <vector>

#include "kernel/fiber.hpp"

namespace weft::kernel {

/// No memory for a stack; what() says how large it was to be.
class stack_exhausted : public std::bad_alloc {
public:
    const char* what() const noexcept override { return "weft: no memory for a fiber's stack"; }
};

class stack_pool {
public:
    /// \param stack_size  bytes of virtual memory for each stack, rounded up to pages; the guard page is one of them
    explicit stack_pool(std::size_t stack_size);
    ~stack_pool();
    stack_pool(const stack_pool&) = delete;
    stack_pool& operator=(const stack_pool&) = delete;

    struct entry {
        stack_span span;
        std::size_t number;
    };

    /// Last given back first. Throws stack_exhausted.
    entry take();
    /// \param cold  return its pages to the system
    void give_back(std::size_t number, bool cold) noexcept;

    std::size_t stack_size() const noexcept { return stack_size_; }

    static constexpr std::size_t smallest = 16 * 1024;
    static constexpr std::size_t largest = std::size_t{64} << 30;

private:
    struct slab {
        char* memory;
        std::size_t stacks;
        std::size_t first_number;
    };
    void grow();
    bool guard(char* page) noexcept;
    stack_span span_of(std::size_t number) const noexcept;

    const std::size_t page_;
    const std::size_t stack_size_;
    const std::size_t stride_;
    std::vector<slab> slabs_;
    std::vector<std::size_t> free_;          // numbers, last is taken first; capacity is kept for all stacks
    std::size_t next_fresh_ = 0;             // numbers from here to the slab's end were never used
    std::size_t end_ = 0;                    // how many numbers there are
    std::vector<bool> guarded_;
    long mappings_ = 0;                      // of the process's budget: what mprotect took
};

/// If `address` lies in a guard page of any pool, that page's stack; else a span of size 0. Async-signal-safe.
stack_span guarded_stack_at(const void* address) noexcept;

}  // namespace weft::kernel
