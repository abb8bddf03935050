#pragma once
// A name server for the built-in site: UDP on the loopback interface, A and AAAA questions, and the faults
// that a resolver must cope with: an answer that takes its time, and a packet that is lost.

#include <weft/socket.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>

namespace fetch {

struct dns_entry {
    std::string address;                 ///< IPv4; there is no AAAA record
    std::chrono::milliseconds delay{0};  ///< how late the answer is
    bool lose_first = false;             ///< the first packet that asks for it is dropped
};

using dns_zone = std::map<std::string, dns_entry>;  // by name, in lower case; all others are NXDOMAIN

class dns_server {
public:
    /// Binds a free port of 127.0.0.1.
    explicit dns_server(dns_zone zone);

    /// Answers questions until it is cancelled; never returns otherwise.
    void serve();

    std::string address() const;  ///< "127.0.0.1:PORT"
    int lost_packets() const { return static_cast<int>(lost_.size()); }
    int questions() const { return questions_; }

private:
    dns_zone zone_;
    weft::socket socket_;
    std::set<std::string> lost_;  // names whose first packet is gone
    int questions_ = 0;
};

}  // namespace fetch
