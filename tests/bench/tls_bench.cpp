// TLS 1.3 over the loopback, client and server on two threads: handshakes, whole ones and those that go on with a session, and
// data in bulk. Beside it OpenSSL itself on blocking sockets, with a thread at both ends of each connection. The certificates,
// the ciphers and what is verified are the same; so is the arithmetic, in which the most of a handshake's time goes.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>

#include <weft/event.hpp>
#include <weft/executor.hpp>
#include <weft/future.hpp>
#include <weft/loop.hpp>
#include <weft/stream.hpp>
#include <weft/task.hpp>
#include <weft/tls.hpp>

#include "engines.hpp"
#include "tls/certificates.hpp"

namespace {

constexpr std::size_t handshakes = 512;
constexpr std::size_t megabytes = 128;
constexpr std::size_t megabyte = 1 << 20;
constexpr std::size_t chunk = 64 * 1024;   // of one call to write

void must(bool ok, const char* what) {
    if (!ok) throw std::runtime_error(what);
}

const tls_test::signed_certificate& certificate() {
    static const auto only = tls_test::root().issue({.common_name = "bench", .names = {"DNS:*.bench.test"}});
    return only;
}
/// A name for the next host. Sessions are kept by it: one that was not used before has none.
std::string fresh_name() {
    static std::atomic<unsigned> last{0};
    return "host" + std::to_string(++last) + ".bench.test";
}

// What both sides do: after the handshake the server says one byte, behind which the tickets have come; in bulk it takes
// megabytes and says one byte at their end.

// weft.

/// A server in a loop on a thread of its own.
class weft_server {
public:
    weft_server(weft::engine engine, std::function<void(weft::stream&)> handler) {
        std::promise<std::uint16_t> ready;
        auto port = ready.get_future();
        thread_ = std::thread([this, engine, handler = std::move(handler), ready = std::move(ready)]() mutable {
            try {
                weft::run({.io_engine = engine}, [&] {
                    auto tls = weft::tls_context::server(certificate().certificate, certificate().key);
                    auto server = weft::start_server([&](weft::stream s) { handler(s); }, "127.0.0.1", 0, {.tls = &tls});
                    loop_ = &weft::get_running_loop();
                    ready.set_value(server.endpoints().front().port());
                    over_.wait();
                    server.close();
                    server.wait_closed();
                });
            } catch (...) {
                ready.set_exception(std::current_exception());
            }
        });
        try {
            port_ = port.get();
        } catch (...) {
            thread_.join();
            throw;
        }
    }
    ~weft_server() {
        over_.set();
        thread_.join();
    }
    weft_server(const weft_server&) = delete;
    weft_server& operator=(const weft_server&) = delete;

    weft::stream connect(weft::tls_context& tls, std::string host) {
        return weft::open_connection("127.0.0.1", port_, {.tls = &tls, .server_name = std::move(host)});
    }

