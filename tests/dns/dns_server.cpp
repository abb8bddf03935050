#include "dns_server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>

namespace dns_test {
namespace {

std::string u16(unsigned value) {
    return {static_cast<char>(value >> 8 & 0xff), static_cast<char>(value & 0xff)};
}
std::string u32(std::uint32_t value) {
    return u16(value >> 16) + u16(value & 0xffff);
}

std::string address_bytes(int family, const std::string& text) {
    char bytes[16];
    if (::inet_pton(family, text.c_str(), bytes) != 1)
        throw std::invalid_argument(text);
    return std::string(bytes, family == AF_INET ? 4 : 16);
}

int checked(int result, const char* call) {
    if (result < 0)
        throw std::system_error(errno, std::generic_category(), call);
    return result;
}

}  // namespace

std::string wire_name(const std::string& name) {
    std::string wire;
    for (std::size_t at = 0; at < name.size();) {
        const std::size_t dot = std::min(name.find('.', at), name.size());
        wire += static_cast<char>(dot - at);
        wire += name.substr(at, dot - at);
        at = dot + 1;
    }
    return wire + '\0';
}

reply& reply::record(const std::string& owner, std::uint16_t type, std::uint32_t ttl,
                     const std::string& data) {
    const std::string name = owner == request_.name ? std::string("\xc0\x0c", 2) : wire_name(owner);
    sections_ += name + u16(type) + u16(1) + u32(ttl) + u16(static_cast<unsigned>(data.size())) + data;
    ++answers_;
    return *this;
}
reply& reply::a(const std::string& address, std::uint32_t ttl) {
    return a_of(request_.name, address, ttl);
}
reply& reply::a_of(const std::string& owner, const std::string& address, std::uint32_t ttl) {
    return record(owner, A, ttl, address_bytes(AF_INET, address));
}
reply& reply::aaaa(const std::string& address, std::uint32_t ttl) {
    return record(request_.name, AAAA, ttl, address_bytes(AF_INET6, address));
}
reply& reply::cname(const std::string& owner, const std::string& target, std::uint32_t ttl) {
    return record(owner, CNAME, ttl, wire_name(target));
}
reply& reply::mx(std::uint16_t priority, const std::string& host, std::uint32_t ttl) {
    return record(request_.name, MX, ttl, u16(priority) + wire_name(host));
}
reply& reply::srv(std::uint16_t priority, std::uint16_t weight, std::uint16_t port, const std::string& host,
                  std::uint32_t ttl) {
    return record(request_.name, SRV, ttl, u16(priority) + u16(weight) + u16(port) + wire_name(host));
}
reply& reply::name(std::uint16_t type, const std::string& target, std::uint32_t ttl) {
    return record(request_.name, type, ttl, wire_name(target));
}
reply& reply::soa(bool authority, std::uint32_t ttl, std::uint32_t minimum) {
    const std::string numbers = u32(7) + u32(3600) + u32(600) + u32(86400) + u32(minimum);
    const std::string zone = authority ? "test" : request_.name;
    record(zone, SOA, ttl, wire_name("ns.test") + wire_name("admin.test") + numbers);
    if (authority) {
        --answers_;
        ++authorities_;
    }
    return *this;
}

std::string reply::bytes() const {
    if (is_raw_)
        return raw_;
    const unsigned flags = 0x8180u | (truncated_ ? 0x0200u : 0u) | static_cast<unsigned>(code_);
    const std::string question = request_.bytes.substr(12, request_.name.size() + 2 + 4);
    return request_.bytes.substr(0, 2) + u16(flags) + u16(1) + u16(static_cast<unsigned>(answers_)) +
           u16(static_cast<unsigned>(authorities_)) + u16(0) + question + sections_;
}

dns_server::dns_server() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    for (int attempt = 0;; ++attempt) {  // until a port is free for both
        udp_ = checked(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
        listener_ = checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
        address.sin_port = 0;
        checked(::bind(udp_, generic, size), "bind");
        checked(::getsockname(udp_, generic, &size), "getsockname");
        if (::bind(listener_, generic, size) == 0)
            break;
        ::close(udp_);
        ::close(listener_);
        if (attempt == 20)
            throw std::runtime_error("no free port");
    }
    checked(::listen(listener_, 16), "listen");
    port_ = ntohs(address.sin_port);
    wake_ = checked(::eventfd(0, EFD_CLOEXEC), "eventfd");
    otherwise_ = [](reply& r) { r.code(3); };
    thread_ = std::thread([this] { serve(); });
}

dns_server::~dns_server() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    ::eventfd_write(wake_, 1);
    thread_.join();
    for (const int fd : connections_)
        ::close(fd);
    for (const int fd : {udp_, listener_, wake_})
        ::close(fd);
}

