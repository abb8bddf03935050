#pragma once

/// server_state: what a server, its accepting tasks and its connections share.
///
/// Threading: the server and its tasks live on one loop, but a connection's stream may be moved to another one and end
/// there; so what connections touch is guarded by mutex_, which nobody holds while waiting. A descriptor is shut down under
/// the mutex, and forgotten under it before it is closed: the number cannot have become another file's meanwhile.
///
/// Waiting is as with a condition variable: a waiter enters the list while it holds mutex_ and what it waits for is not true;
/// whoever changes something wakes all of them after leaving mutex_.

#include <sys/types.h>

#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <vector>

#include <weft/detail/waiter.hpp>
#include <weft/server.hpp>

#include "io/socket_state.hpp"

namespace weft::detail {

class connection;

struct server_state : std::enable_shared_from_this<server_state> {
    server_state(connection_handler h, const server_options& o)
        : handler(std::move(h)), options(o), places_(o.loops.size()) {}

    /// Binds and listens; unless all are required, an address that this machine does not have is left out where there are others.
    void listen_on_all(const std::vector<endpoint>& where, bool all_required);
    /// Starts a task for each socket that listens.
    void start();

    // The server's members of these names.
    void serve_forever();
    void close() noexcept;
    void wait_closed();
    void close_clients() noexcept;

    const connection_handler handler;
    const server_options options;
    std::vector<endpoint> endpoints;

private:
    friend class connection;
    enum class accepting { go_on, lost, ended, no_resources };

    void listen(const endpoint& where);
    void accept_all(socket_state& listener);
    accepting accept_next(socket_state& listener, unsigned lost);
    socket_state_ptr accept_when_there_is_room(socket_state& listener, std::shared_ptr<connection>& place);
    accepting judge(const std::system_error& error, unsigned lost);
    accepting out_of_resources();
    loop* choose_loop(connection& c);
    void give_up_loop(std::size_t which);
    void start_serving(std::shared_ptr<connection> c, socket_state_ptr accepted);
    void serve(const std::shared_ptr<connection>& c, socket_state_ptr accepted);
    void report(const std::string& message);
    void end_accepting(socket_state& listener) noexcept;
    void remove_unix_file() noexcept;
    template <class Predicate>
    bool wait_until(const char* what, time_point deadline, Predicate p);
    void changed() noexcept;

    std::vector<weft::socket> listeners_;
    std::string unix_path_;                  // of the file to be removed; empty: none
    dev_t unix_device_ = 0;                  // which file that is: another one may have taken its place
    ino_t unix_inode_ = 0;
    time_point next_report_ = time_point::min();   // when it may be told again that accepting fails

    std::mutex mutex_;
    bool closed_ = false;                    // guarded by mutex_, as is what follows
    std::size_t accepting_ = 0;              // tasks that accept
    std::size_t active_ = 0;                 // connections, and places taken for one
    struct place {
        std::size_t connections = 0;
        bool closed = false;                 // the loop is: it gets no more
    };
    std::vector<place> places_;              // of options.loops, each
    connection* first_ = nullptr;            // all connections
    gate gate_;
    wait_list waiters_;                      // guarded by gate_
};

/// One place among a server's connections, and the connection that took it: held by the task of its handler and by its
/// socket; it ends when both have let go.
class connection final : public accepted_socket {
public:
    explicit connection(std::shared_ptr<server_state> s) noexcept;
    ~connection() override;

    static void occupy(const std::shared_ptr<connection>& place, socket_state& accepted) noexcept;
    void forget_descriptor() noexcept override;
    bool ended_by_server() noexcept;
    const endpoint& peer() const noexcept { return peer_; }

private:
    friend struct server_state;

    const std::shared_ptr<server_state> server_;
    endpoint peer_;
    static constexpr std::size_t own_loop = static_cast<std::size_t>(-1);
    int fd_ = -1;                    // guarded by the server's mutex, as is what follows
    std::size_t loop_ = own_loop;    // which of options.loops it was given to
    bool ended_by_server_ = false;
    connection* next_ = nullptr;
    connection* previous_ = nullptr;
};

/// A server that listens on all the addresses. Those with port 0 get any free one, the same for all of them.
server listen_on(connection_handler handler, std::vector<endpoint> where, const server_options& options,
                 bool all_required = false);

/// Throws for options that no server can have.
void check(const server_options& options, const char* call);

}  // namespace weft::detail
