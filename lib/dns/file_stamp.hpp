#pragma once

/// What tells one version of a file from the next.

#include <sys/stat.h>

#include <cstdint>
#include <string>

namespace weft::dns_layer {

struct file_stamp {
    dev_t device = 0;
    ino_t number = 0;
    off_t size = -1;  // -1: there is no such file
    std::int64_t seconds = 0;
    std::int64_t nanoseconds = 0;

    bool operator==(const file_stamp&) const = default;

    static file_stamp of(const std::string& path) noexcept {
        struct stat status {};
        if (path.empty() || ::stat(path.c_str(), &status) != 0)
            return {};
        return {status.st_dev, status.st_ino, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
    }
};

}  // namespace weft::dns_layer
