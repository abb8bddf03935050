#pragma once

/// socket_state: what a socket owns, at an address that stays when the socket is moved; and how its calls are made: which
/// engine, which failure is thrown and what it says.
///
/// Invariants
///  - file is never null. Once closed it is a shell (fd -1) whose operations give -EBADF.
///  - users counts the calls inside. Who is destroyed while a call is inside is closed, and freed by the last call that
///    leaves: a call woken by close() still finds its state although the socket is gone.
///  - connection is set while the socket is an open one that a server accepted.

#include <cerrno>
#include <memory>
#include <string>

#include <weft/endpoint.hpp>
#include <weft/error.hpp>
#include <weft/socket.hpp>

#include "engine/engine.hpp"

namespace weft::detail {

/// What a server keeps of a socket that it accepted; told before the descriptor is closed or given away.
class accepted_socket {
public:
    virtual ~accepted_socket() = default;
    virtual void forget_descriptor() noexcept = 0;
};

struct socket_state {
    /// To be followed by own().
    socket_state() noexcept = default;
    explicit socket_state(engine_layer::descriptor_ptr f) noexcept { own(std::move(f)); }
    void own(engine_layer::descriptor_ptr f) noexcept {
        file = std::move(f);
        engine_layer::set_owner(*file, this);
    }

    engine_layer::descriptor_ptr file;             // first, with what else every call touches
    unsigned users = 0;
    bool orphaned = false;                         // its owner is gone: the last user frees it
    bool connecting = false;                       // to peer: a connect was cancelled, the system goes on with it
    std::shared_ptr<accepted_socket> connection;
    endpoint peer;                                 // whom it was connected to, for messages; empty if it is not known

    int fd() const noexcept { return engine_layer::fd_of(*file); }
    /// Closes it; 0 or -errno.
    int close() noexcept;
    /// Tells the server, if one accepted it.
    void end_connection() noexcept;
    /// Whom or what it talks to, for messages.
    std::string where() const;
};

/// Keeps an object with users and orphaned alive while a call is inside.
template <class State>
class inside {
public:
    explicit inside(State& s) noexcept : state_(s) { ++s.users; }
    ~inside() {
        if (--state_.users == 0 && state_.orphaned) delete &state_;
    }
    inside(const inside&) = delete;
    inside& operator=(const inside&) = delete;

private:
    State& state_;
};

/// Throws what an operation that did not succeed must throw, naming the call and the place.
[[noreturn]] void throw_failure(engine_layer::io_result r, const char* call, const std::string& where);
[[noreturn]] void throw_errno(int error, const char* call, const std::string& where);
// The same without strings in the frame of the caller, which is part of what every fiber that waits keeps in the caches; and
// for errno, which finding out where in the same expression might overwrite.
[[noreturn]] void throw_failure(engine_layer::io_result r, const char* call, const socket_state& s);
[[noreturn]] void throw_errno(int error, const char* call, const char* where);
[[noreturn]] void throw_errno(int error, const char* call, const socket_state& s);
[[noreturn]] void throw_errno(int error, const char* call, const endpoint& where);

using socket_state_ptr = std::unique_ptr<socket_state, socket_state_closer>;

/// Makes a state of a new descriptor; closes that if it fails.
socket_state_ptr adopt_own(int fd);

// The calls that may wait, for socket, stream and server; `call` names the public call in what they throw.

std::size_t receive_bytes(socket_state& s, std::span<std::byte> to, const char* call);
std::size_t receive_message(socket_state& s, ::msghdr& m, int flags, const char* call);
std::size_t send_message(socket_state& s, const ::msghdr& m, int flags, const char* call);
std::size_t send_file(socket_state& s, int file, off_t* offset, std::size_t count, const char* call);
void connect_to(socket_state& s, const endpoint& peer, const char* call);
/// Null if the deadline passed.
socket_state_ptr accept_connection(socket_state& listener, const char* call, time_point deadline = time_point::max());

}  // namespace weft::detail
