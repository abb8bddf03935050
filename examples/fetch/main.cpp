// fetch: gets many URLs at the same time. `fetch --help` says how; ../README.md is a walk through the program.

#include "body_file.hpp"
#include "demo.hpp"
#include "dialer.hpp"
#include "fetcher.hpp"
#include "format.hpp"
#include "input.hpp"
#include "options.hpp"
#include "report.hpp"

#include <weft/dns.hpp>
#include <weft/error.hpp>
#include <weft/run.hpp>
#include <weft/timeout.hpp>
#include <weft/tls.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

namespace fetch {
namespace {

enum exit_status { all_ok = 0, some_failed = 1, wrong_call = 2, stopped_by_user = 130 };

std::vector<url> all_urls(const options& wanted) {
    std::vector<url> urls = wanted.urls;
    if (wanted.input) {
        const std::string source = *wanted.input == "-" ? "standard input" : *wanted.input;
        for (url& one : parse_url_list(read_input(*wanted.input), source))
            urls.push_back(std::move(one));
    }
    return urls;
}

weft::tls_context make_tls(const options& wanted) {
    weft::tls_context tls = weft::tls_context::client();
    tls.verify(!wanted.insecure);
    try {
        if (wanted.cacert)
            tls.load_verify_locations(*wanted.cacert);
    } catch (const std::system_error& error) {
        throw usage_error("--cacert: cannot use " + quoted(*wanted.cacert) + ": " + error.code().message());
    }
    return tls;
}

// The name server may itself be named: that name is the system's to look up.
dialer make_dialer(const options& wanted) {
    if (!wanted.dns)
        return dialer(make_tls(wanted));
    const auto& [host, port] = *wanted.dns;
    try {
        const auto found = weft::getaddrinfo(host, std::to_string(port));
        return dialer(found.at(0).address.to_string(), std::chrono::seconds(2), make_tls(wanted));
    } catch (const std::system_error& error) {
        throw usage_error("--dns: " + quoted(host) + ": " + error.what());
    }
}

void prepare_output(const options& wanted) {
    if (!wanted.output)
        return;
    try {
        make_directory(*wanted.output);
    } catch (const std::system_error& error) {
        throw usage_error("--output: cannot make " + quoted(*wanted.output) + ": " + error.code().message());
    }
}

// `shown` belongs to the caller, to whom it matters most when this is cancelled.
int fetch_urls(const options& wanted, std::optional<report>& shown) {
    dialer names = make_dialer(wanted);
    std::vector<job> jobs;
    for (url& one : all_urls(wanted))
        jobs.push_back({std::move(one), wanted.timeout});

    shown.emplace(jobs.size());
    std::vector<bool> finished(jobs.size());
    fetcher fetches({wanted.concurrency.value_or(64), wanted.max_body, wanted.output}, names,
                    [&](std::size_t index, const result& ended) {
                        finished[index] = true;
                        shown->add(jobs[index].address, ended);
                    });
    if (!wanted.total_timeout) {
        fetches.run(jobs);
    } else if (!weft::move_on_after(*wanted.total_timeout, [&] { fetches.run(jobs); })) {
        for (std::size_t index = 0; index < jobs.size(); ++index) {
            if (!finished[index])
                shown->add_unfinished(jobs[index].address);
        }
        shown->summary("stopped after " + human_time(*wanted.total_timeout));
        return some_failed;
    }
    shown->summary();
    return shown->all_ok() ? all_ok : some_failed;
}

int run(const options& wanted) {
    std::optional<report> shown;
    try {
        prepare_output(wanted);
        return weft::run(
            [&] { return wanted.demonstration() ? run_demo(wanted) : fetch_urls(wanted, shown); });
    } catch (const weft::interrupted&) {
        if (shown)
            shown->summary("interrupted");
        return stopped_by_user;
    }
}

// Where the caller closed standard input, output or error, the next socket would get that number, and what is printed
// would go to somebody's server.
void fill_standard_descriptors() {
    int descriptor = ::open("/dev/null", O_RDWR);
    while (descriptor >= 0 && descriptor <= STDERR_FILENO)
        descriptor = ::open("/dev/null", O_RDWR);
    ::close(descriptor);
}

}  // namespace
}  // namespace fetch

int main(int argc, char** argv) {
    fetch::fill_standard_descriptors();
    try {
        const fetch::options wanted = fetch::parse_options({argv + 1, argv + argc});
        if (wanted.help) {
            std::fputs(std::string(fetch::help_text()).c_str(), stdout);
            return fetch::all_ok;
        }
        return fetch::run(wanted);
    } catch (const fetch::usage_error& error) {
        std::fprintf(stderr, "fetch: %s\nTry 'fetch --help'.\n", error.what());
        return fetch::wrong_call;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "fetch: %s\n", error.what());
        return fetch::some_failed;
    }
}
