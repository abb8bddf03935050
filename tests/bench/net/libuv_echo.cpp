// Echo on libuv.

#include <uv.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstdio>
#include <cstdlib>

struct session {
    uv_tcp_t socket;
    uv_write_t write;
    char buffer[4096];
};

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
        s->write.data = s;
        auto* stream = reinterpret_cast<uv_stream_t*>(&s->socket);
        const auto end = [](uv_handle_t* h) { std::free(h->data); };
        if (uv_accept(from, stream) < 0) return uv_close(reinterpret_cast<uv_handle_t*>(stream), end);
        uv_read_start(
            stream,
            [](uv_handle_t* h, std::size_t, uv_buf_t* to) {
                auto* s = static_cast<session*>(h->data);
                *to = uv_buf_init(s->buffer, sizeof s->buffer);
            },
            [](uv_stream_t* stream, ssize_t size, const uv_buf_t*) {
                auto* s = static_cast<session*>(stream->data);
                if (size < 0) return uv_close(reinterpret_cast<uv_handle_t*>(stream), [](uv_handle_t* h) { std::free(h->data); });
                if (size == 0) return;
                uv_buf_t all = uv_buf_init(s->buffer, static_cast<unsigned>(size));
                uv_write(&s->write, stream, &all, 1, [](uv_write_t*, int) {});
            });
    });
    if (error < 0) return 1;
    int length = sizeof here;
    uv_tcp_getsockname(&listener, reinterpret_cast<sockaddr*>(&here), &length);
    std::printf("%d\n", ntohs(here.sin_port));
    std::fflush(stdout);
    return uv_run(loop, UV_RUN_DEFAULT);
}
