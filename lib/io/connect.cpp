#include "io/connect.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <weft/error.hpp>
#include <weft/gather.hpp>
#include <weft/task.hpp>

#include "io/socket_state.hpp"
#include "io/start_tls.hpp"

namespace weft::detail {
namespace {

socket connect_one(const endpoint& peer, const std::optional<endpoint>& local) {
    socket s(peer.family(), SOCK_STREAM);
    if (local) s.bind(*local);
    s.connect(peer);
    return s;
}

/// The attempts that are under way. None outlives it.
class attempts {
public:
    attempts() = default;
    ~attempts() {
        for (const auto& t : running_) t.cancel();
        uncancellable([this] {
            for (const auto& t : running_) {
                t.join();
                t.exception();   // nobody else will ask for it
            }
        });
    }
    attempts(const attempts&) = delete;
    attempts& operator=(const attempts&) = delete;

    void start(const endpoint& peer, const std::optional<endpoint>& local) {
        running_.push_back(create_task([peer, local] { return connect_one(peer, local); }));
    }
    std::size_t count() const noexcept { return running_.size(); }

    /// Waits until attempts have ended, or for `time`; returns those that have.
    std::vector<task<socket>> wait(std::optional<std::chrono::milliseconds> time) {
        auto result = time ? weft::wait(running_, *time, return_when::first_completed)
                           : weft::wait(running_, return_when::first_completed);
        running_ = std::move(result.pending);
        return std::move(result.done);
    }

private:
    std::vector<task<socket>> running_;
};

/// What all the attempts failed of.
class failures {
public:
    void add(const std::system_error& error) {
        last_ = error.code();
        texts_.emplace_back(error.what());
    }
    [[noreturn]] void raise(const std::string& target) const {
        if (texts_.empty()) throw std::system_error(EADDRNOTAVAIL, std::generic_category(),
                                                    "open_connection " + target + ": no address of the local one's family");
        std::string all = "open_connection " + target;
        if (texts_.size() > 1) all += ", " + std::to_string(texts_.size()) + " addresses failed";
        const char* separator = " (";
        for (const std::string& text : texts_) all += std::exchange(separator, "; ") + text;
        throw std::system_error(last_, all + ')');
    }

private:
    std::error_code last_;
    std::vector<std::string> texts_;
};

}  // namespace

std::vector<endpoint> interleave_families(const std::vector<endpoint>& addresses) {
    std::vector<std::vector<endpoint>> families;
    for (const endpoint& address : addresses) {
        const auto same = [&](const auto& family) { return family.front().family() == address.family(); };
        const auto found = std::find_if(families.begin(), families.end(), same);
        if (found != families.end()) found->push_back(address);
        else families.push_back({address});
    }
    std::vector<endpoint> result;
    for (std::size_t turn = 0; result.size() < addresses.size(); ++turn)
        for (const auto& family : families)
            if (turn < family.size()) result.push_back(family[turn]);
    return result;
}

socket connect_first(const std::vector<endpoint>& addresses, std::chrono::milliseconds delay,
                     const std::optional<endpoint>& local, const std::string& target) {
    std::vector<endpoint> order = interleave_families(addresses);
    if (local) std::erase_if(order, [&](const endpoint& e) { return e.family() != local->family(); });
    failures failed;
    if (order.size() == 1) {   // the usual case needs no task
        try {
            return connect_one(order.front(), local);
        } catch (const std::system_error& error) {
            failed.add(error);
            failed.raise(target);
        }
    }

    attempts under_way;
    for (auto next = order.begin(); next != order.end() || under_way.count() > 0;) {
        if (next != order.end()) under_way.start(*next++, local);
        std::optional<std::chrono::milliseconds> time;
        if (next != order.end() && delay != std::chrono::milliseconds::max()) time = delay;
        bool begin_next = false;
        while (!begin_next && under_way.count() > 0) {
            auto ended = under_way.wait(time);
            begin_next = ended.empty() && next != order.end();   // the delay has passed
            std::optional<socket> winner;
            for (auto& attempt : ended) {
                try {
                    socket connected = std::move(attempt).get();
                    if (!winner) winner = std::move(connected);
                } catch (const std::system_error& error) {
                    failed.add(error);
                    begin_next = true;
                }
            }
            if (winner) return std::move(*winner);
        }
    }
    failed.raise(target);
}

void check(const connect_options& options, std::string_view host, const char* call) {
    if (options.tls) {
        const std::string_view name = options.server_name.empty() ? host : std::string_view(options.server_name);
        check_tls(*options.tls, tls_side::client, name, call);
    }
    if (options.limit == 0) throw std::invalid_argument(std::string(call) + ": limit: it must be greater than 0");
    if (options.happy_eyeballs_delay < std::chrono::milliseconds::zero())
        throw std::invalid_argument(std::string(call) + ": happy_eyeballs_delay: it must not be negative");
}

stream make_stream(socket connected, std::size_t limit, const tls_context* tls, const std::string& server_name,
                   const char* call) {
    const int on = 1;
    // Fails on a Unix socket, which has no such delay.
    ::setsockopt(connected.native_handle(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    std::unique_ptr<transport> carrier = make_socket_transport(std::move(connected));
    if (tls) start_tls(carrier, *tls, server_name, {}, call);
    return stream(std::move(carrier), limit);
}

}  // namespace weft::detail

namespace weft {

stream open_unix_connection(const std::string& path, connect_options options) {
    detail::require_loop("open_unix_connection");
    constexpr const char* call = "open_unix_connection";
    detail::check(options, {}, call);
    return detail::make_stream(detail::connect_one(endpoint::unix_path(path), options.local), options.limit, options.tls,
                               options.server_name, call);
}

}  // namespace weft
