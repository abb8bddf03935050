#pragma once
// The pages of the built-in site: how each is served, and what a fetch of it promises to give.

#include "dns_server.hpp"
#include "outcome.hpp"
#include "result.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace fetch {

enum class behaviour {
    content_length,  // the body's length stands in the header
    chunked,         // the body comes in chunks
    until_close,     // the body ends with the connection
    redirect,        // to `location`
    raw,             // `raw` and then the end of the connection
    endless,         // chunks until the client has enough
    silent,          // nothing until the client has enough
};

struct page {
    std::string kind;  ///< one line of the table
    std::string host;
    std::uint16_t port = 0;
    std::string path;
    bool listed = true;  ///< false: only reached through redirects

    behaviour serve = behaviour::content_length;
    int status = 200;
    std::size_t size = 0;
    std::chrono::milliseconds delay{0};
    std::string location;
    std::string raw;

    outcome promised = outcome::ok;  ///< and if an answer is promised, these three with it:
    int promised_status = 200;
    std::size_t promised_size = 0;
    int promised_redirects = 0;

    std::string address() const;
};

/// Whether `ended` is what the page promises.
bool keeps_promise(const page& promised, const result& ended);

struct site_ports {
    std::vector<std::uint16_t> served;
    std::uint16_t refused = 0;  ///< nobody listens there
};

constexpr std::size_t site_size = 500;                           ///< listed pages
constexpr std::uint64_t site_max_body = 300'000;                 ///< what oversized pages are beyond
constexpr auto site_patience = std::chrono::milliseconds(500);   ///< for pages that never answer
constexpr auto site_dns_retry = std::chrono::milliseconds(400);  ///< when a lost packet is noticed

/// All pages, listed ones in an order that mixes the kinds, the same every time.
std::vector<page> make_pages(const site_ports& ports);

/// The names of the site.
dns_zone make_zone();

}  // namespace fetch
