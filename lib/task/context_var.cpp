// Context variables. The rules are told in weft/detail/context.hpp.

#include <weft/context_var.hpp>

#include <algorithm>
#include <stdexcept>
#include <vector>

#include <weft/error.hpp>

#include "kernel/scheduler.hpp"
#include "task/loop_state.hpp"

namespace weft::detail {

struct context::table {
    struct entry {
        std::uint64_t key;
        context_value value;
    };
    std::atomic<std::uint32_t> references{1};   // who reads 1 (acquire) is alone: only holders of a reference make more
    std::uint64_t owner = 0;                    // identity of the context that may change it
    std::vector<entry> entries;                 // ascending keys

    std::vector<entry>::iterator place_of(std::uint64_t key) noexcept {
        return std::lower_bound(entries.begin(), entries.end(), key,
                                [](const entry& e, std::uint64_t k) noexcept { return e.key < k; });
    }
    static table* of(std::uintptr_t word) noexcept { return reinterpret_cast<table*>(word & ~std::uintptr_t{1}); }
};

namespace {

constexpr std::uintptr_t anothers = 1;   // the mark in table_

std::uint64_t new_identity() noexcept {
    static std::atomic<std::uint64_t> last{0};   // relaxed: identities only need to differ
    return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

/// The context of this thread where no loop runs. A thread_local beside the kernel's, because its values must be destroyed when
/// the thread ends; looked at only where no fiber runs, so no address of it is kept across a switch.
context& thread_context() noexcept {
    thread_local context values;
    return values;
}

}  // namespace

void context::share() noexcept {
    table::of(table_)->references.fetch_add(1, std::memory_order_relaxed);
    table_ |= anothers;
}

void context::release(std::uintptr_t word) noexcept {
    table* t = table::of(word);
    if (t->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete t;
}

const context_value* context::find(std::uint64_t key) const noexcept {
    if (!table_) return nullptr;
    table* t = table::of(table_);
    const auto place = t->place_of(key);
    return place != t->entries.end() && place->key == key ? &place->value : nullptr;
}

context_value context::exchange(std::uint64_t key, context_value value) {
    const bool foreign = table_ & anothers;
    table* t = table::of(table_);
    std::uintptr_t left = 0;   // let go of last: destructors of values may come back here
    if (!t || t->references.load(std::memory_order_acquire) != 1) {
        auto own = std::make_unique<table>();
        own->owner = t && !foreign ? t->owner : new_identity();
        if (t) {
            own->entries.reserve(t->entries.size() + 1);
            own->entries = t->entries;
        }
        own->entries.reserve(own->entries.size() + 1);
        left = std::exchange(table_, reinterpret_cast<std::uintptr_t>(own.release()));
        t = table::of(table_);
    } else {
        t->entries.reserve(t->entries.size() + 1);
        if (foreign) t->owner = new_identity();
        table_ &= ~anothers;
    }
    const auto place = t->place_of(key);
    const bool there = place != t->entries.end() && place->key == key;
    context_value old;
    if (there) old = std::exchange(place->value, std::move(value));
    else if (value) t->entries.insert(place, {key, std::move(value)});
    if (there && !place->value) t->entries.erase(place);
    if (left) release(left);
    return old;
}

std::uint64_t context::id() const noexcept { return table_ && !(table_ & anothers) ? table::of(table_)->owner : 0; }

context& current_context() noexcept {
    loop_state* loop = loop_state::current();
    if (!loop) return thread_context();
    task_core* t = task_core::current();
    return t ? t->context_ : loop->callback_context;
}

std::uint64_t new_context_key() noexcept {
    static std::atomic<std::uint64_t> last{0};   // relaxed: keys only need to differ
    return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

std::shared_ptr<context_token> set_context_value(std::uint64_t key, context_value value) {
    auto token = std::make_shared<context_token>();
    token->key = key;
    context& here = current_context();
    token->old = here.exchange(key, std::move(value));
    token->context = here.id();
    return token;
}

void reset_context_value(std::uint64_t key, context_token* token) {
    if (!token) throw std::invalid_argument("context_var::reset: the token is empty");
    if (token->used.load(std::memory_order_relaxed))
        throw invalid_state("context_var::reset: the token has been used already");
    if (token->key != key) throw std::invalid_argument("context_var::reset: the token was made by another variable");
    context& here = current_context();
    if (here.id() != token->context)
        throw std::invalid_argument("context_var::reset: the token was made in another context; "
                                    "each task, callback and thread resets what it has set itself");
    const context_value gone = here.exchange(key, token->old);   // destroyed when all is done
    token->used.store(true, std::memory_order_relaxed);
}

}  // namespace weft::detail
