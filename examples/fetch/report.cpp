#include "report.hpp"

#include "format.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace fetch {

using namespace std::chrono_literals;

progress_bar::progress_bar(std::size_t total) : total_(total), terminal_(isatty(STDERR_FILENO) == 1) {}

void progress_bar::update(std::size_t done) {
    const auto now = std::chrono::steady_clock::now();
    if (!terminal_ || total_ == 0 || (shown_ && now - last_draw_ < 50ms))
        return;
    constexpr std::size_t width = 40;
    const std::size_t filled = width * done / total_;
    const std::string bar = std::string(filled, '#') + std::string(width - filled, '.');
    std::fprintf(stderr, "\r[%s] %zu/%zu", bar.c_str(), done, total_);
    std::fflush(stderr);
    shown_ = true;
    last_draw_ = now;
}

void progress_bar::clear() {
    if (!shown_)
        return;
    std::fputs("\r\033[K", stderr);  // back to the first column, and erase from there
    std::fflush(stderr);
    shown_ = false;
}

std::string explanation(const result& ended) {
    if (ended.how == outcome::ok) {
        if (ended.redirects == 0)
            return {};
        return std::to_string(ended.redirects) + (ended.redirects == 1 ? " redirect" : " redirects");
    }
    if (ended.how == outcome::http_error)
        return ended.detail;
    return to_string(ended.how) + (ended.detail.empty() ? std::string() : ": " + ended.detail);
}

report::report(std::size_t total) : total_(total), bar_(total) {}

void report::add(const url& address, const result& ended) {
    ++ended_;
    if (ended.how == outcome::ok)
        ++ok_;
    bytes_ += ended.body_bytes;
    const bool answered = ended.status != 0;
    const std::string status = answered ? std::to_string(ended.status) : "FAIL";
    const std::string size = answered ? human_bytes(static_cast<double>(ended.body_bytes)) : "-";
    const std::string more = explanation(ended);
    bar_.clear();
    std::printf("%-4s %8s %8s  %s%s%s\n", status.c_str(), size.c_str(), human_time(ended.duration).c_str(),
                address.to_string().c_str(), more.empty() ? "" : "  ", more.c_str());
    std::fflush(stdout);
    bar_.update(ended_);
}

void report::add_unfinished(const url& address) {
    bar_.clear();
    std::printf("%-4s %8s %8s  %s  %s\n", "FAIL", "-", "-", address.to_string().c_str(),
                to_string(outcome::unfinished));
}

void report::summary(std::string_view end) {
    bar_.clear();
    const std::chrono::nanoseconds elapsed = std::chrono::steady_clock::now() - start_;
    const double seconds = std::max(std::chrono::duration<double>(elapsed).count(), 1e-6);
    const auto per_second = static_cast<double>(ended_) / seconds;
    std::string line;
    if (!end.empty())
        line = std::string(end) + ": ";
    line += std::to_string(ended_) + " of " + std::to_string(total_) + (total_ == 1 ? " URL" : " URLs") +
            " finished";
    line += ", " + std::to_string(ok_) + " ok, " + std::to_string(ended_ - ok_) + " failed; ";
    line += human_bytes(static_cast<double>(bytes_)) + " in " + human_time(elapsed);
    std::printf("%s (%.*f URLs/s, %s/s)\n", line.c_str(), per_second < 10 ? 1 : 0, per_second,
                human_bytes(static_cast<double>(bytes_) / seconds).c_str());
    std::fflush(stdout);
}

}  // namespace fetch
