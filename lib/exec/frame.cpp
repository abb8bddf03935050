#include "exec/frame.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

namespace weft::exec_layer {
namespace {

constexpr std::size_t piece = 256 * 1024;

}  // namespace

frame_reader::progress frame_reader::take(const char* bytes, std::size_t size) {
    if (header_size_ < sizeof header_) {
        const std::size_t of_header = std::min(size, sizeof header_ - header_size_);
        std::memcpy(reinterpret_cast<char*>(&header_) + header_size_, bytes, of_header);
        header_size_ += of_header;
        bytes += of_header;
        size -= of_header;
        if (header_size_ < sizeof header_) return progress::more;
        if (!header_.valid()) return progress::broken;
    }
    if (size > header_.size - payload_.size()) return progress::broken;
    payload_.append(bytes, size);
    return payload_.size() == header_.size ? progress::complete : progress::more;
}

std::size_t frame_reader::wanted() const noexcept {
    if (header_size_ < sizeof header_) return sizeof header_ - header_size_;
    return static_cast<std::size_t>(std::min<std::uint64_t>(header_.size - payload_.size(), piece));
}

std::string frame_reader::release() noexcept {
    header_size_ = 0;
    return std::exchange(payload_, {});
}

void begin_frame(std::string& frame) { frame.assign(sizeof(frame_header), '\0'); }

void end_frame(std::string& frame) noexcept {
    frame_header header;
    header.size = frame.size() - sizeof header;
    std::memcpy(frame.data(), &header, sizeof header);
}

bool receive_frame(int fd, std::string& payload) {
    const std::unique_ptr<char[]> buffer(new char[piece]);
    frame_reader reader;
    for (;;) {
        const ssize_t size = ::recv(fd, buffer.get(), std::min(piece, reader.wanted()), 0);
        if (size < 0 && errno == EINTR) continue;
        if (size <= 0) return false;
        switch (reader.take(buffer.get(), static_cast<std::size_t>(size))) {
            case frame_reader::progress::more: break;
            case frame_reader::progress::broken: return false;
            case frame_reader::progress::complete: payload = reader.release(); return true;
        }
    }
}

bool send_frame(int fd, const std::string& frame) {
    for (std::size_t sent = 0; sent < frame.size();) {
        const ssize_t size = ::send(fd, frame.data() + sent, frame.size() - sent, MSG_NOSIGNAL);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return false;
        sent += static_cast<std::size_t>(size);
    }
    return true;
}

}  // namespace weft::exec_layer
