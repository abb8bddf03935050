#pragma once

/// inquiry: one fiber's interest in one question: found in the cache, joined, or asked.
///
/// Several may be held before the first is waited for; then they are in flight together. An inquiry belongs to
/// the loop it was made on.

#include <memory>
#include <string>

#include "dns/channel.hpp"

namespace weft::dns_layer {

class inquiry {
public:
    /// Asks, if it must. Throws no_running_task before anything is sent if a callback would have to wait.
    inquiry(const char* call, resolver_state& state, const std::string& name, record_type type);
    inquiry(const inquiry&) = delete;
    inquiry& operator=(const inquiry&) = delete;
    /// Leaves a question that has not ended.
    ~inquiry();

    /// Waits for the end, and returns the answer, good or bad. Throws weft::cancelled only.
    answer_ptr wait(const char* call);
    /// The same, but not beyond the deadline. False: it was there first.
    bool wait_until(const char* call, detail::time_point deadline);
    /// Whether wait() would not wait.
    bool ended() const noexcept { return cached_ || question_->ended(); }

private:
    const answer_ptr cached_;
    std::shared_ptr<question> question_;  // null if cached_
};

}  // namespace weft::dns_layer
