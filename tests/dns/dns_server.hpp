#pragma once

/// A name server for tests, on a thread of its own: UDP and TCP on one port of the loopback, answers by
/// script.
///
/// What a script does not mention gets NXDOMAIN. Every question is counted when it comes in, before it is
/// answered. Answers can be held back until release(), so that a test knows who waits when.

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace dns_test {

enum type : std::uint16_t {
    A = 1,
    NS = 2,
    CNAME = 5,
    SOA = 6,
    PTR = 12,
    MX = 15,
    TXT = 16,
    AAAA = 28,
    SRV = 33
};

/// The bytes of a name, uncompressed.
std::string wire_name(const std::string& name);

struct request {
    std::string name;
    std::uint16_t type = 0;
    bool tcp = false;
    int count = 0;        // how many times this was asked, this one included
    std::string bytes{};  // the whole message
};

/// What the server says; made by a script.
class reply {
public:
    explicit reply(request asked) : request_(std::move(asked)) {}

    const request& asked() const { return request_; }

    reply& record(const std::string& owner, std::uint16_t type, std::uint32_t ttl, const std::string& data);
    reply& a(const std::string& address, std::uint32_t ttl = 60);  // of the name that was asked for
    reply& aaaa(const std::string& address, std::uint32_t ttl = 60);
    reply& a_of(const std::string& owner, const std::string& address, std::uint32_t ttl = 60);
    reply& cname(const std::string& owner, const std::string& target, std::uint32_t ttl = 60);
    reply& mx(std::uint16_t priority, const std::string& host, std::uint32_t ttl = 60);
    reply& srv(std::uint16_t priority, std::uint16_t weight, std::uint16_t port, const std::string& host,
               std::uint32_t ttl = 60);
    reply& name(std::uint16_t type, const std::string& target, std::uint32_t ttl = 60);  // NS, CNAME, PTR
    /// In the answer section, or as the authority of a negative answer.
    reply& soa(bool authority, std::uint32_t ttl, std::uint32_t minimum);

    reply& code(int rcode) { return code_ = rcode, *this; }
    reply& truncated() { return truncated_ = true, *this; }
    reply& drop() { return dropped_ = true, *this; }
    reply& hang_up() { return hangs_up_ = true, drop(); }  // closes the TCP connection
    reply& raw(std::string bytes) { return raw_ = std::move(bytes), is_raw_ = true, *this; }

    bool dropped() const { return dropped_; }
    bool hangs_up() const { return hangs_up_; }
    std::string bytes() const;

private:
    request request_;
    int code_ = 0;
    bool truncated_ = false;
    bool dropped_ = false;
    bool hangs_up_ = false;
    bool is_raw_ = false;
    int answers_ = 0;
    int authorities_ = 0;
    std::string sections_;
    std::string raw_;
};

class dns_server {
public:
    using script = std::function<void(reply&)>;

    dns_server();
    ~dns_server();
    dns_server(const dns_server&) = delete;
    dns_server& operator=(const dns_server&) = delete;

    std::string address() const;  // "127.0.0.1:PORT"

    void on(const std::string& name, std::uint16_t type, script answer);
    void on_anything(script answer);

    /// How many questions have come in.
    int count() const;
    int count(const std::string& name, std::uint16_t type) const;
    /// Blocks the thread until that many have.
    void await(int questions);

    /// From now on answers wait for release(): all, or those about one type.
    void hold(std::uint16_t type = 0);
    void release();

private:
    struct outgoing {
        std::string bytes;
        std::string to;  // a sockaddr, for UDP
        int connection;  // for TCP; -1: UDP
    };
    void serve();
    // False: the connection is to be closed.
    bool serve_connection(int fd);
    bool take(std::string message, std::string from, int connection);
    void send(const outgoing& out);

    int udp_, listener_, wake_;
    std::uint16_t port_ = 0;
    std::vector<int> connections_;  // the server thread's

    mutable std::mutex mutex_;
    std::condition_variable came_in_;
    bool stopping_ = false;
    bool holding_ = false;
    std::uint16_t held_type_ = 0;  // 0: all
    std::vector<outgoing> held_;
    std::map<std::pair<std::string, std::uint16_t>, script> scripts_;
    script otherwise_;
    std::map<std::pair<std::string, std::uint16_t>, int> counts_;
    int total_ = 0;
    std::thread thread_;  // last: runs serve()
};

}  // namespace dns_test
