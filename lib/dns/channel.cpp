#include "dns/channel.hpp"

#include <ares.h>
#include <arpa/nameser.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "dns/error.hpp"
#include "dns/resolv_conf.hpp"
#include "kernel/scheduler.hpp"

namespace weft::dns_layer {
namespace {

/// A longer answer is not kept: the cache counts answers, and this bounds what each of them takes.
constexpr int longest_kept = 16 * 1024;

dns_errc error_of(int status) noexcept {
    switch (status) {
    case ARES_SUCCESS:
        return {};
    case ARES_ENODATA:
        return dns_errc::no_data;
    case ARES_EFORMERR:
        return dns_errc::format_error;
    case ARES_ESERVFAIL:
        return dns_errc::server_failure;
    case ARES_ENOTFOUND:
    case ARES_ENONAME:
        return dns_errc::not_found;
    case ARES_ENOTIMP:
        return dns_errc::not_implemented;
    case ARES_EREFUSED:
        return dns_errc::refused;
    case ARES_EBADRESP:
        return dns_errc::bad_response;
    case ARES_ECONNREFUSED:
        return dns_errc::connection_refused;
    case ARES_ETIMEOUT:
        return dns_errc::timeout;
    case ARES_EDESTRUCTION:
    case ARES_ECANCELLED:
        return dns_errc::cancelled;
    case ARES_ENOMEM:
        return dns_errc::no_memory;
    default:
        return dns_errc::other;
    }
}

/// The servers of a file in which one has a port, which c-ares would not read; else none. What is no server is passed over.
std::vector<server_address> with_ports(const std::vector<std::string>& texts) {
    std::vector<server_address> servers;
    bool port_found = false;
    for (const std::string& text : texts) {
        try {
            servers.push_back(parse_server(text));
        } catch (const std::invalid_argument&) {
            continue;
        }
        port_found |= servers.back().port != NAMESERVER_PORT;
    }
    if (!port_found)
        servers.clear();
    return servers;
}

const answer_ptr& out_of_memory() {
    static const answer_ptr instance = std::make_shared<const answer>(answer{.error = dns_errc::no_memory});
    return instance;
}

void initialize_library() {
    static const int status = [] {
        out_of_memory();  // made while there is some
        return ares_library_init(ARES_LIB_INIT_ALL);
    }();
    if (status != ARES_SUCCESS)
        throw_dns_error(error_of(status), "ares_library_init", ares_strerror(status));
}

}  // namespace

std::string question_key(std::string_view name, record_type type) {
    const auto number = static_cast<std::uint16_t>(type);
    std::string key(name);
    key += {'\0', static_cast<char>(number >> 8), static_cast<char>(number & 0xff)};
    return key;
}

struct channel::socket_watch : engine_layer::watch {
    explicit socket_watch(channel& c, int socket) noexcept : owner(c) {
        fd = socket;
        ready = [](engine_layer::watch& w, unsigned came) noexcept {
            // An error is found by trying what was waited for.
            const bool failed = (came & (EPOLLERR | EPOLLHUP)) != 0;
            const bool readable = (came & EPOLLIN) || (failed && (w.events & EPOLLIN));
            const bool writable = (came & EPOLLOUT) || (failed && (w.events & EPOLLOUT));
            // w may be gone when this returns
            static_cast<socket_watch&>(w).owner.process(readable ? w.fd : ARES_SOCKET_BAD,
                                                        writable ? w.fd : ARES_SOCKET_BAD);
        };
    }
    channel& owner;
};

struct channel::farewell : detail::message {
    explicit farewell(channel& c) noexcept : to(c) {
        deliver = [](detail::message& m) noexcept { static_cast<farewell&>(m).to.shut_down(); };
    }
    channel& to;
};

struct channel::callbacks {
    static void answered(void* argument, int status, int /*timeouts*/, unsigned char* message,
                         int size) noexcept {
        question& q = *static_cast<question*>(argument);
        channel& c = *q.home;
        answer_ptr result;
        try {
            auto made = std::make_shared<answer>();
            const bool complete =
                status == ARES_SUCCESS || status == ARES_ENODATA || status == ARES_ENOTFOUND;
            if (complete && message && size > 0)
                *made = parse_answer({message, static_cast<std::size_t>(size)}, q.name, q.type);
            else
                made->error = complete ? dns_errc::bad_response : error_of(status);
            if (made->error == dns_errc::connection_refused && q.last_error != dns_errc{})
                made->error = q.last_error;
            made->received = detail::now();
            result = std::move(made);
            if (size <= longest_kept)
                c.state_->keep(q.key, result);
        } catch (const std::bad_alloc&) {
            if (!result)
                result = out_of_memory();
        }
        c.finish(q, std::move(result));
    }

