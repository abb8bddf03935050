#include "fixture.hpp"

#include <random>

#include "io/server_fixture.hpp"
#include "tls/certificate.hpp"

using namespace tls_test;

namespace {

/// OpenSSL by itself, for what weft's side never does.
class bare_server {
public:
    /// \param ticket_size  of what a ticket carries; more than 512 bytes do not go into one of its records
    explicit bare_server(std::size_t ticket_size = 0) : carried_(ticket_size, 'x') {
        using namespace weft::tls_layer;
        const identity shown = read_identity({localhost().certificate.text, ""}, {localhost().key.text, ""}, "", "test");
        context_.reset(SSL_CTX_new(TLS_server_method()));
        SSL_CTX_use_cert_and_key(context_.get(), shown.certificate.get(), shown.key.get(), shown.chain.get(), 1);
        ssl_.reset(SSL_new(context_.get()));
        SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
        SSL_set_accept_state(ssl_.get());
        SSL_set_max_send_fragment(ssl_.get(), 512);
        const auto carry = [](SSL* ssl, void* what) {
            const auto& text = *static_cast<const std::string*>(what);
            return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), text.data(), text.size());
        };
        SSL_CTX_set_session_ticket_cb(context_.get(), carry, nullptr, &carried_);
    }
    void shake_hands(weft::stream& to) {
        while (SSL_do_handshake(ssl_.get()) != 1) {
            send(to);
            const std::string came = to.read(4096);
            BIO_write(SSL_get_rbio(ssl_.get()), came.data(), static_cast<int>(came.size()));
        }
    }
    void ask_for_keys(int times) {
        for (int i = 0; i < times; ++i) {
            REQUIRE(SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_REQUESTED) == 1);
            REQUIRE(SSL_do_handshake(ssl_.get()) == 1);
        }
    }
    /// What it has to say.
    std::string take() {
        std::string said(static_cast<std::size_t>(BIO_pending(SSL_get_wbio(ssl_.get()))), '\0');
        BIO_read(SSL_get_wbio(ssl_.get()), said.data(), static_cast<int>(said.size()));
        return said;
    }
    void send(weft::stream& to) { to.write(take()); }
    void write(const std::string& text) { REQUIRE(SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size())) > 0); }
    std::string read(weft::stream& from) {
        char text[100];
        for (;;) {
            if (const int count = SSL_read(ssl_.get(), text, sizeof text); count > 0) return {text, static_cast<std::size_t>(count)};
            const std::string came = from.read(4096);
            REQUIRE_FALSE(came.empty());
            BIO_write(SSL_get_rbio(ssl_.get()), came.data(), static_cast<int>(came.size()));
        }
    }

private:
    std::string carried_;
    weft::tls_layer::ssl_ctx_ptr context_;
    weft::tls_layer::ssl_ptr ssl_;
};

}  // namespace

