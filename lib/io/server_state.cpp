#include "io/server_state.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <exception>
#include <new>
#include <stdexcept>
#include <utility>

#include <weft/detail/task_core.hpp>
#include <weft/error.hpp>
#include <weft/loop.hpp>
#include <weft/task.hpp>

#include "io/connect.hpp"
#include "io/start_tls.hpp"

namespace weft::detail {

using namespace std::chrono_literals;

// Waiting and waking.

template <class Predicate>
bool server_state::wait_until(const char* what, time_point deadline, Predicate p) {
    for (;;) {
        std::unique_lock lock(mutex_);
        if (p()) return true;
        waiter self(what, this);
        {
            gate_lock inside(gate_);
            waiters_.push_back(self);
        }
        lock.unlock();
        const wait_outcome outcome = park(self, deadline);
        if (outcome == wait_outcome::woken) continue;
        waiters_.withdraw(self, gate_);   // all are woken by every change: nobody else misses this wake
        if (outcome == wait_outcome::timed_out) return false;
        throw_cancelled();
    }
}

void server_state::changed() noexcept {
    wake_batch batch;
    gate_lock lock(gate_);
    batch.claim_all(waiters_, lock);
    lock.leave();
    batch.wake_all();
}

// Connections.

connection::connection(std::shared_ptr<server_state> s) noexcept : server_(std::move(s)) {
    const std::lock_guard lock(server_->mutex_);
    ++server_->active_;
    next_ = server_->first_;
    if (next_) next_->previous_ = this;
    server_->first_ = this;
}

connection::~connection() {
    {
        const std::lock_guard lock(server_->mutex_);
        --server_->active_;
        if (loop_ != own_loop) --server_->places_[loop_].connections;
        (previous_ ? previous_->next_ : server_->first_) = next_;
        if (next_) next_->previous_ = previous_;
    }
    server_->changed();
}

void connection::occupy(const std::shared_ptr<connection>& place, socket_state& accepted) noexcept {
    const std::lock_guard lock(place->server_->mutex_);
    place->fd_ = accepted.fd();
    place->peer_ = accepted.peer;
    accepted.connection = place;
}

void connection::forget_descriptor() noexcept {
    const std::lock_guard lock(server_->mutex_);
    fd_ = -1;
}

bool connection::ended_by_server() noexcept {
    const std::lock_guard lock(server_->mutex_);
    return ended_by_server_;
}

// Listening.

void server_state::listen(const endpoint& where) {
    socket s(where.family(), SOCK_STREAM);
    if (where.family() != AF_UNIX) s.set_option(SOL_SOCKET, SO_REUSEADDR, 1);
    if (options.reuse_port) s.set_option(SOL_SOCKET, SO_REUSEPORT, 1);
    if (where.family() == AF_INET6) s.set_option(IPPROTO_IPV6, IPV6_V6ONLY, 1);   // [::] leaves 0.0.0.0 its own socket
    s.bind(where);
    if (where.family() == AF_UNIX && !where.host().starts_with('@')) {
        struct stat found{};
        if (::stat(where.host().c_str(), &found) == 0) {
            unix_path_ = where.host();
            unix_device_ = found.st_dev;
            unix_inode_ = found.st_ino;
        }
    }
    s.listen(options.backlog);
    endpoints.push_back(s.local_endpoint());
    listeners_.push_back(std::move(s));
}

void server_state::listen_on_all(const std::vector<endpoint>& where, bool all_required) {
    std::exception_ptr skipped;
    std::uint16_t port = 0;
    for (const endpoint& e : where) {
        try {
            listen(port != 0 && e.port() == 0 ? e.with_port(port) : e);
            if (e.port() == 0) port = endpoints.back().port();
        } catch (const std::system_error& error) {
            const bool missing = error.code() == std::errc::address_not_available ||
                                 error.code() == std::errc::address_family_not_supported;
            if (!missing || all_required) throw;
            if (!skipped) skipped = std::current_exception();
        }
    }
    if (listeners_.empty() && skipped) std::rethrow_exception(skipped);
}

void server_state::start() {
    for (weft::socket& listener : listeners_) {
        create_task(task_options{.name = "server " + listener.local_endpoint().to_string()},
                    [self = shared_from_this(), &listener] { self->accept_all(*listener.state()); });
        const std::lock_guard lock(mutex_);
        ++accepting_;
    }
}

void server_state::remove_unix_file() noexcept {
    struct stat found{};
    if (unix_path_.empty() || ::stat(unix_path_.c_str(), &found) < 0) return;
    if (found.st_dev == unix_device_ && found.st_ino == unix_inode_) ::unlink(unix_path_.c_str());
    unix_path_.clear();
}

// Accepting.

void server_state::accept_all(socket_state& listener) {
    struct at_end {
        server_state& self;
        socket_state& listener;
        ~at_end() { self.end_accepting(listener); }
    } const guard{*this, listener};

    constexpr auto first_pause = 10ms, longest_pause = 1000ms;
    auto pause = first_pause;
    for (unsigned lost = 0;;) {
        switch (accept_next(listener, lost)) {
            case accepting::go_on:
                pause = first_pause;
                lost = 0;
                break;
            case accepting::lost:
                ++lost;
                yield_now();
                break;
            case accepting::ended:
                return;
            case accepting::no_resources: {
                // What is lacking comes back when a connection ends, perhaps one of ours.
                const auto seen = [&] {
                    const std::lock_guard lock(mutex_);
                    return active_;
                }();
                bool closed = false;
                wait_until("server: out of resources", deadline_after(pause),
                           [&] { return (closed = closed_) || active_ < seen; });
                if (closed) return;
                pause = std::min(2 * pause, longest_pause);
            }
        }
    }
}

server_state::accepting server_state::accept_next(socket_state& listener, unsigned lost) {
    try {
        std::shared_ptr<connection> place;
        socket_state_ptr accepted;
        if (options.max_connections > 0) {
            accepted = accept_when_there_is_room(listener, place);
            if (!accepted) return accepting::go_on;
        } else {
            accepted = accept_connection(listener, "server::accept");
            place = std::make_shared<connection>(shared_from_this());
        }
        connection::occupy(place, *accepted);
        start_serving(std::move(place), std::move(accepted));
        return accepting::go_on;
    } catch (const std::system_error& error) {
        return judge(error, lost);
    } catch (const std::bad_alloc&) {
        return out_of_resources();
    }
}

// The place is taken only once a connection is there to take it: else a listener that nobody connects to would keep one from
// those that somebody does.
socket_state_ptr server_state::accept_when_there_is_room(socket_state& listener, std::shared_ptr<connection>& place) {
    constexpr const char* call = "server::accept";
    const auto ready = engine_layer::current_engine(call).poll(*listener.file, engine_layer::direction::read, time_point::max());
    if (!ready.ok()) throw_failure(ready, call, listener.where());
    wait_until("server: max_connections", time_point::max(), [&] { return closed_ || active_ < options.max_connections; });
    place = std::make_shared<connection>(shared_from_this());
    return accept_connection(listener, call, now());
}

// In a catch block, as the next one. \param lost  how many connections in a row have been lost before this
server_state::accepting server_state::judge(const std::system_error& error, unsigned lost) {
    constexpr unsigned most_lost = 64;   // in a row; there is another reason then, which may last
    switch (error.code().value()) {
        case EBADF:        // close()
        case EINVAL:       // somebody shut the socket down
            return accepting::ended;
        // The connection went away before it was accepted, or a firewall forbids it; accept(2) counts failures of the network
        // among these.
        case ECONNABORTED: case ECONNRESET: case EPROTO: case EPERM: case ENETDOWN: case ENOPROTOOPT: case EHOSTDOWN: case ENONET:
        case EHOSTUNREACH: case EOPNOTSUPP: case ENETUNREACH: case ETIMEDOUT: case ESOCKTNOSUPPORT: case EPROTONOSUPPORT:
            return lost < most_lost ? accepting::lost : out_of_resources();
        default:           // EMFILE, ENFILE, ENOBUFS, ENOMEM, and what nobody has thought of
            return out_of_resources();
    }
}

server_state::accepting server_state::out_of_resources() {
    if (now() >= next_report_) {
        next_report_ = deadline_after(1min);
        report("the server cannot accept a connection; it tries again");
    }
    return accepting::no_resources;
}

void server_state::end_accepting(socket_state& listener) noexcept {
    listener.close();   // nobody is there to accept any more: clients had better be refused
    const bool last = [this] {
        const std::lock_guard lock(mutex_);
        closed_ |= --accepting_ == 0;
        return accepting_ == 0;
    }();
    if (last) remove_unix_file();
    changed();
}

/// Which loop runs its handler; null: this one.
loop* server_state::choose_loop(connection& c) {
    if (places_.empty()) return nullptr;
    const std::lock_guard lock(mutex_);
    const auto better = [](const place& a, const place& b) {
        return a.closed != b.closed ? b.closed : a.connections < b.connections;
    };
    const auto chosen = std::ranges::min_element(places_, better);
    ++chosen->connections;
    c.loop_ = static_cast<std::size_t>(chosen - places_.begin());
    return options.loops[c.loop_];
}

void server_state::start_serving(std::shared_ptr<connection> c, socket_state_ptr accepted) {
    loop* const elsewhere = choose_loop(*c);
    const std::size_t which = c->loop_;
    auto serving = [self = shared_from_this(), c = std::move(c), s = std::move(accepted)]() mutable {
        self->serve(c, std::move(s));
    };
    if (!elsewhere) {
        create_task(std::move(serving));
        return;
    }
    try {
        elsewhere->call_soon_threadsafe([serving = std::move(serving)]() mutable { create_task(std::move(serving)); });
    } catch (const invalid_state&) {   // and the connection is closed
        give_up_loop(which);
    }
}

// In a catch block.
void server_state::give_up_loop(std::size_t which) {
    report("a loop that the server gives connections to is closed; it gets no more");
    bool any_left = false;
    {
        const std::lock_guard lock(mutex_);
        places_[which].closed = true;
        any_left = !std::ranges::all_of(places_, &place::closed);
    }
    if (!any_left) close();
}

void server_state::serve(const std::shared_ptr<connection>& c, socket_state_ptr accepted) {
    const auto failed = [&] {
        const bool unnamed = c->peer().host().empty();   // a Unix socket's client seldom has a name
        report("exception in the handler of a connection " +
                   (unnamed ? "to " + endpoints.front().to_string() : "from " + c->peer().to_string()));
    };
    const auto connect = [&]() -> std::optional<stream> {
        try {
            return make_stream(socket(accepted.release()), options.limit, options.tls, {}, "server::accept");
        } catch (const cancelled&) {
            throw;
        } catch (...) {
            // Whoever knocks with something else than TLS is no news; asyncio, too, tells of it only in debug mode.
            if (!options.tls || (get_running_loop().get_debug() && !c->ended_by_server())) throw;
            return std::nullopt;
        }
    };
    try {
        if (auto connected = connect()) handler(*std::move(connected));
    } catch (const cancelled&) {
        throw;
    } catch (const std::system_error&) {
        if (!c->ended_by_server()) failed();
    } catch (const incomplete_read_error&) {   // its stream was ended, too
        if (!c->ended_by_server()) failed();
    } catch (...) {
        failed();
    }
}

// In a catch block.
void server_state::report(const std::string& message) {
    get_running_loop().call_exception_handler({message, std::current_exception(), current_task()});
}

// The server's members.

void server_state::serve_forever() {
    try {
        idle_region idle;
        check_cancelled();
        wait_until("server::serve_forever", time_point::max(), [this] { return closed_; });
    } catch (const cancelled&) {
        close();
        throw;
    }
}

void server_state::close() noexcept {
    {
        const std::lock_guard lock(mutex_);
        if (std::exchange(closed_, true)) return;
    }
    remove_unix_file();
    for (weft::socket& listener : listeners_) listener.state()->close();
    changed();
}

void server_state::wait_closed() {
    wait_until("server::wait_closed", time_point::max(), [this] { return closed_ && accepting_ == 0 && active_ == 0; });
}

void server_state::close_clients() noexcept {
    const std::lock_guard lock(mutex_);
    for (connection* c = first_; c; c = c->next_) {
        if (c->fd_ < 0) continue;
        c->ended_by_server_ = true;
        ::shutdown(c->fd_, SHUT_RDWR);
    }
}

// Making one.

void check(const server_options& options, const char* call) {
    if (options.tls) check_tls(*options.tls, tls_side::server, {}, call);
    if (options.limit == 0) throw std::invalid_argument(std::string(call) + ": limit: it must be greater than 0");
    if (std::ranges::count(options.loops, nullptr) > 0)
        throw std::invalid_argument(std::string(call) + ": loops: one of them is null");
    if (options.backlog < 0) throw std::invalid_argument(std::string(call) + ": backlog: it must not be negative");
}

server listen_on(connection_handler handler, std::vector<endpoint> where, const server_options& options,
                 bool all_required) {
    // A port that the system chose for the first address may be taken on the second one: then another is chosen.
    const bool chosen = std::ranges::count(where, 0, &endpoint::port) > 1;
    for (int tries_left = chosen ? 16 : 0;; --tries_left) {
        auto state = std::make_shared<server_state>(handler, options);
        server result(state);
        try {
            state->listen_on_all(where, all_required);
            state->start();
            return result;
        } catch (const std::system_error& error) {
            if (tries_left == 0 || error.code() != std::errc::address_in_use) throw;
        }
    }
}

server start_server(connection_handler handler, const std::vector<endpoint>& where, const server_options& options) {
    require_loop("start_server");
    check(options, "start_server");
    if (where.empty()) throw std::invalid_argument("start_server: where: there is no address to listen on");
    for (const endpoint& e : where)
        if (e.family() != AF_INET && e.family() != AF_INET6)
            throw std::invalid_argument("start_server: where: \"" + e.to_string() + "\" is not an IPv4 or IPv6 address");
    return listen_on(std::move(handler), where, options, true);
}

server start_unix_server(connection_handler handler, const std::string& path, const server_options& options) {
    require_loop("start_unix_server");
    check(options, "start_unix_server");
    const endpoint where = endpoint::unix_path(path);
    struct stat found{};
    if (!path.starts_with('@') && ::stat(path.c_str(), &found) == 0 && S_ISSOCK(found.st_mode)) ::unlink(path.c_str());
    return listen_on(std::move(handler), {where}, options);
}

}  // namespace weft::detail