std::string dns_server::address() const {
    return "127.0.0.1:" + std::to_string(port_);
}

void dns_server::on(const std::string& name, std::uint16_t type, script answer) {
    std::lock_guard lock(mutex_);
    scripts_[{name, type}] = std::move(answer);
}
void dns_server::on_anything(script answer) {
    std::lock_guard lock(mutex_);
    otherwise_ = std::move(answer);
}

int dns_server::count() const {
    std::lock_guard lock(mutex_);
    return total_;
}
int dns_server::count(const std::string& name, std::uint16_t type) const {
    std::lock_guard lock(mutex_);
    const auto found = counts_.find({name, type});
    return found == counts_.end() ? 0 : found->second;
}
void dns_server::await(int questions) {
    std::unique_lock lock(mutex_);
    came_in_.wait(lock, [&] { return total_ >= questions; });
}

void dns_server::hold(std::uint16_t type) {
    std::lock_guard lock(mutex_);
    holding_ = true;
    held_type_ = type;
}
void dns_server::release() {
    std::lock_guard lock(mutex_);
    holding_ = false;
    for (const outgoing& out : held_)
        send(out);
    held_.clear();
}

void dns_server::send(const outgoing& out) {
    if (out.connection < 0) {
        ::sendto(udp_, out.bytes.data(), out.bytes.size(), 0,
                 reinterpret_cast<const sockaddr*>(out.to.data()), static_cast<socklen_t>(out.to.size()));
    } else {
        const std::string framed = u16(static_cast<unsigned>(out.bytes.size())) + out.bytes;
        ::send(out.connection, framed.data(), framed.size(), MSG_NOSIGNAL);
    }
}

bool dns_server::take(std::string message, std::string from, int connection) {
    request asked;
    asked.tcp = connection >= 0;
    std::size_t at = 12;
    while (at < message.size() && message[at] != 0) {
        const auto length = static_cast<unsigned char>(message[at]);
        if (!asked.name.empty())
            asked.name += '.';
        asked.name += message.substr(at + 1, length);
        at += length + 1u;
    }
    if (at + 5 > message.size())
        return false;
    asked.type = static_cast<std::uint16_t>(static_cast<unsigned char>(message[at + 1]) << 8 |
                                            static_cast<unsigned char>(message[at + 2]));
    asked.bytes = std::move(message);

    std::unique_lock lock(mutex_);
    const std::pair key(asked.name, asked.type);
    asked.count = ++counts_[key];
    const auto found = scripts_.find(key);
    const script answer = found == scripts_.end() ? otherwise_ : found->second;
    reply said(asked);
    answer(said);
    if (!said.dropped()) {
        outgoing out{said.bytes(), std::move(from), connection};
        if (holding_ && (held_type_ == 0 || held_type_ == asked.type))
            held_.push_back(std::move(out));
        else
            send(out);
    }
    ++total_;
    came_in_.notify_all();
    return !said.hangs_up();
}

bool dns_server::serve_connection(int fd) {
    auto read = [fd](std::size_t size) {
        std::string bytes(size, '\0');
        return ::recv(fd, bytes.data(), size, MSG_WAITALL) == static_cast<ssize_t>(size) ? bytes
                                                                                         : std::string();
    };
    const std::string length = read(2);
    if (length.empty())
        return false;
    const std::size_t size = static_cast<std::size_t>(static_cast<unsigned char>(length[0])) << 8 |
                             static_cast<unsigned char>(length[1]);
    return take(read(size), {}, fd);
}

void dns_server::serve() {
    for (;;) {
        std::vector<pollfd> waiting{{wake_, POLLIN, 0}, {udp_, POLLIN, 0}, {listener_, POLLIN, 0}};
        for (const int fd : connections_)
            waiting.push_back({fd, POLLIN, 0});
        ::poll(waiting.data(), waiting.size(), -1);
        {
            std::lock_guard lock(mutex_);
            if (stopping_)
                return;
        }
        if (waiting[1].revents) {
            char buffer[4096];
            sockaddr_storage from;
            socklen_t size = sizeof from;
            const ssize_t count =
                ::recvfrom(udp_, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &size);
            if (count > 0)
                take({buffer, static_cast<std::size_t>(count)}, {reinterpret_cast<char*>(&from), size}, -1);
        }
        if (waiting[2].revents)
            connections_.push_back(::accept(listener_, nullptr, nullptr));
        for (std::size_t i = 3; i < waiting.size(); ++i) {
            if (!waiting[i].revents || serve_connection(waiting[i].fd))
                continue;
            ::close(waiting[i].fd);
            std::erase(connections_, waiting[i].fd);
        }
    }
}

}  // namespace dns_test