    static void socket_state(void* self, ares_socket_t fd, int readable, int writable) noexcept {
        static_cast<channel*>(self)->set_socket(fd, (readable ? unsigned{EPOLLIN} : 0u) |
                                                        (writable ? unsigned{EPOLLOUT} : 0u));
    }

    // The system calls of c-ares. Its own raise SIGPIPE when a server closes its connection, and before
    // version 1.22 it reports whatever an unwilling server said as "connection refused"; note_error() sees
    // what it was.
    static ares_socket_t make_socket(int family, int type, int protocol, void*) noexcept {
        return ::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    }
    static int close_socket(ares_socket_t fd, void*) noexcept { return ::close(fd); }
    static int connect(ares_socket_t fd, const sockaddr* to, ares_socklen_t size, void*) noexcept {
        return ::connect(fd, to, size);
    }
    static ares_ssize_t send(ares_socket_t fd, const iovec* parts, int count, void*) noexcept {
        msghdr message{};
        message.msg_iov = const_cast<iovec*>(parts);
        message.msg_iovlen = static_cast<std::size_t>(count);
        return ::sendmsg(fd, &message, MSG_NOSIGNAL);
    }
    static ares_ssize_t receive(ares_socket_t fd, void* to, std::size_t size, int flags, sockaddr* from,
                                ares_socklen_t* from_size, void* self) noexcept {
        const ssize_t count = ::recvfrom(fd, to, size, flags, from, from_size);
        if (count > 0)
            static_cast<channel*>(self)->note_error(static_cast<const std::uint8_t*>(to),
                                                    static_cast<std::size_t>(count));
        return count;
    }
    static constexpr ares_socket_functions system_calls{make_socket, close_socket, connect, receive, send};
};

channel::channel(std::shared_ptr<resolver_state> state)
    : state_(std::move(state))
    , home_(*kernel::scheduler::current())
    , timer_(*this)
    , farewell_(std::make_unique<farewell>(*this)) {
    initialize_library();
    timer_.fire = [](kernel::timer& t) noexcept {
        static_cast<timeout&>(t).owner.process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    };
    open();
    try {
        kernel::at_loop_close(&loop_closes, this);
    } catch (...) {
        close();
        throw;
    }
}

channel::~channel() = default;

void channel::open() {
    const resolver_options& chosen = state_->options();
    const file_stamp configuration = file_stamp::of(chosen.resolv_conf);
    // The file says how its own servers are asked, unless the program does.
    const resolv_conf file = chosen.servers.empty() ? resolv_conf::read(chosen.resolv_conf) : resolv_conf{};
    const resolver_options untouched;
    const auto timeout = chosen.timeout == untouched.timeout ? file.timeout.value_or(chosen.timeout) : chosen.timeout;
    const bool rotate = chosen.rotate || file.rotate;
    std::string lookups = "b";  // servers only; c-ares takes its strings without const
    std::string path = chosen.resolv_conf;
    ares_options options{};
    options.flags = file.tcp_only ? ARES_FLAG_USEVC : 0;
    options.timeout = static_cast<int>(timeout.count());
    options.tries = chosen.tries == untouched.tries ? file.tries.value_or(chosen.tries) : chosen.tries;
    options.lookups = lookups.data();
    options.sock_state_cb = &callbacks::socket_state;
    options.sock_state_cb_data = this;
    options.resolvconf_path = path.data();
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
               ARES_OPT_SOCK_STATE_CB | ARES_OPT_RESOLVCONF |
               (rotate ? ARES_OPT_ROTATE : ARES_OPT_NOROTATE);
#ifdef ARES_OPT_QUERY_CACHE
    options.qcache_max_ttl = 0;  // answers are kept by our clock, not by c-ares's
    mask |= ARES_OPT_QUERY_CACHE;
#endif
    auto check = [](int status) {
        if (status != ARES_SUCCESS)
            throw_dns_error(error_of(status), "resolver", ares_strerror(status));
    };
    ares_channel handle = nullptr;
    check(ares_init_options(&handle, &options, mask));
    std::unique_ptr<ares_channeldata, decltype(&ares_destroy)> guard(handle, &ares_destroy);
    ares_set_socket_functions(handle, &callbacks::system_calls, this);

    const std::vector<server_address> servers =
        chosen.servers.empty() ? with_ports(file.servers) : state_->servers();
    std::vector<ares_addr_port_node> nodes(servers.size());
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        const server_address& server = servers[i];
        nodes[i].next = i + 1 < nodes.size() ? &nodes[i + 1] : nullptr;
        nodes[i].family = server.address.family;
        std::memcpy(&nodes[i].addr, server.address.bytes.data(), server.address.family == AF_INET ? 4 : 16);
        nodes[i].udp_port = nodes[i].tcp_port = server.port;
    }
    if (!nodes.empty())
        check(ares_set_servers_ports(handle, nodes.data()));

