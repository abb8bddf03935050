#include <weft/pipe.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <string>

#include "io/one_way_transport.hpp"

namespace weft {
namespace {

using engine_layer::direction;

stream connect_pipe(int fd, direction way, std::size_t limit, const char* call) {
    std::string name = "descriptor " + std::to_string(fd);
    struct stat kind;
    if (::fstat(fd, &kind) < 0) detail::throw_errno(errno, call, name);
    if (!S_ISFIFO(kind.st_mode) && !S_ISSOCK(kind.st_mode) && !S_ISCHR(kind.st_mode))
        throw std::invalid_argument(std::string(call) + ": fd: " + name +
                                    " is no pipe, socket or character device; see <weft/file.hpp>");
    if (limit == 0) throw std::invalid_argument(std::string(call) + ": limit: it must be greater than 0");
    return stream(detail::make_pipe_transport(engine_layer::adopt(fd), way, std::move(name)), limit);
}

}  // namespace

std::pair<stream, stream> pipe(std::size_t limit) {
    if (limit == 0) throw std::invalid_argument("pipe: limit: it must be greater than 0");
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) detail::throw_errno(errno, "pipe", "");
    engine_layer::descriptor_ptr reader = engine_layer::adopt(ends[0]);   // non-blocking already: it cannot fail
    engine_layer::descriptor_ptr writer = engine_layer::adopt(ends[1]);
    return {stream(detail::make_pipe_transport(std::move(reader), direction::read, "pipe"), limit),
            stream(detail::make_pipe_transport(std::move(writer), direction::write, "pipe"), limit)};
}

stream connect_read_pipe(int fd, std::size_t limit) {
    return connect_pipe(fd, direction::read, limit, "connect_read_pipe");
}

stream connect_write_pipe(int fd) { return connect_pipe(fd, direction::write, 1, "connect_write_pipe"); }

}  // namespace weft
