#pragma once

/// Files on the disk, seen past weft.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string>

#include <weft/file.hpp>

#include "fixture.hpp"

namespace io_test {

using weft::file;

inline std::string on_disk(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}
inline void put_on_disk(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

/// Reading it has to wait for the disk, as far as the file system lets itself be asked.
inline void forget_cached(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    ::fsync(fd);
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    ::close(fd);
}

inline std::string read_some(file& f, std::size_t most) {
    std::string text(most, '\0');
    text.resize(f.read(std::as_writable_bytes(std::span(text))));
    return text;
}

inline std::string fifo_in(const temporary_folder& folder) {
    const std::string path = folder / "fifo";
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    return path;
}

}  // namespace io_test