    ares_options found{};
    int found_mask = 0;
    const int saved = ares_save_options(handle, &found, &found_mask);
    const std::unique_ptr<ares_options, decltype(&ares_destroy_options)> found_guard(&found,
                                                                                     &ares_destroy_options);
    check(saved);
    search_rules rules{.domains = {}, .ndots = found.ndots};
    for (int i = 0; i < found.ndomains; ++i)
        rules.domains.push_back(lower_case(found.domains[i]));

    search_ = std::move(rules);
    configuration_ = configuration;
    std::swap(handle_, handle);
    guard.release();
    if (handle)
        ares_destroy(handle);  // opened again: nothing was in flight
}

void channel::refresh() {
    if (asked_ == 0 && file_stamp::of(state_->options().resolv_conf) != configuration_)
        open();
}

void channel::close() noexcept {
    if (!handle_)
        return;
    ares_destroy(handle_);  // ends every question with ARES_EDESTRUCTION, and every socket
    handle_ = nullptr;
    home_.timers().remove(timer_);
    while (!sockets_.empty())
        set_socket(sockets_.back()->fd, 0);
}

void channel::shut_down() noexcept {
    home_.cancel_at_close(&loop_closes, this);
    close();
    delete this;
}

void channel::post_shut_down() noexcept {
    posted_ = true;
    home_.mailbox().post(*farewell_);  // forget() waits for the gate, so the loop cannot have closed
}

void channel::loop_closes(void* self) noexcept {
    channel& c = *static_cast<channel*>(self);
    c.close();
    c.state_->forget(c);
    if (!c.posted_)
        delete &c;  // else the farewell does it: a closing loop delivers what was posted to it
}

std::shared_ptr<question> channel::ask(const std::string& name, record_type type) {
    std::string key = question_key(name, type);
    if (const auto found = open_.find(key); found != open_.end()) {
        ++found->second->interested;
        state_->count_start(true);
        return found->second->asked;
    }
    refresh();

    auto q = std::make_shared<question>(std::move(key), name, type);
    open_.emplace(q->key, q.get());
    q->home = this;
    q->asked = q;
    q->interested = 1;
    ++asked_;
    state_->count_start(false);
    ares_query(handle_, q->name.c_str(), ns_c_in, static_cast<int>(type), &callbacks::answered, q.get());
    set_timer();
    return q;
}

const channel::search_rules& channel::search() {
    refresh();
    return search_;
}

void channel::leave(question& q) noexcept {
    if (q.ended() || --q.interested != 0)
        return;
    open_.erase(q.key);
    if (++unheard_ < asked_)
        return;
    ares_cancel(handle_);
    set_timer();
}

void channel::finish(question& q, answer_ptr result) noexcept {
    const std::shared_ptr<question> keep = std::move(q.asked);
    --asked_;
    if (q.interested == 0)
        --unheard_;
    else
        open_.erase(q.key);
    q.home = nullptr;
    state_->count_end(result->error);

    detail::wake_batch woken;
    detail::gate_lock lock(q.gate);
    q.result = std::move(result);
    woken.claim_all(q.waiters, lock);
}  // leaves the gate, then wakes

void channel::process(int readable, int writable) noexcept {
    ares_process_fd(handle_, readable, writable);
    set_timer();
}

void channel::set_timer() noexcept {
    timeval left{};
    home_.timers().remove(timer_);
    if (!ares_timeout(handle_, nullptr, &left))
        return;
    // c-ares rounds down to milliseconds: asked that early it would only say "not yet".
    timer_.when = detail::now() + std::chrono::seconds(left.tv_sec) +
                  std::chrono::microseconds(left.tv_usec) + std::chrono::milliseconds(1);
    home_.timers().add(timer_);
}

void channel::set_socket(int fd, unsigned events) noexcept {
    const auto found = std::ranges::find_if(sockets_, [fd](const auto& w) { return w->fd == fd; });
    if (found == sockets_.end()) {
        if (events == 0)
            return;
        try {
            sockets_.push_back(std::make_unique<socket_watch>(*this, fd));
        } catch (const std::bad_alloc&) {
            return;  // unwatched, the question will time out
        }
        sockets_.back()->events = events;
        if (home_.engine->add(*sockets_.back()) < 0)
            sockets_.pop_back();
        return;
    }
    socket_watch& watch = **found;
    if (events == 0) {
        home_.engine->remove(watch);
        sockets_.erase(found);
    } else if (watch.events != events) {
        watch.events = events;
        home_.engine->modify(watch);
    }
}

void channel::note_error(const std::uint8_t* message, std::size_t size) noexcept {
    try {
        const auto said = parse_refusal({message, size});
        if (!said)
            return;
        const auto found = open_.find(question_key(said->name, said->type));
        if (found != open_.end())
            found->second->last_error = said->error;
    } catch (const std::bad_alloc&) {  // then the reason stays unknown
    }
}

}  // namespace weft::dns_layer
