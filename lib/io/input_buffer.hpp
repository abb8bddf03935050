#pragma once

/// input_buffer: bytes that have come and were not asked for yet: a contiguous block with a gap in front and room behind.
///
/// It starts small, for the many connections that are idle, and grows while reads fill it; an empty one that has grown
/// beyond `usual` gives its memory back. Bytes are moved to the front only when room is needed behind.

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace weft::detail {

class input_buffer {
public:
    static constexpr std::size_t first_size = 4096;
    static constexpr std::size_t usual = 64 * 1024;   // most bytes that one read is offered, and kept when empty

    bool empty() const noexcept { return begin_ == end_; }
    std::size_t size() const noexcept { return end_ - begin_; }
    std::string_view view() const noexcept { return {bytes_.get() + begin_, size()}; }

    /// Room for more: at least one byte. Valid until the next call of another member.
    std::span<std::byte> prepare() {
        if (capacity_ - end_ < room_wanted() || (filled_ && capacity_ < usual)) make_room();
        return {reinterpret_cast<std::byte*>(bytes_.get() + end_), room()};
    }
    /// So many bytes came into the room.
    void commit(std::size_t n) noexcept {
        filled_ = n == room();
        end_ += n;
    }

    void consume(std::size_t n) noexcept {
        begin_ += n;
        if (begin_ == end_) clear();
    }
    std::string take(std::size_t n) {
        std::string taken(view().substr(0, n));
        consume(taken.size());
        return taken;
    }
    std::string take_all() { return take(size()); }
    void clear() noexcept {
        begin_ = end_ = 0;
        if (capacity_ > usual) {
            bytes_.reset();
            capacity_ = 0;
        }
    }

private:
    std::size_t room() const noexcept { return std::min(capacity_ - end_, usual); }
    // A quarter of what is there, so that moving and growing cost a constant factor.
    std::size_t room_wanted() const noexcept { return std::clamp(size() / 4, std::size_t{1024}, usual); }

    void make_room() {
        const std::size_t kept = size();
        const bool worth_moving = capacity_ - kept >= std::max(capacity_ / 2, room_wanted());
        if (capacity_ > 0 && worth_moving && !(filled_ && capacity_ < usual)) {
            std::memmove(bytes_.get(), bytes_.get() + begin_, kept);
        } else {
            const std::size_t grown = capacity_ == 0 ? first_size : capacity_ * 2;
            std::unique_ptr<char[]> bytes(new char[grown]);
            if (kept) std::memcpy(bytes.get(), bytes_.get() + begin_, kept);
            bytes_ = std::move(bytes);
            capacity_ = grown;
        }
        begin_ = 0;
        end_ = kept;
    }

    std::unique_ptr<char[]> bytes_;
    std::size_t capacity_ = 0;
    std::size_t begin_ = 0;   // begin_ <= end_ <= capacity_; both 0 when empty
    std::size_t end_ = 0;
    bool filled_ = false;     // the last read took all the room: more is waiting, so the next one is offered twice as much
};

}  // namespace weft::detail
