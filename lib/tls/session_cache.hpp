#pragma once

/// session_cache: the sessions that a client may go on with, by host and port.
///
/// Any thread. Sessions come later than their handshake; what comes of a connection that was begun before the last clear() is
/// not kept. A session of TLS 1.3 is handed out once (RFC 8446 C.4: used twice it would let an onlooker link the
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

    /// \param begun  generation() when the connection began
    void put(const std::string& host, session_ptr session, unsigned begun);
    /// The latest; null if there is none.
    session_ptr take(const std::string& host);
    void clear();
    /// How often it was cleared.
    unsigned generation();

private:
    struct entry {
        std::string host;
        std::vector<session_ptr> sessions;   // the latest last; never empty
    };

    std::mutex mutex_;
    unsigned generation_ = 0;    // guarded by mutex_, as is what follows
    std::list<entry> entries_;   // the host used last is first
    std::unordered_map<std::string, std::list<entry>::iterator> by_host_;
};

}  // namespace weft::tls_layer
