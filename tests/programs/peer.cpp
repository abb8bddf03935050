// What programs that nobody here wrote are let talk to: servers and clients on weft's streams, sockets and resolver, for
// peers_test.py.
//
//   peer serve http|echo [HOST]        prints "port N"; until SIGTERM
//   peer serve-unix http|echo PATH     prints "ready"; '@' in front: an abstract name
//   peer serve-tls http|echo CERTIFICATE KEY [AUTHORITY]    with an authority: clients must show a certificate of it
//   peer connect-tls PORT AUTHORITY LINES [CERTIFICATE KEY] sends a line at a time, prints what each brings; twice
//   peer datagrams ENDPOINT            sends every datagram back; prints where it is bound
//   peer connect ENDPOINT [BYTES]      sends so many bytes of text, then the end; prints what comes back
//   peer send ENDPOINT TEXT            sends a datagram, prints the answer
//   peer query SERVER TYPE NAME        prints a line for each record
//   peer lookup SERVER NAME            prints the addresses of a host

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <weft/weft.hpp>

namespace {

using namespace std::chrono_literals;

/// The same text as peers_test.py's: bytes whose place shows.
std::string text(std::size_t size) {
    std::string result;
    for (std::size_t i = 0; result.size() < size; ++i) result += std::to_string(i * 7919) + '\n';
    result.resize(size);
    return result;
}

std::size_t number(std::string_view digits) {
    std::size_t value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return value;
}

void print(const std::string& line) {
    std::fputs((line + '\n').c_str(), stdout);
    std::fflush(stdout);
}

void echo(weft::stream s) {
    for (std::string part; !(part = s.read(64 * 1024)).empty();) s.write(part);
}

struct request {
    std::string method, path, expectation;
    std::size_t body = 0;
    bool close = false;
};

/// False at the end of the connection.
bool read_request(weft::stream& s, request& r) {
    std::string line = s.read_line();
    if (line.empty()) return false;
    r.method = line.substr(0, line.find(' '));
    r.path = line.substr(r.method.size() + 1, line.rfind(' ') - r.method.size() - 1);
    r.close = line.ends_with("HTTP/1.0\r\n");
    while ((line = s.read_line()) != "\r\n") {
        std::ranges::transform(line, line.begin(), [](unsigned char c) { return std::tolower(c); });
        if (line.starts_with("content-length:")) r.body = number(std::string_view(line).substr(16));
        if (line.starts_with("expect:")) r.expectation = line;
        if (line == "connection: close\r\n") r.close = true;
    }
    return true;
}

void answer(weft::stream& s, const request& r, std::string_view body, const char* status = "200 OK") {
    const std::string head = "HTTP/1.1 " + std::string(status) + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n";
    const std::string_view pieces[] = {head, r.method == "HEAD" ? std::string_view() : body};
    s.writev(pieces);
}

void answer_in_chunks(weft::stream& s, std::string_view body) {
    s.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (std::size_t size = 1; !body.empty(); size = size * 3 % 40000 + 1) {
        const std::string_view part = body.substr(0, size);
        char head[32];
        std::snprintf(head, sizeof head, "%zx\r\n", part.size());
        const std::string_view pieces[] = {head, part, "\r\n"};
        s.writev(pieces);
        body.remove_prefix(part.size());
    }
    s.write("0\r\n\r\n");
}

/// /text/N, /chunks/N, /echo, /bytewise/N (each byte alone)
void serve_http(weft::stream s) {
    try {
        for (request r; read_request(s, r); r = {}) {
            if (!r.expectation.empty()) s.write("HTTP/1.1 100 Continue\r\n\r\n");
            const std::string body = s.read_exactly(r.body);
            const std::string argument = r.path.substr(r.path.rfind('/') + 1);
            if (r.path == "/echo") {
                answer(s, r, body);
            } else if (r.path.starts_with("/text/")) {
                answer(s, r, text(number(argument)));
            } else if (r.path.starts_with("/chunks/")) {
                answer_in_chunks(s, text(number(argument)));
            } else if (r.path.starts_with("/bytewise/")) {
                const std::string all = text(number(argument));
                s.write("HTTP/1.1 200 OK\r\nContent-Length: " + argument + "\r\n\r\n");
                for (const char& c : all) s.write(std::string_view(&c, 1));
            } else {
                answer(s, r, "no such page\n", "404 Not Found");
            }
            if (r.close) return;
        }
    } catch (const std::system_error& e) {
        std::fprintf(stderr, "%s\n", e.what());   // the client went away, as some tests want it to
    } catch (const weft::incomplete_read_error& e) {
        std::fprintf(stderr, "%s\n", e.what());
    }
}

void until_told(weft::server s) {
    weft::signal_set{SIGTERM}.wait();
    s.close();
    s.close_clients();
    s.wait_closed();
}

std::function<void(weft::stream)> handler(const std::string& kind) { return kind == "http" ? serve_http : echo; }

void serve(const std::string& kind, const std::string& host) {
    weft::server s = weft::start_server(handler(kind), host, 0);
    print("port " + std::to_string(s.endpoints().front().port()));
    until_told(std::move(s));
}

void serve_tls(const std::string& kind, weft::tls_context tls, const std::string& authority) {
    tls.set_alpn_protocols({"http/1.1"});
    if (!authority.empty()) {
        tls.load_verify_locations(authority);
        tls.set_verify_mode(weft::verify_mode::required);
    }
    weft::server s = weft::start_server(handler(kind), "127.0.0.1", 0, {.tls = &tls});
    print("port " + std::to_string(s.endpoints().front().port()));
    until_told(std::move(s));
}

/// A server that sends each line back in another form, and ends when it gets "CLOSE".
void connect_tls(std::uint16_t port, weft::tls_context tls, std::size_t lines) {
    for (int round = 0; round < 2; ++round) {
        weft::stream s = weft::open_connection("127.0.0.1", port, {.tls = &tls, .server_name = "localhost"});
        for (std::size_t i = 0; i < lines; ++i) {
            s.write("line " + std::to_string(i) + '\n');
            std::fputs(s.read_line().c_str(), stdout);
        }
        s.write("CLOSE\n");
        s.read();   // throws unless TLS's own end comes
        print(s.get_tls_info().version + (s.get_tls_info().resumed ? " resumed" : " new"));
    }
}

void serve_unix(const std::string& kind, const std::string& path) {
    weft::server s = weft::start_unix_server(handler(kind), path);
    print("ready");
    until_told(std::move(s));
}

void datagrams(const weft::endpoint& where) {
    weft::socket s(where.family(), SOCK_DGRAM);
    s.bind(where);
    print("bound " + s.local_endpoint().to_string());
    auto echoing = weft::create_task([&] {
        for (std::string room(70000, '\0');;) {
            const auto [size, from] = s.recv_from(std::as_writable_bytes(std::span(room)));
            s.send_to(std::as_bytes(std::span(room).first(size)), from);
        }
    });
    weft::signal_set{SIGTERM}.wait();
    echoing.cancel();
    echoing.join();
}

void connect(const weft::endpoint& where, std::size_t bytes) {
    weft::stream s = where.family() == AF_UNIX ? weft::open_unix_connection(where.host())
                                               : weft::open_connection(where.host(), where.port());
    auto writing = weft::create_task([&] {
        s.write(text(bytes));
        s.write_eof();
    });
    const std::string got = s.read();
    writing.get();
    std::fwrite(got.data(), 1, got.size(), stdout);
}

void send(const weft::endpoint& where, const std::string& said) {
    weft::socket s(where.family(), SOCK_DGRAM);
    if (where.family() == AF_UNIX) s.bind(weft::endpoint::unix_path("@weft-peer-" + std::to_string(::getpid())));
    s.connect(where);
    s.send(std::as_bytes(std::span(said)));
    std::string room(70000, '\0');
    room.resize(weft::timeout(20s, [&] { return s.recv(std::as_writable_bytes(std::span(room))); }));
    print(room);
}

/// As dig +short writes them.
void query(const std::string& server, const std::string& type, const std::string& name) {
    weft::resolver r({.servers = {server}, .hosts_file = "", .resolv_conf = "/dev/null"});
    const std::map<std::string, std::function<void()>> types{
        {"A", [&] { for (const auto& x : r.query_a(name)) print(x.address); }},
        {"AAAA", [&] { for (const auto& x : r.query_aaaa(name)) print(x.address); }},
        {"MX", [&] { for (const auto& x : r.query_mx(name)) print(std::to_string(x.priority) + ' ' + x.host + '.'); }},
        {"TXT", [&] { for (const auto& x : r.query_txt(name)) print('"' + x.text + '"'); }},
        {"SRV", [&] {
             for (const auto& x : r.query_srv(name))
                 print(std::to_string(x.priority) + ' ' + std::to_string(x.weight) + ' ' + std::to_string(x.port) + ' ' + x.host + '.');
         }},
        {"CNAME", [&] { print(r.query_cname(name).name + '.'); }},
        {"PTR", [&] { for (const auto& x : r.query_ptr(name)) print(x.name + '.'); }},
    };
    types.at(type)();
}

void lookup(const std::string& server, const std::string& name) {
    weft::resolver r({.servers = {server}, .hosts_file = "", .resolv_conf = "/dev/null"});
    for (const auto& found : r.resolve(name)) print(found.address.host());
}

int usage() {
    std::fputs("peer: unknown command; the head of peer.cpp lists them\n", stderr);
    return 2;
}

int run(const std::vector<std::string>& words) {
    const auto word = [&](std::size_t i, const char* otherwise) { return i < words.size() ? words[i] : std::string(otherwise); };
    const std::string command = word(0, "");
    if (words.size() < 2) return usage();
    if (command == "serve") serve(words[1], word(2, "127.0.0.1"));
    else if (command == "serve-unix") serve_unix(words[1], word(2, ""));
    else if (command == "serve-tls") serve_tls(words[1], weft::tls_context::server(word(2, ""), word(3, "")), word(4, ""));
    else if (command == "connect-tls") {
        weft::tls_context tls = weft::tls_context::client(weft::trusted_roots::none);
        tls.load_verify_locations(word(2, ""));
        if (words.size() > 4) tls.load_cert_chain(words[4], word(5, ""));
        connect_tls(static_cast<std::uint16_t>(number(words[1])), tls, number(word(3, "1")));
    }
    else if (command == "datagrams") datagrams(weft::endpoint::parse(words[1]));
    else if (command == "connect") connect(weft::endpoint::parse(words[1]), number(word(2, "100")));
    else if (command == "send") send(weft::endpoint::parse(words[1]), word(2, ""));
    else if (command == "query") query(words[1], word(2, ""), word(3, ""));
    else if (command == "lookup") lookup(words[1], word(2, ""));
    else return usage();
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return weft::run([&] { return run({argv + 1, argv + argc}); });
    } catch (const std::exception& e) {
        std::fprintf(stderr, "peer: %s\n", e.what());
        return 1;
    }
}
