// Echo on libuv.

#include <uv.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

struct session {
    uv_tcp_t socket;
    char buffer[4096];
};

/// What the socket did not take at once.
struct remainder {
    uv_write_t request;
    char bytes[4096];
};

void close_session(uv_stream_t* stream) {
    uv_close(reinterpret_cast<uv_handle_t*>(stream), [](uv_handle_t* h) { std::free(h->data); });
}

void send(uv_stream_t* stream, char* bytes, std::size_t size) {
    uv_buf_t all = uv_buf_init(bytes, static_cast<unsigned>(size));
    const int sent = uv_try_write(stream, &all, 1);
    if (sent == static_cast<int>(size)) return;
    if (sent < 0 && sent != UV_EAGAIN) return close_session(stream);
    const std::size_t done = sent < 0 ? 0 : static_cast<std::size_t>(sent);
    auto* rest = static_cast<remainder*>(std::malloc(sizeof(remainder)));
    std::memcpy(rest->bytes, bytes + done, size - done);
    rest->request.data = rest;
    uv_buf_t some = uv_buf_init(rest->bytes, static_cast<unsigned>(size - done));
    uv_write(&rest->request, stream, &some, 1, [](uv_write_t* w, int) { std::free(w->data); });
}

int main() {
    uv_loop_t* loop = uv_default_loop();
    uv_tcp_t listener;
    uv_tcp_init(loop, &listener);
    sockaddr_in here{};
    uv_ip4_addr("127.0.0.1", 0, &here);
    uv_tcp_bind(&listener, reinterpret_cast<sockaddr*>(&here), 0);
    const int error = uv_listen(reinterpret_cast<uv_stream_t*>(&listener), 4096, [](uv_stream_t* from, int status) {
        if (status < 0) return;
        auto* s = static_cast<session*>(std::malloc(sizeof(session)));
        uv_tcp_init(from->loop, &s->socket);
        s->socket.data = s;
        auto* stream = reinterpret_cast<uv_stream_t*>(&s->socket);
        if (uv_accept(from, stream) < 0) return close_session(stream);
        uv_read_start(
            stream,
            [](uv_handle_t* h, std::size_t, uv_buf_t* to) {
                auto* s = static_cast<session*>(h->data);
                *to = uv_buf_init(s->buffer, sizeof s->buffer);
            },
            [](uv_stream_t* stream, ssize_t size, const uv_buf_t*) {
                auto* s = static_cast<session*>(stream->data);
                if (size < 0) return close_session(stream);
                if (size > 0) send(stream, s->buffer, static_cast<std::size_t>(size));
            });
    });
    if (error < 0) return 1;
    int length = sizeof here;
    uv_tcp_getsockname(&listener, reinterpret_cast<sockaddr*>(&here), &length);
    std::printf("%d\n", ntohs(here.sin_port));
    std::fflush(stdout);
    return uv_run(loop, UV_RUN_DEFAULT);
}
