#pragma once

/// The answers of one resolver, kept for their TTL, at most `capacity` of them; the least recently used goes
/// first.
///
/// Every member but the constructor is called under the resolver's gate. So that a section neither frees much
/// nor throws, what leaves the cache is handed out, to die after the gate was left, and an entry that cannot
/// be allocated is not kept.

#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include <weft/detail/waiter.hpp>

#include "dns/answer.hpp"

namespace weft::dns_layer {

using answer_ptr = std::shared_ptr<const answer>;

class answer_cache {
public:
    /// What left the cache.
    struct entry {
        std::string key;
        answer_ptr kept;
        detail::time_point expires;
    };
    using entries = std::list<entry>;

    explicit answer_cache(std::size_t capacity) : capacity_(capacity) {}

    /// The answer, which is then the most recently used; null if there is none that is still good at `now`.
    answer_ptr find(std::string_view key, detail::time_point now, entries& removed) noexcept;

    /// Keeps `fresh`, a list of one, in place of an older answer to the same question.
    void insert(entries& fresh, entries& removed) noexcept;

    std::size_t size() const noexcept { return by_key_.size(); }
    std::size_t capacity() const noexcept { return capacity_; }

private:
    using index = std::unordered_map<std::string_view, entries::iterator>;  // the keys lie in the entries
    void remove(index::iterator found, entries& removed) noexcept;

    const std::size_t capacity_;
    entries by_use_;  // most recently used first
    index by_key_;
};

}  // namespace weft::dns_layer
