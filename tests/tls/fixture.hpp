#pragma once

/// What the tests of this layer share: two ends of a TLS connection in one loop, and transports that are slow, or cancel.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <weft/cancellation.hpp>
#include <weft/gather.hpp>
#include <weft/timeout.hpp>
#include <weft/tls.hpp>

#include "certificates.hpp"
#include "io/fixture.hpp"
#include "io/transport.hpp"

namespace tls_test {

using namespace io_test;
using weft::tls_errc;

/// What f throws: its code, its text.
struct failure {
    std::error_code code;
    std::string text;
    bool operator==(tls_errc expected) const { return code == make_error_code(expected); }
    bool says(const std::string& words) const { return text.find(words) != text.npos; }
};
inline std::ostream& operator<<(std::ostream& out, const failure& f) { return out << f.code << ": " << f.text; }

template <class F>
failure failure_of(F f) {
    try {
        f();
    } catch (const std::system_error& e) {
        return {e.code(), e.what()};
    }
    return {{}, "nothing was thrown"};
}

/// Hooks into what is below TLS. Each call runs `before`, and moves no more than `most` bytes.
struct below_hooks {
    std::size_t most = static_cast<std::size_t>(-1);
    std::function<void()> before = [] {};
    bool full = false;   // nothing can be sent without waiting
};

class hooked_transport final : public weft::detail::transport {
public:
    hooked_transport(std::unique_ptr<transport> below, std::shared_ptr<below_hooks> hooks)
        : below_(std::move(below)), hooks_(std::move(hooks)) {}

    std::size_t read(std::span<std::byte> to, const char* call) override {
        hooks_->before();
        return below_->read(to.first(std::min(to.size(), hooks_->most)), call);
    }
    std::size_t write(std::span<const iovec> pieces, const char* call) override {
        hooks_->before();
        iovec one = pieces.front();
        one.iov_len = std::min(one.iov_len, hooks_->most);
        return below_->write({&one, 1}, call);
    }
    std::ptrdiff_t write_now(std::span<const iovec> pieces) noexcept override {
        if (hooks_->full) return 0;
        iovec one = pieces.front();
        one.iov_len = std::min(one.iov_len, hooks_->most);
        return below_->write_now({&one, 1});
    }
    std::ptrdiff_t read_now(std::span<std::byte> to) noexcept override { return below_->read_now(to); }
    void write_eof(const char* call) override { below_->write_eof(call); }
    void close() override { below_->close(); }
    weft::endpoint remote_endpoint() const override { return below_->remote_endpoint(); }

private:
    std::unique_ptr<transport> below_;
    std::shared_ptr<below_hooks> hooks_;
};

inline weft::stream hooked(weft::socket s, std::shared_ptr<below_hooks> hooks, std::size_t limit = 64 * 1024) {
    auto below = weft::detail::make_socket_transport(std::move(s));
    return weft::stream(std::make_unique<hooked_transport>(std::move(below), std::move(hooks)), limit);
}

/// Shakes hands on both ends at once. What the server's side throws is thrown only if the client's succeeds.
inline void start_both(weft::stream& client, weft::tls_context& client_tls, weft::stream& server, weft::tls_context& server_tls,
                       const std::string& name = "localhost") {
    auto other = start([&] { server.start_tls(server_tls); });
    try {
        client.start_tls(client_tls, name);
    } catch (...) {
        other.join();
        static_cast<void>(other.exception());
        throw;
    }
    std::move(other).get();
}

/// Two ends of a connection that use TLS.
struct tls_pair {
    explicit tls_pair(std::pair<weft::socket, weft::socket> ends = unix_pair())
        : tls_pair(client_context(), server_context(), std::move(ends)) {}
    tls_pair(weft::tls_context for_client, weft::tls_context for_server, std::pair<weft::socket, weft::socket> ends = unix_pair(),
             const std::string& name = "localhost")
        : client_tls(std::move(for_client)), server_tls(std::move(for_server)), client_hooks(new below_hooks),
          server_hooks(new below_hooks), client(hooked(std::move(ends.first), client_hooks)),
          server(hooked(std::move(ends.second), server_hooks)) {
        start_both(client, client_tls, server, server_tls, name);
    }

    weft::tls_context client_tls, server_tls;
    std::shared_ptr<below_hooks> client_hooks, server_hooks;
    weft::stream client, server;
};

/// How a handshake ends on both sides when the client expects `name`.
struct both_failures {
    failure client, server;
};
inline both_failures shake(weft::tls_context client_tls, weft::tls_context server_tls, const std::string& name = "localhost") {
    auto [near, far] = unix_pair();
    weft::stream client(std::move(near)), server(std::move(far));
    auto other = start([&] {
        return failure_of([&] {
            server.start_tls(server_tls);
            server.write("hello\n");
            server.read();
        });
    });
    both_failures result;
    result.client = failure_of([&] {
        client.start_tls(client_tls, name);
        client.read_line();   // only now a client of TLS 1.3 learns that it was refused
    });
    client.close();
    result.server = other.get();
    return result;
}

}  // namespace tls_test
