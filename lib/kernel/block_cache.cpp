#include "kernel/block_cache.hpp"

#include "kernel/scheduler.hpp"

namespace weft::kernel {

block_cache::~block_cache() {
    for (list& l : free_)
        while (node* n = l.first) {
            l.first = n->next;
            ::operator delete(n);
        }
}

void* job::operator new(std::size_t size) {
    scheduler* s = scheduler::current();
    return s ? s->blocks().take(size) : ::operator new(block_cache::rounded(size));
}

void job::operator delete(void* block, std::size_t size) noexcept {
    scheduler* s = scheduler::current();
    if (s) s->blocks().give_back(block, size);
    else ::operator delete(block);
}

}  // namespace weft::kernel