    weft::loop& loop() { return *loop_; }

private:
    weft::loop* loop_ = nullptr;
    weft::event over_;
    std::uint16_t port_ = 0;
    std::thread thread_;
};

/// Each of two loops is server to the other's clients, so that both have the same to do: a client has more than a server.
void handshakes_weft(benchmark::State& state, weft::engine engine, bool fresh, std::size_t at_a_time) {
    const auto say_one = [](weft::stream& s) {
        s.write("!");
        s.read();
    };
    weft_server left(engine, say_one), right(engine, say_one);
    auto tls = tls_test::client_context();
    const auto connect = [&](weft_server& to, const std::string& host) {
        weft::stream s = to.connect(tls, host.empty() ? fresh_name() : host);
        s.read_exactly(1);
        return s;
    };
    struct client {
        weft_server& home;
        weft_server& to;
        std::string host;   // of which it has a session; empty: a new one every time
    };
    std::vector<client> clients;
    for (std::size_t i = 0; i < at_a_time; ++i)
        clients.push_back({i % 2 ? right : left, i % 2 ? left : right, fresh ? std::string() : fresh_name()});
    const auto each = [&](const auto& f) {
        std::vector<weft::future<void>> ends;
        for (const client& c : clients) ends.push_back(weft::run_threadsafe(c.home.loop(), [&] { f(c); }));
        for (auto& end : ends) end.get();
    };
    if (!fresh) each([&](const client& c) { connect(c.to, c.host); });
    bench::timed(state, handshakes, [&] {
        each([&](const client& c) {
            for (std::size_t i = 0; i < handshakes / at_a_time; ++i) connect(c.to, c.host);
        });
    });
    each([&](const client& c) { must(connect(c.to, c.host).get_tls_info().resumed != fresh, "a session, or none"); });
}

void bulk_weft(benchmark::State& state, weft::engine engine) {
    weft_server server(engine, [](weft::stream& s) {
        const auto buffer = std::make_unique<std::array<std::byte, chunk>>();
        for (std::size_t taken = 0; taken < megabytes * megabyte;) {
            const std::size_t count = s.read_some(*buffer);
            if (count == 0) return;
            taken += count;
        }
        s.write("!");
        s.read();
    });
    weft::run({.io_engine = engine}, [&] {
        auto tls = tls_test::client_context();
        weft::stream s = server.connect(tls, fresh_name());
        const std::string data(chunk, 'x');
        bench::timed(state, megabytes, [&] {
            for (std::size_t sent = 0; sent < megabytes * megabyte; sent += chunk) s.write(data);
            s.read_exactly(1);
        });
    });
}

// OpenSSL.

struct ssl_free {
    void operator()(SSL* s) const {
        const int fd = SSL_get_fd(s);
        SSL_shutdown(s);
        SSL_free(s);
        if (fd >= 0) ::close(fd);
    }
    void operator()(SSL_CTX* c) const { SSL_CTX_free(c); }
    void operator()(SSL_SESSION* s) const { SSL_SESSION_free(s); }
    void operator()(BIO* b) const { BIO_free(b); }
    void operator()(X509* c) const { X509_free(c); }
    void operator()(EVP_PKEY* k) const { EVP_PKEY_free(k); }
};
template <class T>
using owned = std::unique_ptr<T, ssl_free>;

owned<BIO> reader_of(const weft::pem& p) { return owned<BIO>(BIO_new_mem_buf(p.text.data(), static_cast<int>(p.text.size()))); }
owned<X509> certificate_of(const weft::pem& p) {
    return owned<X509>(PEM_read_bio_X509(reader_of(p).get(), nullptr, nullptr, nullptr));
}

owned<SSL_CTX> openssl_context(bool server) {
    owned<SSL_CTX> made(SSL_CTX_new(server ? TLS_server_method() : TLS_client_method()));
    SSL_CTX_set_min_proto_version(made.get(), TLS1_2_VERSION);
    SSL_CTX_set_read_ahead(made.get(), 1);   // a record in one system call, not in two
    if (server) {
        const owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(reader_of(certificate().key).get(), nullptr, nullptr, nullptr));
        must(SSL_CTX_use_certificate(made.get(), certificate_of(certificate().certificate).get()) == 1, "certificate");
        must(SSL_CTX_use_PrivateKey(made.get(), key.get()) == 1, "key");
        SSL_CTX_set_session_cache_mode(made.get(), SSL_SESS_CACHE_OFF);
    } else {
        const auto root = certificate_of(tls_test::root().certificate());
        must(X509_STORE_add_cert(SSL_CTX_get_cert_store(made.get()), root.get()) == 1, "root");
        SSL_CTX_set_verify(made.get(), SSL_VERIFY_PEER, nullptr);
        SSL_CTX_set_session_cache_mode(made.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    }
    return made;
}

void send_at_once(int fd) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}
bool read_byte(SSL* s) {
    char one = 0;
    return SSL_read(s, &one, 1) == 1;
}

/// Threads that take one connection after another.
class openssl_server {
public:
    openssl_server(std::size_t threads, std::function<void(SSL*)> handler)
        : context_(openssl_context(true)), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        address_.sin_family = AF_INET;
        address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address_;
        auto* const generic = reinterpret_cast<sockaddr*>(&address_);
        must(::bind(listener_, generic, size) == 0 && ::listen(listener_, 1024) == 0, "listen");
        ::getsockname(listener_, generic, &size);
        for (std::size_t i = 0; i < threads; ++i)
            threads_.emplace_back([this, handler] {
                for (int fd; (fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
                    send_at_once(fd);
                    const owned<SSL> s(SSL_new(context_.get()));
                    SSL_set_fd(s.get(), fd);
                    if (SSL_accept(s.get()) == 1) handler(s.get());
                }
            });
    }
    ~openssl_server() {
        ::shutdown(listener_, SHUT_RDWR);
        for (auto& t : threads_) t.join();
        ::close(listener_);
    }
    openssl_server(const openssl_server&) = delete;
    openssl_server& operator=(const openssl_server&) = delete;

