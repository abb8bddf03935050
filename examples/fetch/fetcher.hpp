#pragma once
// Many fetches at once: how many, for how long, and what became of each.

#include "body_file.hpp"
#include "dialer.hpp"
#include "http_client.hpp"
#include "result.hpp"
#include "url.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

namespace fetch {

struct job {
    url address;
    std::chrono::nanoseconds timeout;
};

struct fetch_settings {
    std::size_t concurrency = 64;
    std::uint64_t max_body = 0;
    std::optional<std::string> output;  ///< an existing directory for the bodies
};

class fetcher {
public:
    /// Called in the fiber of each fetch as it ends, with its place in the list of jobs.
    using on_finish = std::function<void(std::size_t index, const result&)>;

    fetcher(fetch_settings settings, dialer& names, on_finish finished);

    /// Fetches all of `jobs`; a failed fetch is a result, not an exception.
    ///
    /// Suspends:      until every fetch has ended.
    /// Cancellation:  while suspended; those under way are cancelled too, and are not reported.
    void run(std::span<const job> jobs);

private:
    result fetch_one(const job& wanted);
    void fetch_into(result& into, const job& wanted);

    fetch_settings settings_;
    http_client client_;
    file_names names_;
    on_finish finished_;
};

}  // namespace fetch
