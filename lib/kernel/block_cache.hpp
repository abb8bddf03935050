#pragma once

/// Freed blocks of a loop's tasks, kept for its next ones: a task lives shortly, and a general allocator costs as much as a
/// switch. Blocks are ordinary memory, so that any thread may free what any thread allocated.
///
/// Invariants: only the loop's thread touches its cache; a block of class k has (k + 1) * granularity bytes. Switched off
/// for AddressSanitizer, which must see every free.

#include <cstddef>
#include <new>

#include <weft/detail/config.hpp>

namespace weft::kernel {

class block_cache {
public:
    block_cache() noexcept = default;
    ~block_cache();
    block_cache(const block_cache&) = delete;
    block_cache& operator=(const block_cache&) = delete;

    void* take(std::size_t size) {
        const std::size_t k = class_of(size);
        if (k < classes && free_[k].first) {
            node* n = free_[k].first;
            free_[k].first = n->next;
            --free_[k].count;
            return n;
        }
        return ::operator new(rounded(size));
    }
    void give_back(void* block, std::size_t size) noexcept {
        const std::size_t k = class_of(size);
        if (WEFT_ASAN || k >= classes || free_[k].count == most) return ::operator delete(block);
        free_[k].first = new (block) node{free_[k].first};
        ++free_[k].count;
    }
    /// Without a loop: what take() would have got.
    static std::size_t rounded(std::size_t size) noexcept { return (size + granularity - 1) / granularity * granularity; }

private:
    struct node {
        node* next;
    };
    struct list {
        node* first = nullptr;
        std::size_t count = 0;
    };
    static constexpr std::size_t granularity = 64;
    static constexpr std::size_t classes = 8;
    static constexpr std::size_t most = 4096;   // blocks of one class
    static std::size_t class_of(std::size_t size) noexcept { return (size - 1) / granularity; }

    list free_[classes];
};

}  // namespace weft::kernel
