#include "body_file.hpp"

#include "outcome.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

namespace fetch {
namespace {

// A leading dot would hide the file, and ".." would leave the directory.
std::string safe_name(const url& address) {
    constexpr std::size_t longest = 150;  // of the 255 that file systems allow: room for a number
    std::string name = address.host + address.target;
    while (name.ends_with('/'))
        name.pop_back();
    for (char& c : name) {
        const bool kept = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                          c == '.' || c == '_' || c == '-';
        if (!kept)
            c = '_';
    }
    if (name.front() == '.')
        name.front() = '_';
    if (name.size() > longest)
        name.resize(longest);
    return name;
}

}  // namespace

void make_directory(const std::string& path) {
    std::filesystem::create_directories(path);
}

std::string file_names::next(const url& address) {
    const std::string name = safe_name(address);
    const int count = ++given_[name];
    std::string path = directory_ + "/" + name;
    if (count > 1)
        path.append(".").append(std::to_string(count));
    return path;
}

// Names are only candidates until the system has made the file and said that it is new.
body_file::body_file(file_names& names, const url& address) {
    do {
        path_ = names.next(address);
        descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    } while (descriptor_ < 0 && errno == EEXIST);
    if (descriptor_ < 0)
        fail();
}

body_file::~body_file() {
    if (descriptor_ >= 0)
        ::close(descriptor_);
    if (!kept_)
        ::unlink(path_.c_str());
}

void body_file::write(std::string_view piece) {
    while (!piece.empty()) {
        const ssize_t written = ::write(descriptor_, piece.data(), piece.size());
        if (written >= 0) {
            piece.remove_prefix(static_cast<std::size_t>(written));
        } else if (errno != EINTR) {
            fail();
        }
    }
}

void body_file::keep() {
    if (::close(std::exchange(descriptor_, -1)) !=
        0)  // some file systems only now say that there was no room
        fail();
    kept_ = true;
}

void body_file::fail() const {
    const std::string reason = std::generic_category().message(errno);
    throw fetch_error(outcome::not_written, path_ + ": " + reason);
}

}  // namespace fetch
