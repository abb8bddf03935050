#pragma once

/// leak_check: the fixture of every test that opens files. It fails a test that ends with more of them open than it began
/// with. (A loop that is destroyed while a fiber of it lives ends the process by itself.)

#include <dirent.h>
#include <unistd.h>

#include <cstddef>
#include <memory>
#include <string>

#include <catch2/catch.hpp>

namespace weft_test {

/// How many descriptors are open, without the doorbells: those of closed loops are kept for the next ones.
inline std::size_t open_descriptors() {
    std::size_t count = 0;
    std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc/self/fd"), ::closedir);
    REQUIRE(folder);
    while (const dirent* entry = ::readdir(folder.get())) {
        if (entry->d_name[0] == '.' || std::stoi(entry->d_name) == ::dirfd(folder.get())) continue;
        char target[64] = {};
        const std::string path = std::string("/proc/self/fd/") + entry->d_name;
        if (::readlink(path.c_str(), target, sizeof target - 1) < 0) continue;
        if (std::string(target) != "anon_inode:[eventfd]") ++count;
    }
    return count;
}

class leak_check {
public:
    leak_check() : descriptors_(open_descriptors()) {}
    ~leak_check() { CHECK(open_descriptors() == descriptors_); }
    leak_check(const leak_check&) = delete;
    leak_check& operator=(const leak_check&) = delete;

private:
    std::size_t descriptors_;
};

}  // namespace weft_test
