#include "fetcher.hpp"

#include "format.hpp"

#include <weft/semaphore.hpp>
#include <weft/task_group.hpp>
#include <weft/timeout.hpp>

#include <mutex>
#include <utility>

namespace fetch {
namespace {

constexpr std::size_t longest_detail = 300;  // servers may send redirects to kilobytes of nonsense

}  // namespace

fetcher::fetcher(fetch_settings settings, dialer& names, on_finish finished)
    : settings_(std::move(settings))
    , client_([&names](const url& to) { return names.connect(to.host, to.port, to.scheme == "https"); },
              settings_.max_body)
    , names_(settings_.output.value_or("."))
    , finished_(std::move(finished)) {}

// A task is made only when it has a permit: a million URLs cost a million jobs, not a million stacks.
void fetcher::run(std::span<const job> jobs) {
    weft::semaphore permits(static_cast<std::ptrdiff_t>(settings_.concurrency));
    weft::with_task_group([&](weft::task_group& group) {
        for (std::size_t index = 0; index < jobs.size(); ++index) {
            std::unique_lock permit(permits);
            group.create_task([this, &jobs, index, permit = std::move(permit)] {
                finished_(index, fetch_one(jobs[index]));
            });
        }
    });
}

// weft::cancelled is no std::exception: it passes through here and ends the task.
result fetcher::fetch_one(const job& wanted) {
    using clock = std::chrono::steady_clock;
    const clock::time_point start = clock::now();
    result ended;
    try {
        weft::timeout(wanted.timeout, [&] { fetch_into(ended, wanted); });
    } catch (const weft::timeout_error&) {
        ended.how = outcome::timed_out;
        ended.detail = "after " + human_time(wanted.timeout);
    } catch (const std::exception&) {
        const failure failed = current_failure();
        ended.how = failed.kind;
        ended.detail = printable(std::string_view(failed.detail).substr(0, longest_detail));
    }
    ended.duration = clock::now() - start;
    return ended;
}

void fetcher::fetch_into(result& into, const job& wanted) {
    std::optional<body_file> file;
    const auto sink = [&](std::string_view piece) {
        if (!settings_.output)
            return;
        if (!file)
            file.emplace(names_, wanted.address);
        file->write(piece);
    };
    const answer got = client_.get(wanted.address, sink);
    if (settings_.output && got.status < 300) {
        sink({});  // an empty body is a file too
        file->keep();
    }
    into.status = got.status;
    into.body_bytes = got.body_bytes;
    into.redirects = got.redirects;
    into.how = got.status < 400 ? outcome::ok : outcome::http_error;
    into.detail = got.reason;
}

}  // namespace fetch
