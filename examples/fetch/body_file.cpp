#include "body_file.hpp"

#include "outcome.hpp"

#include <unistd.h>

#include <filesystem>
#include <system_error>

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
    for (;;) {
        path_ = names.next(address);
        try {
            file_ = weft::file::open(path_, O_WRONLY | O_CREAT | O_EXCL);
            return;
        } catch (const std::system_error& error) {
            if (error.code() != std::errc::file_exists)
                fail(error);
        }
    }
}

body_file::~body_file() {
    if (!kept_)
        ::unlink(path_.c_str());
}

void body_file::write(std::string_view piece) {
    try {
        file_.write(piece);
    } catch (const std::system_error& error) {
        fail(error);
    }
}

void body_file::keep() {
    try {
        file_.close();  // some file systems only now say that there was no room
    } catch (const std::system_error& error) {
        fail(error);
    }
    kept_ = true;
}

void body_file::fail(const std::system_error& error) const {
    throw fetch_error(outcome::not_written, path_ + ": " + error.code().message());
}

}  // namespace fetch
