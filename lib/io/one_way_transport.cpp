#include "io/one_way_transport.hpp"

#include <limits.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>

#include "engine/sigpipe.hpp"
#include "kernel/scheduler.hpp"

namespace weft::detail {

using engine_layer::direction;

namespace {

constexpr int rwf_nosignal = 0x100;   // RWF_NOSIGNAL, since Linux 6.18: newer than the headers that must do

int count_of(std::span<const iovec> pieces) noexcept {
    return static_cast<int>(std::min<std::size_t>(pieces.size(), IOV_MAX));
}

class pipe_transport final : public one_way_transport {
public:
    using one_way_transport::one_way_transport;

    std::size_t read(std::span<std::byte> to, const char* call) override {
        require(direction::read, call);
        if (kernel::scheduler* s = kernel::scheduler::current(); s && s->may_park()) {
            const engine_layer::io_result r = s->engine->read(*file_, to.data(), to.size(), time_point::max());
            if (!r.ok()) throw_failure(r, call, name_);
            return static_cast<std::size_t>(r.value());
        }
        return try_or_wait(call, [&](int fd) { return ::read(fd, to.data(), to.size()); });
    }

    std::size_t write(std::span<const iovec> pieces, const char* call) override {
        require(direction::write, call);
        return try_or_wait(call, [&](int fd) { return write_quietly(fd, pieces); });
    }
};

}  // namespace

void one_way_transport::require(direction way, const char* call) const {
    if (way == way_) return;
    throw_errno(EBADF, call, name_ + (way == direction::read ? ", which can only be written to" : ", which can only be read from"));
}

void one_way_transport::wait(const char* call) {
    engine_layer::engine& e = engine_layer::current_engine(call);
    const engine_layer::io_result r = e.poll(*file_, way_, time_point::max());
    if (!r.ok()) throw_failure(r, call, name_);
}

void one_way_transport::attempt_succeeded() noexcept {
    kernel::scheduler* s = kernel::scheduler::current();
    if (s->may_park()) s->operation_done();
}

ssize_t write_with_signal_blocked(int fd, std::span<const iovec> pieces) noexcept {
    return engine_layer::without_sigpipe([&] { return ::writev(fd, pieces.data(), count_of(pieces)); });
}

ssize_t write_quietly(int fd, std::span<const iovec> pieces) noexcept {
    const ssize_t result = ::pwritev2(fd, pieces.data(), count_of(pieces), -1, rwf_nosignal);
    if (result >= 0 || (errno != EOPNOTSUPP && errno != EINVAL && errno != ENOSYS)) return result;
    return write_with_signal_blocked(fd, pieces);   // an older system, or a file that takes no flags
}

std::unique_ptr<transport> make_pipe_transport(engine_layer::descriptor_ptr file, direction way, std::string name) {
    return std::make_unique<pipe_transport>(std::move(file), way, std::move(name));
}

}  // namespace weft::detail
