#include "dns/answer_cache.hpp"

#include <new>

namespace weft::dns_layer {

void answer_cache::remove(index::iterator found, entries& removed) noexcept {
    removed.splice(removed.end(), by_use_, found->second);
    by_key_.erase(found);
}

answer_ptr answer_cache::find(std::string_view key, detail::time_point now, entries& removed) noexcept {
    const auto found = by_key_.find(key);
    if (found == by_key_.end())
        return nullptr;
    if (found->second->expires <= now) {
        remove(found, removed);
        return nullptr;
    }
    by_use_.splice(by_use_.begin(), by_use_, found->second);
    return found->second->kept;
}

void answer_cache::insert(entries& fresh, entries& removed) noexcept {
    if (capacity_ == 0)
        return;
    if (const auto old = by_key_.find(fresh.front().key); old != by_key_.end())
        remove(old, removed);
    if (by_key_.size() >= capacity_)
        remove(by_key_.find(by_use_.back().key), removed);
    try {
        by_key_.emplace(fresh.front().key, fresh.begin());
    } catch (const std::bad_alloc&) {
        return;
    }
    by_use_.splice(by_use_.begin(), fresh);
}

}  // namespace weft::dns_layer