    owned<SSL> connect(SSL_CTX* context, const std::string& host, SSL_SESSION* session = nullptr) {
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        must(::connect(fd, reinterpret_cast<const sockaddr*>(&address_), sizeof address_) == 0, "connect");
        send_at_once(fd);
        owned<SSL> s(SSL_new(context));
        SSL_set_fd(s.get(), fd);
        SSL_set_tlsext_host_name(s.get(), host.c_str());
        SSL_set1_host(s.get(), host.c_str());
        if (session) SSL_set_session(s.get(), session);
        must(SSL_connect(s.get()) == 1, "SSL_connect");
        must(SSL_session_reused(s.get()) == (session != nullptr), "the session was not gone on with");
        return s;
    }

private:
    owned<SSL_CTX> context_;
    int listener_;
    sockaddr_in address_{};
    std::vector<std::thread> threads_;
};

void handshakes_openssl(benchmark::State& state, bool fresh, std::size_t at_a_time) {
    openssl_server server(at_a_time, [](SSL* s) {
        SSL_write(s, "!", 1);
        read_byte(s);
    });
    const auto context = openssl_context(false);
    struct client {
        std::string host = fresh_name();
        owned<SSL_SESSION> session;   // for one connection, which brings the next
        void connect(openssl_server& to, SSL_CTX* with, bool keep) {
            const auto s = to.connect(with, keep ? host : fresh_name(), session.get());
            must(read_byte(s.get()), "SSL_read");
            if (keep) session.reset(SSL_get1_session(s.get()));
        }
    };
    std::vector<client> clients(at_a_time);
    for (client& c : clients) {
        if (!fresh) c.connect(server, context.get(), true);
    }
    bench::timed(state, handshakes, [&] {
        std::vector<std::thread> threads;
        for (client& c : clients)
            threads.emplace_back([&] {
                for (std::size_t i = 0; i < handshakes / at_a_time; ++i) c.connect(server, context.get(), !fresh);
            });
        for (auto& t : threads) t.join();
    });
}

void bulk_openssl(benchmark::State& state) {
    openssl_server server(1, [](SSL* s) {
        const auto buffer = std::make_unique<std::array<char, chunk>>();
        for (std::size_t taken = 0; taken < megabytes * megabyte;) {
            const int count = SSL_read(s, buffer->data(), static_cast<int>(buffer->size()));
            if (count <= 0) return;
            taken += static_cast<std::size_t>(count);
        }
        SSL_write(s, "!", 1);
    });
    const auto context = openssl_context(false);
    const auto s = server.connect(context.get(), fresh_name());
    const std::string data(chunk, 'x');
    bench::timed(state, megabytes, [&] {
        for (std::size_t sent = 0; sent < megabytes * megabyte; sent += chunk)
            must(SSL_write(s.get(), data.data(), chunk) == static_cast<int>(chunk), "SSL_write");
        must(read_byte(s.get()), "SSL_read");
    });
}

bool enter(const std::string& work, bool fresh, std::size_t at_a_time) {
    bench::enter_on_engines(work, [=](auto& state, weft::engine e) { handshakes_weft(state, e, fresh, at_a_time); });
    return bench::enter(work, "openssl", [=](auto& state) { handshakes_openssl(state, fresh, at_a_time); });
}
[[maybe_unused]] const bool entered[] = {
    enter("TLS, handshake", true, 1),
    enter("TLS, handshake, 64 at a time", true, 64),
    enter("TLS, resumed handshake, 64 at a time", false, 64),
    bench::enter_on_engines("TLS, 1 MiB", bulk_weft),
    bench::enter("TLS, 1 MiB", "openssl", bulk_openssl),
};

}  // namespace
