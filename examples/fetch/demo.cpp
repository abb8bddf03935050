#include "demo.hpp"

#include "dialer.hpp"
#include "dns_server.hpp"
#include "fetcher.hpp"
#include "format.hpp"
#include "pages.hpp"
#include "report.hpp"
#include "site.hpp"

#include <weft/error.hpp>
#include <weft/task_group.hpp>
#include <weft/timeout.hpp>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

namespace fetch {
namespace {

constexpr std::size_t default_concurrency = 200;

// One run over all pages.
struct pass {
    std::string title;
    std::vector<result> results;
    std::chrono::nanoseconds elapsed{};
    std::size_t finished = 0;
    int questions = 0;  // that reached the name server
};

class demonstration {
public:
    explicit demonstration(const options& wanted) : options_(wanted) {
        const std::vector<page> pages = make_pages(site_.ports());
        site_.publish(pages);
        for (const page& one : pages) {
            if (one.listed)
                pages_.push_back(one);
        }
        for (const page& one : pages_) {
            const auto patience = one.promised == outcome::timed_out ? site_patience : options_.timeout;
            jobs_.push_back(
                {parse_url(one.address()), std::min<std::chrono::nanoseconds>(patience, options_.timeout)});
        }
    }

    void run() {
        std::printf("%zu pages on a site of its own, each with its own name, delay and fault\n",
                    pages_.size());
        run_pass("one after another", 1, std::nullopt);
        run_pass("concurrently", options_.concurrency.value_or(default_concurrency), options_.output);
        site_.close();
    }

    // After both runs. Whether every page kept its promise in both.
    bool print_comparison() const {
        print_table();
        const std::size_t broken = print_broken_promises();
        print_times();
        if (broken == 0) {
            std::printf("every page gave what its kind promises, in both runs\n");
        } else {
            std::printf("%zu pages gave something else than their kind promises\n", broken);
        }
        return broken == 0;
    }

    // After a run that was stopped.
    void print_finished() const {
        for (const pass& one : passes_) {
            std::printf("%s: %zu of %zu pages were fetched\n", one.title.c_str(), one.finished,
                        pages_.size());
        }
    }

private:
    // Each run has a name server and a resolver of its own: nothing that the first learned helps the second.
    void run_pass(std::string title, std::size_t concurrency, std::optional<std::string> output) {
        using clock = std::chrono::steady_clock;
        passes_.push_back({std::move(title), std::vector<result>(jobs_.size())});
        pass& now = passes_.back();
        dns_server names(make_zone());
        dialer dial(names.address(), site_dns_retry);
        progress_bar bar(jobs_.size());
        fetcher fetches({concurrency, site_max_body, std::move(output)}, dial,
                        [&](std::size_t index, const result& ended) {
                            now.results[index] = ended;
                            bar.update(++now.finished);
                        });
        weft::with_task_group([&](weft::task_group& background) {
            background.create_task([&] { names.serve(); });
            const clock::time_point start = clock::now();
            fetches.run(jobs_);
            now.elapsed = clock::now() - start;
            background.cancel();
        });
        now.questions = names.questions();
        bar.clear();
        std::printf("  %-18s %8s  (%s; %d questions to the name server, %d of them lost)\n",
                    now.title.c_str(), human_time(now.elapsed).c_str(), throughput(now).c_str(),
                    now.questions, names.lost_packets());
        std::fflush(stdout);
    }

    std::string throughput(const pass& of) const {
        double bytes = 0;
        for (const result& one : of.results)
            bytes += static_cast<double>(one.body_bytes);
        const double seconds = std::chrono::duration<double>(of.elapsed).count();
        return std::to_string(static_cast<long>(static_cast<double>(pages_.size()) / seconds)) +
               " pages/s, " + human_bytes(bytes / seconds) + "/s";
    }

    std::size_t kept(const pass& of, const std::string& kind) const {
        std::size_t count = 0;
        for (std::size_t i = 0; i < pages_.size(); ++i) {
            count += pages_[i].kind == kind && keeps_promise(pages_[i], of.results[i]);
        }
        return count;
    }

