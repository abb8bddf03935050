#include "io/connect.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
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

/// The attempts that are under way, and the wait for further addresses. None outlives it.
class work {
public:
    work() = default;
    ~work() {
        const std::vector<task_handle> all = handles();
        for (const task_handle& t : all) t.cancel();
        uncancellable([&] {
            for (const task_handle& t : all) {
                t.join();
                t.exception();   // nobody else will ask for it
            }
        });
    }
    work(const work&) = delete;
    work& operator=(const work&) = delete;

    void attempt(const endpoint& peer, const std::optional<endpoint>& local) {
        attempts_.push_back(create_task([peer, local] { return connect_one(peer, local); }));
    }
    void look_up(address_source& source) {
        looking_ = create_task([&source] { return source.next(); });
    }
    bool attempting() const noexcept { return !attempts_.empty(); }
    bool looking() const noexcept { return static_cast<bool>(looking_); }

    /// Waits until something has ended, or for the deadline.
    void wait(time_point deadline) {
        if (deadline == time_point::max()) weft::wait(handles(), return_when::first_completed);
        else weft::wait(handles(), deadline - now(), return_when::first_completed);
    }
    /// Those that have ended; in the order in which they began.
    std::vector<task<socket>> ended_attempts() {
        const auto ended = std::stable_partition(attempts_.begin(), attempts_.end(), [](const auto& t) { return !t.done(); });
        std::vector<task<socket>> result(std::make_move_iterator(ended), std::make_move_iterator(attempts_.end()));
        attempts_.erase(ended, attempts_.end());
        return result;
    }
    std::optional<task<std::vector<endpoint>>> ended_look_up() {
        if (!looking_ || !looking_->done()) return {};
        return std::exchange(looking_, std::nullopt);
    }

private:
    std::vector<task_handle> handles() const {
        std::vector<task_handle> all(attempts_.begin(), attempts_.end());
        if (looking_) all.push_back(*looking_);
        return all;
    }
    std::vector<task<socket>> attempts_;
    std::optional<task<std::vector<endpoint>>> looking_;
};

/// What all the attempts failed of.
class failures {
public:
    void add(const std::system_error& error) {
        last_ = error.code();
        ++attempts_;
        texts_.emplace_back(error.what());
    }
    /// Of the wait for further addresses.
    void add_look_up(const std::system_error& error) { texts_.emplace_back(error.what()); }

    [[noreturn]] void raise(const std::string& target) const {
        std::string all = "open_connection " + target;
        if (attempts_ == 0) all += ": no address of the local one's family";
        if (attempts_ > 1) all += ", " + std::to_string(attempts_) + " addresses failed";
        const char* separator = " (";
        for (const std::string& text : texts_) all += std::exchange(separator, "; ") + text;
        if (!texts_.empty()) all += ')';
        throw std::system_error(attempts_ > 0 ? last_ : std::make_error_code(std::errc::address_not_available), all);
    }

private:
    std::error_code last_;   // an attempt's
    int attempts_ = 0;
    std::vector<std::string> texts_;
};

}  // namespace

endpoint untried_addresses::take() {
    const auto other = std::find_if(waiting_.begin(), waiting_.end(), [this](const auto& e) { return e.family() != last_family_; });
    const auto chosen = other != waiting_.end() ? other : waiting_.begin();
    endpoint result = std::move(*chosen);
    waiting_.erase(chosen);
    last_family_ = result.family();
    return result;
}

socket connect_first(address_source& source, std::chrono::milliseconds delay, const std::optional<endpoint>& local,
                     const std::string& target) {
    untried_addresses untried;
    const auto add = [&](std::vector<endpoint> found) {
        if (local) std::erase_if(found, [&](const endpoint& e) { return e.family() != local->family(); });
        untried.add(found);
    };
    failures failed;
    add(source.next());
    if (untried.size() == 1 && !source.more()) {   // the usual case needs no task
        try {
            return connect_one(untried.take(), local);
        } catch (const std::system_error& error) {
            failed.add(error);
            failed.raise(target);
        }
    }

    work under_way;
    for (time_point next_attempt = now();;) {
        if (!under_way.looking() && source.more()) under_way.look_up(source);
        if (untried.size() > 0 && (!under_way.attempting() || now() >= next_attempt)) {
            under_way.attempt(untried.take(), local);
            next_attempt = deadline_after(delay);
        }
        if (!under_way.attempting() && !under_way.looking()) break;

        under_way.wait(untried.size() > 0 ? next_attempt : time_point::max());
        std::optional<socket> winner;
        for (auto& attempt : under_way.ended_attempts()) {
            try {
                socket connected = std::move(attempt).get();
                if (!winner) winner = std::move(connected);
            } catch (const std::system_error& error) {
                failed.add(error);
                next_attempt = now();
            }
        }
        if (winner) return std::move(*winner);
        if (auto found = under_way.ended_look_up()) {
            try {
                add(std::move(*found).get());
            } catch (const std::system_error& error) {
                failed.add_look_up(error);
            }
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
