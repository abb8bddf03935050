#pragma once

/// session_cache: the sessions that a client may go on with, by host and port.
///
/// Any thread. A session of TLS 1.3 is handed out once (RFC 8446 C.4: used twice it would let an onlooker link the
/// connections); one of TLS 1.2 stays. Of each host the latest few are kept, of all hosts those connected to last.

#include <cstddef>
#include <list>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "tls/openssl.hpp"

namespace weft::tls_layer {

class session_cache {
public:
    static constexpr std::size_t most_hosts = 1024;
    static constexpr std::size_t most_of_a_host = 4;

    void put(const std::string& host, session_ptr session);
    /// The latest; null if there is none.
    session_ptr take(const std::string& host);
    void clear();

private:
    struct entry {
        std::string host;
        std::vector<session_ptr> sessions;   // the latest last; never empty
    };

    std::mutex mutex_;
    std::list<entry> entries_;   // the host used last is first; guarded by mutex_, as is what follows
    std::unordered_map<std::string, std::list<entry>::iterator> by_host_;
};

}  // namespace weft::tls_layer