    void print_table() const {
        std::printf("\n%-26s %5s  %-17s %s\n", "kind of page", "pages", "as it promises", "for example");
        std::vector<std::string> kinds;
        for (const page& one : pages_) {
            if (std::find(kinds.begin(), kinds.end(), one.kind) == kinds.end())
                kinds.push_back(one.kind);
        }
        for (const std::string& kind : kinds) {
            const auto of_kind = [&](const page& one) { return one.kind == kind; };
            const auto first = std::find_if(pages_.begin(), pages_.end(), of_kind) - pages_.begin();
            const result& sample = passes_.back().results[static_cast<std::size_t>(first)];
            std::string text = explanation(sample);
            if (sample.status != 0) {
                text = std::to_string(sample.status) + ", " +
                       human_bytes(static_cast<double>(sample.body_bytes)) + " in " +
                       human_time(sample.duration) + (text.empty() ? "" : ", ") + text;
            }
            std::printf("%-26s %5td  %5zu and %5zu   %s\n", kind.c_str(),
                        std::count_if(pages_.begin(), pages_.end(), of_kind), kept(passes_.front(), kind),
                        kept(passes_.back(), kind), text.c_str());
        }
    }

    // Prints the first few; returns how many there are.
    std::size_t print_broken_promises() const {
        constexpr std::size_t shown = 10;
        std::size_t broken = 0;
        for (const pass& one : passes_) {
            for (std::size_t i = 0; i < pages_.size(); ++i) {
                const result& got = one.results[i];
                if (keeps_promise(pages_[i], got) || ++broken > shown)
                    continue;
                std::printf(
                    "%s, %s, %s: promised %s, %d, %zu B, %d redirects; got %s, %d, %ju B, %d redirects: %s\n",
                    one.title.c_str(), pages_[i].kind.c_str(), pages_[i].address().c_str(),
                    to_string(pages_[i].promised), pages_[i].promised_status, pages_[i].promised_size,
                    pages_[i].promised_redirects, to_string(got.how), got.status,
                    static_cast<std::uintmax_t>(got.body_bytes), got.redirects, got.detail.c_str());
            }
        }
        return broken;
    }

    void print_times() const {
        const pass& sequential = passes_.front();
        const pass& concurrent = passes_.back();
        std::chrono::nanoseconds sum{}, slowest{};
        for (const result& one : concurrent.results) {
            sum += one.duration;
            slowest = std::max(slowest, one.duration);
        }
        std::printf("\none after another %s, concurrently %s: %.1f times as fast\n",
                    human_time(sequential.elapsed).c_str(), human_time(concurrent.elapsed).c_str(),
                    std::chrono::duration<double>(sequential.elapsed) / concurrent.elapsed);
        std::printf("in the concurrent run the pages took %s in sum and the slowest of them %s: ",
                    human_time(sum).c_str(), human_time(slowest).c_str());
        const bool bound_by_slowest = concurrent.elapsed - slowest < sum - concurrent.elapsed;
        std::printf("the run is %s\n", bound_by_slowest ? "limited by the slowest page, not by the sum"
                                                        : "nearer to the sum than to the slowest page");
    }

    const options& options_;
    site site_;
    std::vector<page> pages_;  // the listed ones; jobs_ and the results of each pass stand in the same order
    std::vector<job> jobs_;
    std::vector<pass> passes_;
};

}  // namespace

int run_demo(const options& wanted) {
    demonstration show(wanted);
    bool finished = true;
    try {
        if (wanted.total_timeout) {
            finished = weft::move_on_after(*wanted.total_timeout, [&] { show.run(); });
        } else {
            show.run();
        }
    } catch (const weft::cancelled&) {
        show.print_finished();
        throw;
    }
    if (!finished) {
        std::printf("stopped after %s\n", human_time(*wanted.total_timeout).c_str());
        show.print_finished();
        return 1;
    }
    return show.print_comparison() ? 0 : 1;
}

}  // namespace fetch
