#include "tls/session_cache.hpp"

#include <utility>

namespace weft::tls_layer {

void session_cache::put(const std::string& host, session_ptr session, unsigned begun) {
    const std::lock_guard lock(mutex_);
    if (begun != generation_) return;
    auto found = by_host_.find(host);
    if (found == by_host_.end()) {
        if (entries_.size() == most_hosts) {
            by_host_.erase(entries_.back().host);
            entries_.pop_back();
        }
        entries_.push_front({host, {}});
        try {
            found = by_host_.emplace(host, entries_.begin()).first;
            entries_.front().sessions.reserve(most_of_a_host);
        } catch (...) {
            by_host_.erase(host);
            entries_.pop_front();
            throw;
        }
    } else {
        entries_.splice(entries_.begin(), entries_, found->second);
    }
    auto& sessions = found->second->sessions;
    if (sessions.size() == most_of_a_host) sessions.erase(sessions.begin());
    sessions.push_back(std::move(session));
}

session_ptr session_cache::take(const std::string& host) {
    const std::lock_guard lock(mutex_);
    const auto found = by_host_.find(host);
    if (found == by_host_.end()) return nullptr;
    auto& sessions = found->second->sessions;
    if (SSL_SESSION_get_protocol_version(sessions.back().get()) < TLS1_3_VERSION) {
        SSL_SESSION_up_ref(sessions.back().get());
        return session_ptr(sessions.back().get());
    }
    session_ptr result = std::move(sessions.back());
    sessions.pop_back();
    if (sessions.empty()) {
        entries_.erase(found->second);
        by_host_.erase(found);
    }
    return result;
}

void session_cache::clear() {
    const std::lock_guard lock(mutex_);
    ++generation_;
    by_host_.clear();
    entries_.clear();
}

unsigned session_cache::generation() {
    const std::lock_guard lock(mutex_);
    return generation_;
}

}  // namespace weft::tls_layer
