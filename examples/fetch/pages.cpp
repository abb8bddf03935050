#include "pages.hpp"

#include <random>
#include <utility>

namespace fetch {
namespace {

using namespace std::chrono_literals;
using std::to_string;

// Writes down pages one kind after the other; each gets a path of its own, a port and a host in turn, and a
// short delay.
class page_list {
public:
    explicit page_list(const site_ports& ports) : ports_(ports) {}

    page make(std::string kind, behaviour serve) {
        static const std::vector<std::string> hosts{"www.weft.test", "images.weft.test", "archive.weft.test"};
        const std::size_t number = next_++;
        page made;
        made.kind = std::move(kind);
        made.host = hosts[number % hosts.size()];
        made.port = ports_.served[number / hosts.size() % ports_.served.size()];
        made.path = std::string("/").append(to_string(number));
        made.serve = serve;
        made.delay = std::chrono::milliseconds(5 + number * 7 % 17);
        made.size = made.promised_size = 200 + number * number * 37 % 60'000;
        return made;
    }

    void add(page made) {
        if (made.listed)
            ++listed_;
        pages_.push_back(std::move(made));
    }

    /// `count` pages of one kind; `change(page, index)` makes them differ from an ordinary page.
    template <class Change> void add(int count, const char* kind, behaviour serve, Change change) {
        for (int index = 0; index < count; ++index) {
            page made = make(kind, serve);
            change(made, index);
            add(std::move(made));
        }
    }
    void add(int count, const char* kind, behaviour serve) {
        add(count, kind, serve, [](page&, int) {});
    }

    /// A page behind `length` redirects, with relative addresses.
    void add_chain(const char* kind, int length, outcome promised) {
        page made = make(kind, behaviour::content_length);
        const std::string folder = made.path + "/chain/";
        const std::size_t size = made.size;
        for (int left = 0; left <= length; ++left) {
            page hop = made;
            hop.path = folder + to_string(left);
            hop.listed = left == length;
            hop.delay = 5ms;
            if (left > 0) {
                hop.serve = behaviour::redirect;
                hop.status = 302;
                hop.location = to_string(left - 1);
            }
            hop.promised = promised;
            hop.promised_size = size;
            hop.promised_redirects = left;
            add(std::move(hop));
        }
    }

