#pragma once

/// whole_file: a small regular file that is read or written by one call, performed as one piece: opening, reading and closing
/// by themselves would be three times the way to another thread and back.
///
/// Invariants
///  - What is not small, or no regular file, is left_to_others, and then nothing has been done to it. (A FIFO's open may last for
///    ever, and a large file's reading longer than one who was cancelled should wait.)
///  - What a try that had to stop has opened and read is kept for the call itself.
///
/// Rejected: io_uring's linked requests, each of which would go by way of a thread of the kernel.

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace weft::engine_layer {

class whole_file {
public:
    static constexpr std::size_t small = 256 * 1024;

    /// To be read. The path stays until the calls have returned, as what is written does.
    explicit whole_file(const char* path) noexcept : path_(path) {}
    /// To be written: made, or cut off before.
    whole_file(const char* path, std::string_view data, mode_t mode) noexcept : path_(path), data_(data), mode_(mode) {}
    ~whole_file();
    whole_file(const whole_file&) = delete;
    whole_file& operator=(const whole_file&) = delete;

    /// Reads it, on the calling thread, which it may block: 0 or -errno.
    ssize_t load() noexcept;
    /// Reads it if that needs no waiting; -EAGAIN: load() has to go on.
    ssize_t try_load() noexcept;
    /// Writes it, as load().
    ssize_t store() noexcept;

    bool left_to_others() const noexcept { return left_to_others_; }
    std::string& text() noexcept { return text_; }
    /// The call that failed.
    const char* failed_in() const noexcept { return failed_in_; }

private:
    ssize_t load(bool may_wait);
    ssize_t read_all(bool may_wait);
    ssize_t leave() noexcept;

    const char* const path_;
    const std::string_view data_;
    const mode_t mode_ = 0;

    int fd_ = -1;
    std::size_t said_ = 0;   // how long its status says it is; 0: perhaps it cannot say
    std::string text_;
    bool left_to_others_ = false;
    const char* failed_in_ = "file::open";
};

}  // namespace weft::engine_layer
