#pragma once
// The built-in web site: HTTP servers on several ports of the loopback interface that serve `page`s, the
// broken ones too.

#include "pages.hpp"

#include <weft/socket.hpp>
#include <weft/stream.hpp>

#include <map>
#include <string>
#include <vector>

namespace fetch {

class site {
public:
    /// Listens on three free ports of 127.0.0.1, and takes one more on which it does not listen.
    site();
    site(const site&) = delete;
    site& operator=(const site&) = delete;

    site_ports ports() const;
    void publish(const std::vector<page>& pages);

    /// Stops listening, closes the connections and waits until they are done.
    void close();

private:
    void serve(weft::stream connection) const;
    const page* find(const std::string& host, const std::string& path) const;

    std::map<std::string, page> pages_;  // by path
    weft::socket refusing_;              // bound, so that nobody else gets the port; it never listens
    std::vector<weft::server> servers_;
};

}  // namespace fetch