    std::size_t listed() const { return listed_; }
    std::vector<page> take() { return std::move(pages_); }
    const site_ports& ports() const { return ports_; }

private:
    site_ports ports_;
    std::vector<page> pages_;
    std::size_t next_ = 0;
    std::size_t listed_ = 0;
};

void add_answers(page_list& list) {
    list.add(50, "in chunks", behaviour::chunked);
    list.add(30, "until the connection ends", behaviour::until_close);
    list.add(10, "no content", behaviour::content_length, [](page& made, int) {
        made.status = made.promised_status = 204;
        made.size = made.promised_size = 0;
    });
    list.add(5, "slow", behaviour::content_length,
             [](page& made, int index) { made.delay = std::chrono::milliseconds(380 + 20 * index); });
    list.add(15, "an error's status", behaviour::content_length, [](page& made, int index) {
        static const std::vector<int> statuses{404, 410, 500, 503};
        made.status = made.promised_status = statuses[static_cast<std::size_t>(index) % statuses.size()];
        made.promised = outcome::http_error;
    });
}

void add_redirects(page_list& list) {
    for (int i = 0; i < 20; ++i)
        list.add_chain("redirect", 1, outcome::ok);
    for (int i = 0; i < 3; ++i)
        list.add_chain("redirects, 10", 10, outcome::ok);
    list.add_chain("redirects, 11", 11, outcome::too_many_redirects);
    list.add(5, "redirect to another host", behaviour::redirect, [&](page& made, int) {
        page target = list.make(made.kind, behaviour::content_length);
        target.listed = false;
        made.status = 301;
        made.location = target.address();
        made.promised_size = target.size;
        made.promised_redirects = 1;
        list.add(std::move(target));
    });
    list.add(2, "redirect to itself", behaviour::redirect, [](page& made, int) {
        made.status = 307;
        made.location = "?again";
        made.promised = outcome::too_many_redirects;
    });
    list.add(2, "https where http is", behaviour::redirect, [&](page& made, int) {
        made.status = 308;
        made.location = "https://www.weft.test:" + to_string(made.port) + "/";
        made.promised = outcome::no_tls;
    });
    list.add(2, "redirect without Location", behaviour::redirect, [](page& made, int) {
        made.status = 302;
        made.promised = outcome::malformed;
    });
}

void add_broken(page_list& list) {
    const std::string ok = "HTTP/1.1 200 OK\r\n";
    list.add(8, "malformed", behaviour::raw, [&](page& made, int index) {
        const std::vector<std::string> kinds{
            "Welcome to port 80!\r\n\r\n",
            "HTTP/1.1 fine OK\r\n\r\n",
            ok + "a line without its colon\r\n\r\n",
            ok + "Content-Length: many\r\n\r\n",
            ok + "Transfer-Encoding: chunked\r\n\r\nno size\r\nbody\r\n0\r\n\r\n",
        };
        made.raw = kinds[static_cast<std::size_t>(index) % kinds.size()];
        made.promised = outcome::malformed;
    });
    list.add(8, "truncated", behaviour::raw, [&](page& made, int index) {
        const std::vector<std::string> kinds{
            ok + "Content-Len",
            ok + "Content-Length: 1000\r\n\r\n" + std::string(400, 'x'),
            ok + "Transfer-Encoding: chunked\r\n\r\n100\r\n" + std::string(256, 'x') + "\r\n",
        };
        made.raw = kinds[static_cast<std::size_t>(index) % kinds.size()];
        made.promised = outcome::truncated;
    });
    list.add(6, "closes without answer", behaviour::raw,
             [](page& made, int) { made.promised = outcome::no_answer; });
    list.add(3, "announces too much", behaviour::raw, [&](page& made, int) {
        made.raw = ok + "Content-Length: 5000000000\r\n\r\n";
        made.promised = outcome::too_large;
    });
    list.add(3, "never ends", behaviour::endless,
             [](page& made, int) { made.promised = outcome::too_large; });
    list.add(2, "never answers", behaviour::silent,
             [](page& made, int) { made.promised = outcome::timed_out; });
}

void add_names(page_list& list) {
    list.add(6, "nobody listens", behaviour::content_length, [&](page& made, int) {
        made.port = list.ports().refused;
        made.promised = outcome::refused;
    });
    list.add(6, "no such name", behaviour::content_length, [](page& made, int index) {
        made.host = "no" + to_string(index) + ".weft.test";
        made.promised = outcome::no_such_name;
    });
    list.add(4, "slow name", behaviour::content_length,
             [](page& made, int) { made.host = "slow.weft.test"; });
    list.add(2, "lost DNS packet", behaviour::content_length,
             [](page& made, int) { made.host = "lossy.weft.test"; });
}

}  // namespace

std::string page::address() const {
    return "http://" + host + ":" + to_string(port) + path;
}

bool keeps_promise(const page& promised, const result& ended) {
    if (ended.how != promised.promised)
        return false;
    if (ended.how != outcome::ok && ended.how != outcome::http_error)
        return true;
    return ended.status == promised.promised_status && ended.body_bytes == promised.promised_size &&
           ended.redirects == promised.promised_redirects;
}

std::vector<page> make_pages(const site_ports& ports) {
    page_list list(ports);
    add_answers(list);
    add_redirects(list);
    add_broken(list);
    add_names(list);
    list.add(static_cast<int>(site_size - list.listed()), "plain", behaviour::content_length);
    std::vector<page> pages = list.take();
    // Not std::shuffle, which is free to give another order with each library.
    std::mt19937 random(7);
    for (std::size_t i = pages.size(); i > 1; --i)
        std::swap(pages[i - 1], pages[random() % i]);
    return pages;
}

dns_zone make_zone() {
    return {
        {"www.weft.test", {"127.0.0.1"}},
        {"images.weft.test", {"127.0.0.1"}},
        {"archive.weft.test", {"127.0.0.1"}},
        {"slow.weft.test", {"127.0.0.1", 200ms}},
        {"lossy.weft.test", {"127.0.0.1", 0ms, true}},
    };
}

}  // namespace fetch
