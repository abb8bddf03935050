#pragma once
// What the user sees of the fetches: a line for each, a bar while they run, and the summary.
//
// Lines go to standard output and the bar to standard error, and only if that is a terminal: `fetch ... >
// list` keeps the bar on the screen and out of the file. Printing is plain stdio, which may block the thread
// for as long as a terminal is stopped; so does every program's.

#include "result.hpp"
#include "url.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace fetch {

/// "[########........]  250/500" on the last line of a terminal. Does nothing where standard error is no
/// terminal.
class progress_bar {
public:
    explicit progress_bar(std::size_t total);
    progress_bar(const progress_bar&) = delete;
    progress_bar& operator=(const progress_bar&) = delete;
    ~progress_bar() { clear(); }

    void update(std::size_t done);
    void clear();  ///< before anything else is printed

private:
    std::size_t total_;
    bool terminal_;
    bool shown_ = false;
    std::chrono::steady_clock::time_point last_draw_{};
};

class report {
public:
    explicit report(std::size_t total);

    void add(const url& address, const result& ended);
    void add_unfinished(const url& address);
    /// Prints what came of all of them. `end` says why not all have ended ("interrupted"); empty if they
    /// have.
    void summary(std::string_view end = {});

    bool all_ok() const { return ok_ == total_; }

private:
    std::size_t total_;
    std::size_t ended_ = 0;  // ok_ <= ended_ <= total_
    std::size_t ok_ = 0;
    std::uint64_t bytes_ = 0;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
    progress_bar bar_;
};

/// What a result says beside status, size and time: "2 redirects", "connection refused: connect to ..."; may
/// be empty.
std::string explanation(const result& ended);

}  // namespace fetch
