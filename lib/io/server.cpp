#include <weft/server.hpp>

#include "io/server_state.hpp"

namespace weft {

server::server() noexcept = default;
server::server(std::shared_ptr<detail::server_state> state) noexcept : state_(std::move(state)) {}
server::server(server&&) noexcept = default;

server& server::operator=(server&& other) noexcept {
    if (this == &other) return *this;
    if (state_) state_->close();
    state_ = std::move(other.state_);
    return *this;
}

server::~server() {
    if (state_) state_->close();
}

// Each call keeps the state: the server may be gone when it has waited.

void server::serve_forever() {
    if (const auto state = state_) state->serve_forever();
}

void server::close() {
    if (const auto state = state_) state->close();
}

void server::wait_closed() {
    if (const auto state = state_) state->wait_closed();
}

void server::close_clients() {
    if (const auto state = state_) state->close_clients();
}

std::vector<endpoint> server::endpoints() const {
    return state_ ? state_->endpoints : std::vector<endpoint>();
}

}  // namespace weft
