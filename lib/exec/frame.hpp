#pragma once

/// frame: how requests and answers stand on the socket between the pool and a worker: a header, then so many bytes.
///
/// Both ends check the header, and neither allocates by what it says: memory grows as bytes come.

#include <cstddef>
#include <cstdint>
#include <string>

namespace weft::exec_layer {

struct frame_header {
    std::uint64_t mark = expected_mark;
    std::uint64_t size = 0;   // of what follows

    static constexpr std::uint64_t expected_mark = 0x6672616d'74666577;   // "weftfram"
    static constexpr std::uint64_t largest = std::uint64_t{1} << 46;
    bool valid() const noexcept { return mark == expected_mark && size <= largest; }
};

/// How an answer begins.
enum class answer_kind : std::uint8_t { value, exception };

/// What is received of a frame so far.
class frame_reader {
public:
    enum class progress { more, complete, broken };

    /// Takes bytes from the front of what came; they must not go beyond the end of this frame, see wanted().
    progress take(const char* bytes, std::size_t size);
    /// How many bytes, at most, may be received next.
    std::size_t wanted() const noexcept;
    /// Of a complete one; then the next may begin.
    std::string release() noexcept;
    bool empty() const noexcept { return header_size_ == 0; }

private:
    frame_header header_{};
    std::size_t header_size_ = 0;   // bytes of the header that have come
    std::string payload_;
};

/// Writes the header into the room that begin_frame left in front.
void begin_frame(std::string& frame);
void end_frame(std::string& frame) noexcept;

// For the worker, which has nothing else to do: these block.

/// The next frame; false at the end of file, or if what came is no frame.
bool receive_frame(int fd, std::string& payload);
/// False if the other side is gone.
bool send_frame(int fd, const std::string& frame);

}  // namespace weft::exec_layer