TEST_CASE("transfer: writes of every size arrive as they were") {
    const leak_check leaks;
    weft::run([] {
        tls_pair pair;
        const std::string all = long_text(400'000);
        auto writer = start([&] {
            std::size_t at = 0;
            for (const std::size_t size : {1, 2, 100, 16383, 16384, 16385, 32768, 65536, 65537, 100'000}) {
                pair.server.write(all.substr(at, size));
                at += size;
            }
            pair.server.write(std::string_view());
            pair.server.write(all.substr(at));
            pair.server.write_eof();
        });
        CHECK(pair.client.read() == all);
        CHECK(pair.client.at_eof());
        std::byte one{};
        CHECK(pair.client.read_some({&one, 1}) == 0);
        writer.get();
    });
}

TEST_CASE("transfer: pieces of all sizes are written in order") {
    const leak_check leaks;
    weft::run([] {
        tls_pair pair;
        std::mt19937 random(5);
        for (int round = 0; round < 20; ++round) {
            std::vector<std::string> parts;
            std::string all;
            for (int i = 0; i < 100; ++i) {
                const std::size_t size = random() % 4 ? random() % 50 : random() % 40'000;
                parts.push_back(long_text(size));
                all += parts.back();
            }
            const std::vector<std::string_view> views(parts.begin(), parts.end());
            auto writer = start([&] { pair.client.writev(views); });
            CHECK((pair.server.read_exactly(all.size()) == all));
            writer.get();
        }
    });
}

TEST_CASE("transfer: much data goes both ways at once through a narrow connection") {
    const leak_check leaks;
    weft::run([] {
        tls_pair pair({narrow_pair()});
        const std::string there = long_text(3'000'000), back = long_text(2'500'000);
        weft::gather([&] { pair.client.write(there); pair.client.write_eof(); },
                     [&] { pair.server.write(back); pair.server.write_eof(); },
                     [&] { CHECK((pair.client.read() == back)); },
                     [&] { CHECK((pair.server.read() == there)); });
    });
}

TEST_CASE("transfer: the end of one direction leaves the other") {
    const leak_check leaks;
    weft::run([] {
        tls_pair pair;
        pair.client.write("question\n");
        pair.client.write_eof();
        CHECK_THROWS_AS(pair.client.write("more"), weft::invalid_state);
        CHECK(pair.server.read() == "question\n");
        CHECK(pair.server.at_eof());
        pair.server.write("answer\n");
        pair.server.close();
        CHECK(pair.client.read() == "answer\n");
        CHECK(pair.client.at_eof());
    });
}

TEST_CASE("transfer: a connection that is cut is no end, again and again, and what came before is read") {
    const leak_check leaks;
    weft::run([] {
        auto ends = unix_pair();
        const int below = ends.second.native_handle();
        tls_pair pair(std::move(ends));
        pair.server.write("as far as this\nand");
        REQUIRE(::shutdown(below, SHUT_RDWR) == 0);
        CHECK(pair.client.read_line() == "as far as this\n");
        for (int i = 0; i < 2; ++i) {
            const failure f = failure_of([&] { pair.client.read(); });
            CHECK(f == tls_errc::truncated);
            CHECK(f.says("stream::read "));
        }
        CHECK_FALSE(pair.client.at_eof());
        CHECK(pair.client.read(3) == "and");
    });
}

TEST_CASE("transfer: a record that was changed on its way ends the connection") {
    const leak_check leaks;
    weft::run([] {
        auto [near, far] = unix_pair();
        auto [far_below, near_below] = unix_pair();
        weft::stream left(std::move(near)), right(std::move(near_below));
        bool spoil = false;
        auto between = start([&, from = weft::stream(std::move(far)), to = weft::stream(std::move(far_below))]() mutable {
            auto back = start([&] {
                for (std::string part; !(part = to.read(10'000)).empty();) from.write(part);
            });
            for (std::string part; !(part = from.read(10'000)).empty();) {
                if (spoil) part.back() ^= 1;
                to.write(part);
            }
            to.close();
            back.join();
            static_cast<void>(back.exception());
        });
        weft::tls_context client = client_context(), server = server_context();
        start_both(left, client, right, server);
        left.write("good\n");
        CHECK(right.read_line() == "good\n");
        spoil = true;
        left.write("bad\n");
        const failure f = failure_of([&] { right.read_line(); });
        CHECK(f == tls_errc::protocol_error);
        CHECK(f.says("bad record mac"));
        CHECK(failure_of([&] { right.write("x"); }).code.category() == weft::tls_category());
        const failure told = failure_of([&] { left.read(); });
        CHECK(told == tls_errc::refused_by_peer);
        CHECK(told.says("bad record mac"));
        left.close();
        between.join();
    });
}

TEST_CASE("transfer: a read cancelled at every moment loses no byte") {
    const leak_check leaks;
    for (const std::size_t most : {std::size_t{7}, std::size_t{1000}, std::size_t{64 * 1024}}) {
        weft::run([&] {
            tls_pair pair;
            pair.server_hooks->most = most;
            const std::string all = long_text(most == 7 ? 3000 : 100'000);
            auto writer = start([&] { pair.client.write(all); pair.client.write_eof(); });
            int calls = 0, cancelled = 0;
            pair.server_hooks->before = [&] {
                if (++calls % 2) weft::current_task().cancel("cut");
            };
            std::string got;
            auto reader = start([&] {
                for (bool more = true; more;) {
                    try {
                        std::string part = pair.server.read(501);
                        more = !part.empty();
                        got += part;
                    } catch (const weft::cancelled&) {
                        weft::current_task().uncancel();
                        ++cancelled;
                    }
                }
            });
            reader.get();
            writer.get();
            CHECK((got == all));
            CHECK(cancelled >= calls / 2);
            CHECK(cancelled > 0);
        });
    }
}

TEST_CASE("transfer: a write cancelled at every moment leaves whole records, and the next write goes on") {
    const leak_check leaks;
    for (int at = 1; at < 40; ++at) {
        INFO("call " << at);
        weft::run([&] {
            tls_pair pair;
            pair.client_hooks->most = 5000;
            pair.client_hooks->before = [count = 0, at]() mutable {
                if (++count == at) weft::current_task().cancel("cut");
            };
            const std::string first(150'000, 'a'), second(20'000, 'b');
            std::string got;
            auto reader = start([&] { got = pair.server.read(); });
            auto writer = start([&] {
                try {
                    pair.client.write(first);
                } catch (const weft::cancelled&) {
                    weft::current_task().uncancel();
                }
                try {
                    pair.client.write(second);
                } catch (const weft::cancelled&) {
                    weft::current_task().uncancel();
                    pair.client.write("c");
                }
                pair.client.write_eof();
            });
            writer.get();
            reader.get();
            // Of what was cancelled a part came, of the rest all.
            const std::size_t a = std::min(got.find_first_not_of('a'), got.size());
            const std::size_t b = std::min(got.find_first_not_of('b', a), got.size());
            const bool cut_second = got.ends_with('c');
            CHECK((a == first.size() || at <= 32));
            CHECK((cut_second ? b == got.size() - 1 : b - a == second.size() && b == got.size()));
        });
    }
}

TEST_CASE("transfer: close wakes who reads and who writes, and the peer sees it") {
    const leak_check leaks;
    weft::run([] {
        tls_pair pair(narrow_pair());
        int read = 0, written = 0;
        auto reader = start([&] { read = error_of([&] { pair.client.read(); }); });
        auto writer = start([&] { written = error_of([&] { pair.client.write(long_text(1'000'000)); }); });
        turns(3);
        pair.client.close();
        reader.get();
        writer.get();
        CHECK(read == EBADF);
        CHECK(written == EBADF);
        CHECK(failure_of([&] { while (!pair.server.read().empty()) {} }) == tls_errc::truncated);   // in a record
        CHECK(error_of([&] { pair.client.read(1); }) == EBADF);
    });
}

TEST_CASE("transfer: close in a handshake ends it") {
    const leak_check leaks;
    weft::run([] {
        weft::tls_context tls = client_context();
        auto [near, far] = unix_pair();
        weft::stream ours(std::move(near)), silent(std::move(far));
        auto shaking = start([&] { return error_of([&] { ours.start_tls(tls, "localhost"); }); });
        turns(2);
        CHECK_THROWS_AS(ours.read(1), std::logic_error);
        CHECK_THROWS_AS(ours.write("x"), std::logic_error);
        ours.close();
        CHECK(shaking.get() == EBADF);
    });
}

TEST_CASE("transfer: a stream destroyed under a waiting read or handshake ends that") {
    const leak_check leaks;
    weft::run([] {
        auto pair = std::make_unique<tls_pair>();
        auto reading = start([&] { return error_of([&] { pair->client.read(); }); });
        turns(2);
        { const weft::stream gone = std::move(pair->client); }
        CHECK(reading.get() == EBADF);
        CHECK(pair->server.read().empty());   // the end was told

        weft::tls_context tls = client_context();
        auto [near, far] = unix_pair();
        auto ours = std::make_unique<weft::stream>(std::move(near));
        auto shaking = start([&] { return error_of([&] { ours->start_tls(tls, "localhost"); }); });
        turns(2);
        ours.reset();
        CHECK(shaking.get() == EBADF);
    });
}

TEST_CASE("transfer: the end is told also when there is no room for it at once") {
    const leak_check leaks;
    weft::run([] {
        SECTION("by close, which does not wait") {
            tls_pair pair;
            pair.client_hooks->full = true;
            pair.client.write("the last\n");
            pair.client.close();
            CHECK(weft::all_tasks().size() == 2);
            CHECK_THROWS_AS(pair.client.local_endpoint(), std::system_error);
            CHECK(pair.server.read() == "the last\n");
            turns(2);
            CHECK(weft::all_tasks().size() == 1);
        }
        SECTION("by write_eof, which waits, and goes on when it was cancelled") {
            tls_pair pair;
            pair.client_hooks->full = true;
            pair.client_hooks->before = [&] { weft::current_task().cancel("cut"); };
            auto writer = start([&] {
                try {
                    pair.client.write_eof();
                } catch (const weft::cancelled&) {
                    pair.client_hooks->before = [] {};
                    weft::current_task().uncancel();
                    pair.client.write_eof();
                    return true;
                }
                return false;
            });
            CHECK(writer.get());
            CHECK(pair.server.read().empty());
        }
        SECTION("by close, behind what a cancelled write has left") {
            virtual_clock clock;
            tls_pair pair(narrow_pair());
            const std::string all = long_text(1'000'000);
            CHECK_FALSE(weft::move_on_after(1s, [&] { pair.client.write(all); }));
            pair.client.close();
            const std::string came = pair.server.read();
            CHECK((!came.empty() && all.starts_with(came)));
        }
        SECTION("or not, to a peer that never reads") {
            virtual_clock clock;
            tls_pair pair(narrow_pair());
            auto writer = start([&] { weft::move_on_after(1s, [&] { pair.client.write(long_text(1'000'000)); }); });
            writer.get();
            pair.client.close();
            CHECK(weft::all_tasks().size() == 2);
            weft::sleep(31s);
            CHECK(weft::all_tasks().size() == 1);
        }
    });
}

TEST_CASE("transfer: who only writes and closes loses nothing, though the server's tickets were not read") {
    const leak_check leaks;
    weft::run([] {
        auto [near, far] = tcp_pair();   // of 200 KB the server's side has not taken all when the client closes
        weft::stream client(std::move(near)), server(std::move(far));
        weft::tls_context client_tls = client_context(), server_tls = server_context();
        start_both(client, client_tls, server, server_tls);
        const std::string all = long_text(200'000);
        client.write(all);
        client.close();
        CHECK((server.read() == all));
    });
}

TEST_CASE("transfer: who writes and closes before the server's tickets come loses nothing, either") {
    const leak_check leaks;
    weft::run([] {
        auto [near, far] = unix_pair();
        weft::stream client(std::move(near)), server(std::move(far));
        weft::tls_context client_tls = client_context(), server_tls = server_context();
        const std::string all = long_text(20'000);
        auto serving = start([&] {
            server.start_tls(server_tls);
            const std::string came = server.read();
            server.close();
            return came;
        });
        client.start_tls(client_tls, "localhost");
        client.write(all);
        client.close();
        CHECK_FALSE(serving.done());
        CHECK((serving.get() == all));
        while (weft::all_tasks().size() > 1) weft::yield_now();   // the client hears the server's end
    });
}

TEST_CASE("transfer: a server waits for connections that are still telling their end") {
    const leak_check leaks;
    weft::run([] {
        weft::tls_context client = client_context(), server_tls = server_context();
        const std::string page = long_text(3'000'000);
        weft::server server = weft::start_server(
            [&](weft::stream s) {
                s.read_line();
                s.write(page);
            },
            "127.0.0.1", 0, {.tls = &server_tls});
        weft::stream s = weft::open_connection("127.0.0.1", server.endpoints().front().port(), {.tls = &client});
        s.write("please\n");
        CHECK((s.read() == page));   // and the end, not a cut
        s.close();
        finish(server);
    });
}

TEST_CASE("transfer: a ticket that comes in pieces holds a writer up, and does not fail it") {
    const leak_check leaks;
    weft::run([] {
        auto [near, far] = unix_pair();
        int calls = 0;
        auto hooks = std::make_shared<below_hooks>();
        hooks->before = [&] { ++calls; };
        weft::stream client = hooked(std::move(near), hooks), server(std::move(far));
        weft::tls_context tls = client_context();
        auto reading = start([&] {
            client.start_tls(tls, "localhost");
            return client.read(100);
        });
        bare_server peer(2000);
        peer.shake_hands(server);
        const std::string tickets = peer.take();
        server.write(tickets.substr(0, 700));
        const int before = calls;
        while (calls == before) weft::yield_now();   // until it has read that, and wants more
        auto write = [&] { client.write("from the client"); };
        SECTION("while somebody reads") {
            auto writing = start(write);
            turns(2);
            CHECK_FALSE(writing.done());
            server.write(tickets.substr(700));
            writing.get();
        }
        SECTION("while nobody reads, until somebody does") {
            reading.cancel();
            reading.join();
            auto writing = start(write);
            reading = start([&] { return client.read(100); });
            turns(2);
            CHECK_FALSE(writing.done());
            server.write(tickets.substr(700));
            writing.get();
        }
        SECTION("who is cancelled meanwhile") {
            auto cut = start(write);
            turns(2);
            cut.cancel();
            cut.join();
            CHECK(cut.cancelled());
            server.write(tickets.substr(700));
            write();
        }
        SECTION("until it is closed") {
            auto writing = start([&] { return error_of(write); });
            turns(2);
            client.close();
            CHECK(writing.get() == EBADF);
            CHECK_THROWS_AS(reading.get(), std::system_error);
            return;
        }
        CHECK(peer.read(server) == "from the client");
        peer.write("from the server");
        peer.send(server);
        CHECK(reading.get() == "from the server");
        server.close();
        client.close();
    });
}

TEST_CASE("transfer: a peer that asks for new keys without end and does not read the answers is cut off") {
    const leak_check leaks;
    weft::run([] {
        auto [near, far] = narrow_pair();
        weft::stream client(std::move(near)), server(std::move(far));
        weft::tls_context tls = client_context();
        auto reading = start([&] {
            client.start_tls(tls, "localhost");
            const failure why = failure_of([&] { client.read(); });
            client.close();
            return why;
        });
        bare_server peer;
        peer.shake_hands(server);
        peer.ask_for_keys(10'000);
        CHECK_THROWS_AS(peer.send(server), std::system_error);
        server.close();
        const failure why = reading.get();
        CHECK(why == tls_errc::protocol_error);
        CHECK(why.says("does not read them"));
    });
}

TEST_CASE("transfer: failures of one connection are not another's") {
    const leak_check leaks;
    weft::run([] {
        tls_pair good;
        weft::gather(
            [&] {
                for (int i = 0; i < 20; ++i) {
                    CHECK(shake(client_context(), server_context(), "other.example").client == tls_errc::host_mismatch);
                    CHECK_THROWS_AS(weft::tls_context::server(weft::pem{"x"}, weft::pem{"y"}), weft::tls_error);
                }
            },
            [&] {
                for (int i = 0; i < 200; ++i) {
                    good.client.write("ping\n");
                    CHECK(good.server.read_line() == "ping\n");
                    weft::yield_now();
                }
            });
    });
}

TEST_CASE("transfer: one reader and one writer at a time, as on every stream") {
    const leak_check leaks;
    weft::run([] {
        tls_pair pair;
        auto reader = start([&] { return pair.client.read_line(); });
        CHECK_THROWS_AS(pair.client.read(1), std::logic_error);
        weft::tls_context again = client_context();
        CHECK_THROWS_AS(pair.client.start_tls(again, "localhost"), std::logic_error);
        pair.server.write("line\n");
        CHECK(reader.get() == "line\n");
    });
}
