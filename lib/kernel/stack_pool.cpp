#include "kernel/stack_pool.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <mutex>

#include "kernel/sanitizers.hpp"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

namespace weft::kernel {
namespace {

constexpr std::size_t most_slab_bytes = std::size_t{1} << 30;
constexpr std::size_t first_slab_stacks = 64;

/// Every slab of every pool, for the overflow handler: entries are added and never removed, only emptied and used again.
struct registered_slab {
    std::atomic<char*> memory{nullptr};   // null: free entry; stored last (release), so that the rest is right once seen
    std::size_t bytes = 0;
    std::size_t stride = 0;
    std::size_t stack_size = 0;
    registered_slab* next = nullptr;
};
std::atomic<registered_slab*> registry{nullptr};   // pushed to only, under registry_mutex; read without
std::mutex registry_mutex;

void register_slab(char* memory, std::size_t bytes, std::size_t stride, std::size_t stack_size) {
    std::lock_guard lock(registry_mutex);
    registered_slab* entry = registry.load(std::memory_order_relaxed);
    while (entry && entry->memory.load(std::memory_order_relaxed)) entry = entry->next;
    const bool fresh = !entry;
    if (fresh) entry = new registered_slab;
    entry->bytes = bytes;
    entry->stride = stride;
    entry->stack_size = stack_size;
    entry->memory.store(memory, std::memory_order_release);
    if (fresh) {
        entry->next = registry.load(std::memory_order_relaxed);
        registry.store(entry, std::memory_order_release);
    }
}

void unregister_slab(char* memory) noexcept {
    std::lock_guard lock(registry_mutex);
    for (registered_slab* e = registry.load(std::memory_order_relaxed); e; e = e->next)
        if (e->memory.load(std::memory_order_relaxed) == memory) e->memory.store(nullptr, std::memory_order_release);
}

/// How many more mappings mprotect'ed guard pages may cost, for the whole process; half of the limit is left to others.
std::atomic<long> mapping_budget{[] {
    long most = 65530;
    std::ifstream("/proc/sys/vm/max_map_count") >> most;
    return most / 2;
}()};

void say_unguarded_once() noexcept {
    static std::atomic<bool> said{false};
    if (!said.exchange(true))
        std::fputs("weft: further fiber stacks have no guard pages: the kernel lacks MADV_GUARD_INSTALL (Linux 6.13) and "
                   "the budget of mappings is spent; raise vm.max_map_count\n",
                   stderr);
}

}  // namespace

stack_pool::stack_pool(std::size_t stack_size)
    : page_(static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))),
      stack_size_((std::max(stack_size, smallest) + page_ - 1) / page_ * page_),
      stride_((stack_size_ / page_) % 2 == 0 ? stack_size_ + page_ : stack_size_) {}

stack_pool::~stack_pool() {
    for (const slab& s : slabs_) {
        unregister_slab(s.memory);
        unpoison_stack(s.memory, s.stacks * stride_);
        ::munmap(s.memory, s.stacks * stride_);
    }
    mapping_budget.fetch_add(mappings_, std::memory_order_relaxed);
}

bool stack_pool::guard(char* page) noexcept {
    static std::atomic<bool> markers_work{true};   // until the kernel says otherwise
    if (markers_work.load(std::memory_order_relaxed)) {
        if (::madvise(page, page_, MADV_GUARD_INSTALL) == 0) return true;
        markers_work.store(false, std::memory_order_relaxed);
    }
    if (mapping_budget.fetch_sub(2, std::memory_order_relaxed) >= 2 && ::mprotect(page, page_, PROT_NONE) == 0) {
        mappings_ += 2;
        return true;
    }
    mapping_budget.fetch_add(2, std::memory_order_relaxed);
    say_unguarded_once();
    return false;
}

void stack_pool::grow() {
    const std::size_t most = std::max<std::size_t>(1, most_slab_bytes / stride_);
    const std::size_t stacks = std::min(most, std::max(first_slab_stacks, end_));
    const std::size_t bytes = stacks * stride_;
    void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw stack_exhausted();
    try {
        slabs_.reserve(slabs_.size() + 1);
        free_.reserve(end_ + stacks);
        guarded_.resize(end_ + stacks);
        register_slab(static_cast<char*>(memory), bytes, stride_, stack_size_);
    } catch (...) {
        ::munmap(memory, bytes);
        throw stack_exhausted();
    }
    ::madvise(memory, bytes, MADV_NOHUGEPAGE);
    slabs_.push_back({static_cast<char*>(memory), stacks, end_});
    next_fresh_ = end_;
    end_ += stacks;
}

stack_span stack_pool::span_of(std::size_t number) const noexcept {
    auto above = std::upper_bound(slabs_.begin(), slabs_.end(), number,
                                  [](std::size_t n, const slab& s) { return n < s.first_number; });
    const slab& s = *std::prev(above);
    return {s.memory + (number - s.first_number) * stride_, stack_size_, guarded_[number] ? page_ : 0};
}

stack_pool::entry stack_pool::take() {
    if (!free_.empty()) {
        const std::size_t number = free_.back();
        free_.pop_back();
        return {span_of(number), number};
    }
    if (next_fresh_ == end_) grow();
    const std::size_t number = next_fresh_++;
    guarded_[number] = guard(span_of(number).lowest);
    return {span_of(number), number};
}

void stack_pool::give_back(std::size_t number, bool cold) noexcept {
    const stack_span span = span_of(number);
    unpoison_stack(span.lowest, span.size);
    if (cold) ::madvise(span.lowest + span.guard, span.size - span.guard, MADV_DONTNEED);
    free_.push_back(number);   // never allocates: capacity was reserved for all
}

stack_span guarded_stack_at(const void* address) noexcept {
    const char* at = static_cast<const char*>(address);
    for (registered_slab* e = registry.load(std::memory_order_acquire); e; e = e->next) {
        char* memory = e->memory.load(std::memory_order_acquire);
        if (!memory || at < memory || at >= memory + e->bytes) continue;
        const std::size_t number = static_cast<std::size_t>(at - memory) / e->stride;
        return {memory + number * e->stride, e->stack_size, static_cast<std::size_t>(4096)};
    }
    return {};
}

}  // namespace weft::kernel
