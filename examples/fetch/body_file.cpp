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
    return directory_ + "/" + name + (count == 1 ? std::string() : "." + std::to_string(count));
}

// Names are only candidates until the system has made the file and said that it is new.
body_file::new_file body_file::create(file_names& names, const url& address) {
    for (;;) {
        std::string path = names.next(address);
        const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (descriptor >= 0)
            return {std::move(path), descriptor};
        if (errno != EEXIST)
            throw fetch_error(outcome::not_written, path + ": " + std::generic_category().message(errno));
    }
}

body_file::body_file(file_names& names, const url& address) : file_(create(names, address)) {}

body_file::~body_file() {
    ::close(file_.descriptor);
    if (!kept_)
        ::unlink(file_.path.c_str());
}

void body_file::write(std::string_view piece) {
    while (!piece.empty()) {
        const ssize_t written = ::write(file_.descriptor, piece.data(), piece.size());
        if (written >= 0)
            piece.remove_prefix(static_cast<std::size_t>(written));
        else if (errno != EINTR)
            throw fetch_error(outcome::not_written, file_.path + ": " + std::generic_category().message(errno));
    }
}

}  // namespace fetch
